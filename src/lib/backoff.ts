/**
 * Delays between attempts: exponential with full jitter, so that a thousand agents that lost the
 * same router do not come back in step. The n-th delay is uniform between `firstMs` and
 * `min(longestMs, firstMs · 2ⁿ)`; the first (n = 1) already spreads over twice its floor.
 */
import type { Random } from './random.ts';

export interface Backoff {
  /** The next delay in ms. */
  nextMs(): number;
  /** Starts again from the first delay: call it when an attempt has not only worked but held. */
  reset(): void;
  /** Delays given since the start or the last reset. */
  readonly attempts: number;
}

/** `firstMs` > 0 and ≤ `longestMs`, both in ms. */
export function createBackoff(options: {
  random: Random;
  firstMs: number;
  longestMs: number;
}): Backoff {
  const { random, firstMs, longestMs } = options;
  let attempts = 0;
  return {
    get attempts() {
      return attempts;
    },
    nextMs() {
      attempts += 1;
      const ceilingMs = Math.min(longestMs, firstMs * 2 ** Math.min(attempts, 32));
      return firstMs + random.float() * (ceilingMs - firstMs);
    },
    reset() {
      attempts = 0;
    },
  };
}
