/**
 * Turns of one account or key at reading. Reads of several callers go in turn anyway, one after
 * the other; but the sums of a year take as long as a hundred lists. So a caller has few reads
 * under way at once, some wait, and what long ones take is charged to an allowance of time.
 *
 * No timers: an allowance is brought up to date when it is looked at. R6 The caller that was quiet
 * longest is forgotten first; those that read now are as many as there are connections at most.
 */
import type { Clock } from '../../lib/clock.ts';
import type { HttpLimits } from '../limits.ts';

export type ReadingLimits = HttpLimits['reading'];

export type ReadTurn =
  | {
      ok: true;
      /** The answer is there: what it took is charged. */
      answered(): void;
      /** The next one's turn. Idempotent. */
      leave(): void;
    }
  | { ok: false; retryAfterMs: number };

interface Reader {
  leftMs: number;
  atMs: number;
  running: number;
  waiting: (() => void)[];
}

/** What waits is short work of the same caller's. */
const fullRetryMs = 1_000;

export class ReadTurns {
  private readonly readers = new Map<string, Reader>();
  private readonly clock: Clock;
  private readonly limits: ReadingLimits;
  private readonly maxReaders: number;

  constructor(options: { clock: Clock; limits: ReadingLimits; maxReaders: number }) {
    this.clock = options.clock;
    this.limits = options.limits;
    this.maxReaders = options.maxReaders;
  }

  async enter(caller: string): Promise<ReadTurn> {
    const { atOnce, waiting, share } = this.limits;
    const reader = this.readerOf(caller);
    if (reader.leftMs <= 0) {
      return { ok: false, retryAfterMs: Math.ceil((1 - reader.leftMs) / share) };
    }
    if (reader.running >= atOnce) {
      if (reader.waiting.length >= waiting) return { ok: false, retryAfterMs: fullRetryMs };
      await new Promise<void>((resolve) => reader.waiting.push(resolve));
    } else reader.running += 1;
    return this.turnOf(reader);
  }

  /** Callers that are remembered now. */
  get size(): number {
    return this.readers.size;
  }

  private turnOf(reader: Reader): ReadTurn {
    const beganMs = this.clock.monotonic();
    let phase: 'inside' | 'left' = 'inside';
    return {
      ok: true,
      answered: () => {
        const tookMs = this.clock.monotonic() - beganMs;
        if (tookMs > this.limits.freeMs) reader.leftMs -= tookMs;
      },
      leave: () => {
        if (phase === 'left') return;
        phase = 'left';
        const next = reader.waiting.shift();
        if (next === undefined) reader.running -= 1;
        else next();
      },
    };
  }

  private readerOf(caller: string): Reader {
    const { burstMs, share } = this.limits;
    const nowMs = this.clock.monotonic();
    const known = this.readers.get(caller);
    const reader = known ?? { leftMs: burstMs, atMs: nowMs, running: 0, waiting: [] };
    reader.leftMs = Math.min(burstMs, reader.leftMs + (nowMs - reader.atMs) * share);
    reader.atMs = nowMs;
    // A map keeps the order of insertion: what was touched last stands last.
    this.readers.delete(caller);
    this.readers.set(caller, reader);
    if (this.readers.size > this.maxReaders) this.forgetOne();
    return reader;
  }

  private forgetOne(): void {
    for (const [caller, { running }] of this.readers) {
      if (running > 0) continue;
      this.readers.delete(caller);
      return;
    }
  }
}
