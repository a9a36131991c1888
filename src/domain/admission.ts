/**
 * Limits on arrival: a request that shared agents alone can serve is refused when it is over what
 * its project may use on each tier that could serve it. One that own agents serve too waits.
 */
import type { LimitHit, Rates } from './limitAccount.ts';
import type { LimitBook } from './limitBook.ts';
import type { Verdict } from './schedulerEvents.ts';
import type { WaitingRequest } from './schedulerState.ts';
import type { TierSlug } from './tiers.ts';
import { expectedWaitMs, ownAgentsServe, sharedTiers, type Fleet } from './verdict.ts';

export interface LimitRefusal {
  verdict: Verdict;
  rates: Rates;
}

/** Why the request is refused by a limit; null when it may wait. */
export function limitRefusal(
  fleet: Fleet,
  where: { waiting: WaitingRequest; limits: LimitBook },
): LimitRefusal | null {
  const { waiting, limits } = where;
  const { request, tokens } = waiting;
  const { project } = request;
  const met: { tier: TierSlug; hit: LimitHit }[] = [];
  for (const tier of sharedTiers(fleet, request)) {
    const hit = limits.hitOn(tier, { project, tokens });
    if (hit === null) return null;
    met.push({ tier, hit });
  }
  const [nearest] = met.toSorted((one, other) => waitOf(one.hit) - waitOf(other.hit));
  if (nearest === undefined || ownAgentsServe(fleet, request)) return null;
  const { tier, hit } = nearest;
  const isConcurrency = hit.limit === 'concurrent_requests';
  return {
    verdict: {
      kind: isConcurrency ? 'concurrency_exceeded' : 'rate_limit_exceeded',
      hit,
      tier,
      expectedWaitMs: hit.waitMs ?? expectedWaitMs(fleet, request),
    },
    rates: limits.ratesOn(tier, { project }),
  };
}

const waitOf = (hit: LimitHit): number => hit.waitMs ?? 0;
