/**
 * Jumps of the wall clock while this process runs: somebody set it, or the machine slept and the
 * monotonic clock stood still meanwhile. What is judged by stamps of the wall clock, and must not
 * be judged too early, asks here what time it is.
 *
 * Invariant
 * J1 `cautiousNow(span)` never makes a stamp of this process look older than `span` before `span`
 *    has passed on the monotonic clock; a span later it is the wall clock's time again.
 */
import type { Clock } from '../clock.ts';

/** What a clock that is only corrected a little drifts between two looks. */
const toleranceMs = 1_000;
/** Jumps that are remembered; of more, the two oldest are taken for one. */
const maxJumps = 64;

interface Jump {
  byMs: number;
  /** Monotonic; when it was noticed, which is never before it happened. */
  atMs: number;
}

export class ClockJumps {
  private readonly clock: Clock;
  private offsetMs: number;
  private jumps: Jump[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
    this.offsetMs = this.offset();
  }

  /** Looks for a jump since the last look. To be called more often than spans are long. */
  look(): void {
    const offsetMs = this.offset();
    const byMs = offsetMs - this.offsetMs;
    this.offsetMs = offsetMs;
    if (byMs > toleranceMs) this.jumps.push({ byMs, atMs: this.clock.monotonic() });
    const [first, second, ...rest] = this.jumps;
    if (this.jumps.length <= maxJumps || first === undefined || second === undefined) return;
    this.jumps = [{ byMs: first.byMs + second.byMs, atMs: second.atMs }, ...rest];
  }

  /** The time, in ms since the epoch, for a question of the kind: has this lasted `spanMs`? */
  cautiousNow(spanMs: number): number {
    this.look();
    const nowMs = this.clock.monotonic();
    const recent = this.jumps.filter(({ atMs }) => nowMs - atMs < spanMs);
    return this.clock.now() - recent.reduce((sum, { byMs }) => sum + byMs, 0);
  }

  private offset(): number {
    return this.clock.now() - this.clock.monotonic();
  }
}
