/**
 * What a project may have while it only tries the platform out: a project all of whose endpoints
 * are on the tier `free` (or that has none) has at most 2 endpoints and 2 models of its own. One
 * endpoint on another tier lifts both bounds.
 *
 * Invariants
 * F1 No change takes a project over a bound, nor removes or moves the endpoint that lifts the
 *    bounds while the project is over them.
 */
import type { TierSlug } from '../tiers/tiers.ts';

export const freeQuota = { endpoints: 2, models: 2 } as const;

/** What a project has, as far as the quota asks. */
export interface Holdings {
  /** Of each endpoint. */
  tiers: readonly TierSlug[];
  /** Its own models; the catalogue's do not count. */
  models: number;
}

export interface QuotaExcess {
  quota: 'endpoints' | 'models';
  limit: number;
  /** What the project would have. */
  wanted: number;
}

/** Whether one endpoint at least is on another tier. */
export function quotaIsLifted({ tiers }: Pick<Holdings, 'tiers'>): boolean {
  return tiers.some((tier) => tier !== 'free');
}

/**
 * F1: the bound that a change from `before` to `after` would break; null when it may be. A project
 * that is over a bound already (the bounds were other ones once) may go down.
 */
export function quotaExcess(change: { before: Holdings; after: Holdings }): QuotaExcess | null {
  const { before, after } = change;
  if (quotaIsLifted(after)) return null;
  const wasLifted = quotaIsLifted(before);
  const excess = (quota: QuotaExcess['quota'], had: number, wanted: number): QuotaExcess | null => {
    const limit = freeQuota[quota];
    const shrinks = !wasLifted && wanted <= had;
    return wanted <= limit || shrinks ? null : { quota, limit, wanted };
  };
  return (
    excess('endpoints', before.tiers.length, after.tiers.length) ??
    excess('models', before.models, after.models)
  );
}
