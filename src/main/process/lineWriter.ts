/**
 * Lines to a file descriptor that somebody else reads: many in one write, in their order, and
 * without ever holding the process up.
 *
 *     resting ──line──▶ gathering ──enough, or long enough──▶ writing ──▶ resting     any ──▶ gone
 *
 * Invariants
 * W1 A reader that is slow costs memory up to a bound, then lines, and never a turn of the event
 *    loop: the router shares the thread.
 * W2 A reader that has gone costs nothing: from then on lines are dropped.
 * W3 At an exit nobody is waited for: what is left is written at once where the reader has kept up,
 *    and given up where it has not. (A process that has nothing more to do stays for a slow reader,
 *    for as long as its owner lets it.)
 */
import { write, writeSync } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';

export interface LineWriterOptions {
  fd: number;
  clock: Clock;
  /** Lines that make a write worth its while, in bytes. */
  companyBytes: number;
  /** How long a line waits for company, and a full pipe for its reader. */
  companyMs: number;
  /** Lines that wait for the reader, in bytes; beyond it lines are dropped. */
  maxWaitingBytes: number;
}

/** What a pipe takes whole or not at all. */
const pieceBytes = 4096;

export class LineWriter {
  private readonly options: LineWriterOptions;
  private phase: 'resting' | 'gathering' | 'writing' | 'gone' = 'resting';
  private waiting: string[] = [];
  private waitingBytes = 0;

  constructor(options: LineWriterOptions) {
    this.options = options;
  }

  /** Takes a line, with its end. Never blocks, never throws. */
  write(line: string): void {
    if (this.phase === 'gone' || this.waitingBytes >= this.options.maxWaitingBytes) return;
    this.waiting.push(line);
    this.waitingBytes += line.length;
    if (this.phase === 'resting') this.gather();
    if (this.phase === 'gathering' && this.waitingBytes >= this.options.companyBytes) this.flush();
  }

  /** Begins to write what waits. */
  flush(): void {
    if (this.phase === 'writing' || this.phase === 'gone' || this.waiting.length === 0) return;
    this.phase = 'writing';
    this.send(this.take());
  }

  /** W3. For the `exit` of the process, where nothing can be waited for. */
  end(): void {
    if (this.phase === 'writing' || this.phase === 'gone') return;
    this.phase = 'gone';
    const bytes = this.take();
    try {
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        writeSync(this.options.fd, bytes.subarray(at, at + pieceBytes));
      }
    } catch {
      // The reader has gone, or its pipe is full: these lines have nobody to read them.
    }
  }

  private gather(): void {
    this.phase = 'gathering';
    this.options.clock.setTimer(this.options.companyMs, () => {
      if (this.phase === 'gathering') this.flush();
    });
  }

  private take(): Buffer {
    const bytes = Buffer.from(this.waiting.join(''));
    this.waiting = [];
    this.waitingBytes = 0;
    return bytes;
  }

  private send(bytes: Buffer): void {
    write(this.options.fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error !== null && error.code !== 'EAGAIN') {
        this.phase = 'gone';
        this.take();
        return;
      }
      const rest = error === null ? bytes.subarray(written) : bytes;
      if (error !== null) {
        const again = (): void => this.send(rest);
        this.options.clock.setTimer(this.options.companyMs, again, { keepAlive: true });
      } else if (rest.length > 0) this.send(rest);
      else {
        this.phase = 'resting';
        if (this.waiting.length > 0) this.gather();
      }
    });
  }
}
