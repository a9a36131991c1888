/**
 * Progress for a person: on a terminal one line that is written over, elsewhere a line every tenth
 * of the way. Sentences go between them.
 */
import { harmlessText } from '../../lib/text/harmlessText.ts';
import { roundedSize } from '../../lib/text/quantities.ts';
import type { AgentWatchEvent } from '../agent/agentEvents.ts';

export interface ProgressPrinter {
  event(event: AgentWatchEvent): void;
  /** How far `subject` has got, from 0 to 1, and the line that says so. */
  progress(subject: string, step: { share: number; text: string }): void;
  /** A line of its own. */
  line(text: string): void;
}

export interface ProgressTarget {
  write(text: string): void;
  /** Whether a line can be written over. */
  terminal: boolean;
  columns: number;
}

/** Steps of a download or of loading that are worth a line where lines stay. */
const stepPercent = 10;

export function createProgressPrinter(target: ProgressTarget): ProgressPrinter {
  /** What stands on the terminal's last line without a line end. */
  let open = '';
  let lastStep = -1;
  let lastSubject = '';
  let lastText = '';

  const line = (text: string): void => {
    if (open !== '') target.write('\r\u001b[K');
    open = '';
    target.write(`${harmlessText(text)}\n`);
  };
  const progress = (subject: string, { share, text }: { share: number; text: string }): void => {
    if (target.terminal) {
      open = harmlessText(text).slice(0, target.columns - 1);
      target.write(`\r\u001b[K${open}`);
      return;
    }
    const step = Math.floor((share * 100) / stepPercent);
    if (subject === lastSubject && step <= lastStep) return;
    lastSubject = subject;
    lastStep = step;
    line(text);
  };
  return {
    line,
    progress,
    event(event) {
      if (event.kind === 'fetching') {
        const { receivedBytes, totalBytes } = event;
        const share = totalBytes === null ? 0 : receivedBytes / totalBytes;
        return progress(`fetching ${event.model}`, { share, text: fetchingText(event) });
      }
      if (event.kind === 'loading') {
        const text = `loading ${event.model}: ${Math.floor(event.fraction * 100)} %`;
        return progress(`loading ${event.model}`, { share: event.fraction, text });
      }
      const text = eventText(event);
      // What is tried again and fails again in the same way is no news.
      if (text === undefined || text === lastText) return;
      lastText = text;
      line(text);
    },
  };
}

function fetchingText(event: Extract<AgentWatchEvent, { kind: 'fetching' }>): string {
  const { model, receivedBytes, totalBytes, bytesPerSecond } = event;
  const speed = bytesPerSecond === null ? '' : `, ${roundedSize(bytesPerSecond)}/s`;
  if (totalBytes === null) return `fetching ${model}: ${roundedSize(receivedBytes)}${speed}`;
  const percent = Math.floor((100 * receivedBytes) / Math.max(1, totalBytes));
  const left = Math.max(0, totalBytes - receivedBytes);
  const eta = bytesPerSecond ? `, ${span(left / bytesPerSecond)} left` : '';
  return (
    `fetching ${model}: ${roundedSize(receivedBytes)} of ${roundedSize(totalBytes)} ` +
    `(${percent} %)${speed}${left === 0 ? '' : eta}`
  );
}

function eventText(event: AgentWatchEvent): string | undefined {
  switch (event.kind) {
    case 'enrolled':
      return `enrolled as ${event.name}`;
    case 'unlinked':
      return `the link is down: ${event.message}`;
    case 'ready':
      return `${event.model} is ready`;
    case 'failed':
      return [
        `${event.model} cannot be served: ${event.message}`,
        ...event.tried.map(indented),
      ].join('\n');
    case 'note':
    case 'refused':
    case 'unable':
    case 'ended':
      return event.message;
    default:
      return undefined;
  }
}

const indented = (text: string): string => `  ${text}`;

function span(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  if (seconds < 6000) return `${Math.ceil(seconds / 60)} min`;
  return `${Math.ceil(seconds / 3600)} h`;
}
