/**
 * The agent's log, twice: to the logger that main gave (standard error), and in a bounded ring that
 * goes over the link, so that the owner sees it on the agents page.
 *
 * Invariants
 * G1 What leaves over the link has its secrets replaced and its control characters escaped.
 * G2 The ring is bounded: the oldest lines are dropped and counted, nobody waits.
 */
import { inspect } from 'node:util';
import type { Clock } from '../../lib/clock.ts';
import type { LogFields, Logger } from '../../lib/log.ts';
import type { LogMessage } from '../../protocol/messages/agentControl.ts';
import { logLinesPerMessage, maxKeptLogLines, maxLogTextCharacters } from '../limits.ts';

type Line = LogMessage['lines'][number];
type Level = Line['level'];

/** Join keys, API keys, tokens (three base64url parts), bearer headers, private keys. */
const secrets = [
  /\bxjk_[0-9A-Za-z]+_[0-9A-Za-z_-]+/g,
  /\bxim_[0-9a-z-]+_[0-9A-Za-z_-]{16,}/g,
  /\b[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}/g,
  /(?<=\bbearer\s+)\S+/gi,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
];

export class AgentLog {
  /** Called when lines wait and none did before. */
  onLines: (() => void) | undefined;
  /** Logs to both places. */
  readonly logger: Logger;
  private readonly clock: Clock;
  private lines: Line[] = [];
  private dropped = 0;

  constructor(options: { logger: Logger; clock: Clock }) {
    this.clock = options.clock;
    this.logger = this.tee(options.logger, {});
  }

  /** A line that the engine's process wrote. */
  engineLine(level: Level, text: string): void {
    this.add({ level, source: 'engine', text, fields: {} });
  }

  /**
   * The oldest lines that wait, as one message; undefined when none does. They are gone from
   * here.
   */
  take(): LogMessage | undefined {
    if (this.lines.length === 0) return undefined;
    const message: LogMessage = {
      type: 'log',
      lines: this.lines.splice(0, logLinesPerMessage),
      dropped: this.dropped,
    };
    this.dropped = 0;
    return message;
  }

  private tee(base: Logger, bound: LogFields): Logger {
    const at =
      (level: Level) =>
      (fields: LogFields, message: string): void => {
        base[level](fields, message);
        if (level === 'debug') return;
        this.add({ level, source: 'agent', text: message, fields: { ...bound, ...fields } });
      };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => this.tee(base.child(fields), { ...bound, ...fields }),
    };
  }

  private add(entry: {
    level: Level;
    source: Line['source'];
    text: string;
    fields: LogFields;
  }): void {
    const { level, source, fields } = entry;
    const { requestId } = fields;
    this.lines.push({
      atMs: this.clock.now(),
      level,
      source,
      text: shown(entry.text, fields),
      ...(typeof requestId === 'string' ? { requestId: requestId.slice(0, 64) } : {}),
    });
    if (this.lines.length > maxKeptLogLines) {
      this.lines.shift();
      this.dropped += 1;
    }
    if (this.lines.length === 1) this.onLines?.();
  }
}

function shown(text: string, fields: LogFields): string {
  const facts = Object.entries(fields)
    .filter(([name]) => name !== 'requestId')
    .map(([name, value]) => `${name}=${factText(value)}`);
  return redacted([text, ...facts].join(' ')).slice(0, maxLogTextCharacters);
}

function factText(value: unknown): string {
  if (value instanceof Error) return value.stack ?? value.message;
  if (typeof value === 'string') return value;
  return inspect(value, { depth: 3, breakLength: Infinity, maxStringLength: 1000 });
}

/** G1. */
export function redacted(text: string): string {
  let clean = text.slice(0, 4 * maxLogTextCharacters);
  for (const secret of secrets) clean = clean.replace(secret, '[secret]');
  return clean.replace(/\p{Cc}/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
