/**
 * Counts failed attempts per key (an address, an account) and says when a key must wait: a bucket
 * of `burst` failures that refills by one each `refillMs`.
 *
 * Invariants
 * F1 A success costs nothing, and a refused attempt costs nothing more.
 * F2 Memory is bounded: beyond `entries` keys the one that was not touched for longest is
 *    forgotten, and a key whose failures have drained is not kept.
 * F3 However many attempts run at once, no more than `burst` of them are under way.
 */
import type { Clock } from '../../lib/clock.ts';

export interface AttemptLimiter {
  /**
   * Counts an attempt as failed before it is known to be, so that many at once cannot pass together
   * (F3). Returns 0, or how long this key must wait, in ms; then nothing was counted.
   */
  take(key: string): number;
  /** The attempt that was taken did not fail after all. */
  refund(key: string): void;
  /** Keys that are remembered now. */
  size(): number;
}

interface Bucket {
  /** Failures that have not drained yet, at `atMs`. */
  failures: number;
  atMs: number;
}

/** `refillMs`: time after which one failure is forgotten. `entries`: keys remembered at most. */
export function createAttemptLimiter(options: {
  clock: Clock;
  burst: number;
  refillMs: number;
  entries: number;
}): AttemptLimiter {
  const { clock, burst, refillMs, entries } = options;
  const buckets = new Map<string, Bucket>();
  const failuresOf = (key: string): number => {
    const bucket = buckets.get(key);
    if (bucket === undefined) return 0;
    return Math.max(0, bucket.failures - (clock.monotonic() - bucket.atMs) / refillMs);
  };
  const remember = (key: string, failures: number): void => {
    // Set anew, so that the map's order is the order of last use (F2).
    buckets.delete(key);
    if (failures > 0) buckets.set(key, { failures, atMs: clock.monotonic() });
    if (buckets.size > entries) buckets.delete(buckets.keys().next().value as string);
  };
  return {
    take(key) {
      const failures = failuresOf(key);
      if (failures > burst - 1) return Math.ceil((failures - burst + 1) * refillMs);
      remember(key, failures + 1);
      return 0;
    },
    refund: (key) => remember(key, failuresOf(key) - 1),
    size: () => buckets.size,
  };
}
