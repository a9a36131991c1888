/**
 * The agent's log, twice: to the logger that main gave (standard error), and in a bounded ring that
 * goes over the link, so that the owner sees it on the agents page.
 *
 * Invariants
 * G1 What leaves over the link has its secrets masked and its control characters escaped.
 * G2 The ring is bounded: the oldest lines are dropped and counted, nobody waits.
 * G3 A line costs a copy when it is written and is cleaned when it leaves: an engine that writes a
 *    million lines a second takes no time from requests.
 */
import { inspect } from 'node:util';
import { BoundedQueue } from '../../lib/boundedQueue.ts';
import { cleanLogText } from '../../lib/text/cleanLogText.ts';
import type { Clock } from '../../lib/clock.ts';
import type { LogFields, Logger } from '../../lib/log.ts';
import type { LogMessage } from '../../protocol/messages/agentControl.ts';
import {
  logLinesPerMessage,
  logMessageCharacters,
  maxKeptLogCharacters,
  maxKeptLogLines,
  maxLogTextCharacters,
} from '../limits.ts';

type Line = LogMessage['lines'][number];
type Level = Line['level'];

export class AgentLog {
  /** Called when lines wait and none did before. */
  onLines: (() => void) | undefined;
  /** Logs to both places. */
  readonly logger: Logger;
  private readonly clock: Clock;
  /** As they were written, but for their length. */
  private readonly lines = new BoundedQueue<Line>({
    maxItems: maxKeptLogLines,
    maxWeight: maxKeptLogCharacters,
  });
  private dropped = 0;

  constructor(options: { logger: Logger; clock: Clock }) {
    this.clock = options.clock;
    this.logger = this.tee(options.logger, {});
  }

  /** A line that the engine wrote. */
  engineLine(level: Level, text: string): void {
    this.add({ level, source: 'engine', text });
  }

  /**
   * The oldest lines that wait, as one message; undefined when none does. They are gone from here.
   */
  take(): LogMessage | undefined {
    const { dropped } = this;
    const lines: Line[] = [];
    let characters = 0;
    while (lines.length < logLinesPerMessage && characters < logMessageCharacters) {
      const line = this.lines.shift();
      if (line === undefined) break;
      const text = cleanLogText(line.text, maxLogTextCharacters);
      characters += text.length;
      lines.push({ ...line, text });
    }
    if (lines.length === 0) return undefined;
    this.dropped = 0;
    return { type: 'log', lines, dropped };
  }

  private tee(base: Logger, bound: LogFields): Logger {
    const at =
      (level: Level) =>
      (fields: LogFields, message: string): void => {
        base[level](fields, message);
        if (level === 'debug') return;
        const all = { ...bound, ...fields };
        const { requestId } = all;
        const named = typeof requestId === 'string' ? { requestId: requestId.slice(0, 64) } : {};
        this.add({ level, source: 'agent', text: withFacts(message, all), ...named });
      };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => this.tee(base.child(fields), { ...bound, ...fields }),
    };
  }

  /** G2. */
  private add(entry: Omit<Line, 'atMs'>): void {
    const text = kept(entry.text);
    const line = { ...entry, atMs: this.clock.now(), text };
    while (this.lines.push(line, text.length) === 'full') {
      this.lines.shift();
      this.dropped += 1;
    }
    if (this.lines.size === 1) this.onLines?.();
  }
}

/** The beginning of a long text, in memory of its own: a piece would keep the whole alive. */
function kept(text: string): string {
  const longest = 4 * maxLogTextCharacters;
  if (text.length <= longest) return text;
  return Buffer.from(text.slice(0, longest), 'utf16le').toString('utf16le');
}

function withFacts(text: string, fields: LogFields): string {
  const facts = Object.entries(fields)
    .filter(([name]) => name !== 'requestId')
    .map(([name, value]) => `${name}=${factText(value)}`);
  return [text, ...facts].join(' ');
}

function factText(value: unknown): string {
  if (value instanceof Error) return value.stack ?? value.message;
  if (typeof value === 'string') return value;
  return inspect(value, { depth: 3, breakLength: Infinity, maxStringLength: 1000 });
}
