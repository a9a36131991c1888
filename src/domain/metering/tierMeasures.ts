/**
 * What a tier came to, measured: made of slices of time, so that a day is summed from hours that
 * are read once.
 */
import type { TierSlug } from '../tiers/tiers.ts';

/** What the requests of a slice of time came to, on one tier. */
export interface TierSlice {
  tier: TierSlug;
  /** Those that the platform answers for (`clientOutcomes` are not). */
  requests: number;
  succeeded: number;
  /** Of those that succeeded and whose engine counted. */
  outputTokens: number;
  /** What these took, from dispatch to the end, in ms. */
  servingMs: number;
  /** How often the first byte came after so many ms: `[ms, count]`, in no order. */
  ttft: readonly (readonly [number, number])[];
}

export interface TierMeasures {
  requests: number;
  /** Between 0 and 1; null without requests. */
  successShare: number | null;
  ttftP50Ms: number | null;
  ttftP99Ms: number | null;
  /** Tokens that an answer gained each second from its dispatch to its end. */
  tokensPerSecond: number | null;
}

/**
 * Outcomes that are the client's doing, or its owner's: they say nothing about the tier and are
 * counted nowhere.
 */
export const clientOutcomes: readonly string[] = [
  'client_closed',
  'client_too_slow',
  'engine_refused',
  'unsupported_parameter',
  'revoked',
  'rate_limit_exceeded',
  'concurrency_exceeded',
  'insufficient_quota',
];

/** The outcome of a request that was answered whole. */
export const successOutcome = 'completed';

/** Slices of one tier, summed. */
export function measuresOf(slices: readonly TierSlice[]): TierMeasures {
  const sum = (of: (slice: TierSlice) => number): number =>
    slices.reduce((total, slice) => total + of(slice), 0);
  const requests = sum((slice) => slice.requests);
  const servingMs = sum((slice) => slice.servingMs);
  const ttft = slices.flatMap((slice) => slice.ttft).toSorted(([one], [other]) => one - other);
  return {
    requests,
    successShare: requests === 0 ? null : sum((slice) => slice.succeeded) / requests,
    ttftP50Ms: quantile(ttft, 0.5),
    ttftP99Ms: quantile(ttft, 0.99),
    tokensPerSecond:
      servingMs === 0 ? null : (sum((slice) => slice.outputTokens) * 1000) / servingMs,
  };
}

/** The nearest-rank quantile of sorted `[value, count]` pairs. */
function quantile(sorted: readonly (readonly [number, number])[], share: number): number | null {
  const total = sorted.reduce((sum, [, count]) => sum + count, 0);
  const rank = Math.ceil(total * share);
  let seen = 0;
  for (const [value, count] of sorted) {
    seen += count;
    if (seen >= rank) return value;
  }
  return null;
}
