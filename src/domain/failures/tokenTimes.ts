/**
 * How long one engine instance takes from token to token, as its 99th percentile over the latest
 * answers: what tells a stall from a slow engine.
 */
import { leastStallMs, stallTokens, tokenTimesKept } from './limits.ts';

/** Answers between two looks at the percentile: sorting is not for each. */
const lookEvery = 16;

export class TokenTimes {
  private readonly times: number[] = [];
  private next = 0;
  private p99Ms: number | null = null;

  /** An answer has ended: its mean time per token, in ms. */
  note(tokenMs: number): void {
    if (!(tokenMs >= 0) || tokenMs === Infinity) return;
    this.times[this.next % tokenTimesKept] = tokenMs;
    this.next += 1;
    if (this.next > lookEvery && this.next % lookEvery !== 0) return;
    const sorted = this.times.toSorted((one, other) => one - other);
    this.p99Ms = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? null;
  }

  /** The gap between two chunks that is no longer slow but a stall, in ms. */
  get stallMs(): number {
    return Math.max(leastStallMs, stallTokens * (this.p99Ms ?? 0));
  }
}
