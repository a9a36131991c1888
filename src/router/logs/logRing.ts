/**
 * The last lines of one log, numbered without a gap from the first that ever came. What was pushed
 * out is known by the numbers that are missing.
 */
import { logLineBytes } from '../limits.ts';

export interface LogLine {
  kind: 'line';
  /** As the agent's clock says, epoch ms. */
  atMs: number;
  receivedAtMs: number;
  level: 'debug' | 'info' | 'warn' | 'error';
  /** `engine`: the engine's own output. */
  source: 'agent' | 'engine';
  text: string;
  requestId: string | null;
}

/** Lines that were lost here; null: nobody knows how many. */
export interface LogGap {
  kind: 'gap';
  receivedAtMs: number;
  lines: number | null;
}

export type LogEntry = (LogLine | LogGap) & { seq: number };

export class LogRing {
  private entries: (LogEntry | undefined)[] = [];
  /** Entries before this place in the array have been pushed out. */
  private from = 0;
  private nextSeq = 1;
  private heldBytes = 0;

  get bytes(): number {
    return this.heldBytes;
  }

  get size(): number {
    return this.entries.length - this.from;
  }

  /** Number of the newest entry; 0 before the first. */
  get last(): number {
    return this.nextSeq - 1;
  }

  append(entry: LogLine | LogGap): void {
    this.entries.push({ ...entry, seq: this.nextSeq });
    this.nextSeq += 1;
    this.heldBytes += bytesOf(entry);
  }

  /** Pushes the oldest out until what is left keeps to the bounds. */
  trim(bounds: { entries: number; bytes: number }): void {
    while (this.size > 0 && (this.size > bounds.entries || this.heldBytes > bounds.bytes)) {
      const oldest = this.entries[this.from];
      this.entries[this.from] = undefined;
      this.from += 1;
      if (oldest !== undefined) this.heldBytes -= bytesOf(oldest);
    }
    if (this.from * 2 < this.entries.length) return;
    this.entries = this.entries.slice(this.from);
    this.from = 0;
  }

  /** At most `limit` entries after number `after`, oldest first, and how many are gone before. */
  after(after: number, limit: number): { entries: LogEntry[]; missed: number } {
    const first = this.nextSeq - this.size;
    const begin = Math.max(0, after + 1 - first);
    const at = this.from + begin;
    const entries = this.entries.slice(at, at + limit) as LogEntry[];
    return { entries, missed: Math.max(0, first - (after + 1)) };
  }
}

function bytesOf(entry: LogLine | LogGap): number {
  return logLineBytes + (entry.kind === 'line' ? Buffer.byteLength(entry.text) : 0);
}
