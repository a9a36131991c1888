/**
 * Refusals on arrival. By a limit: a request that shared agents alone can serve is refused when it
 * is over what its project may use on each tier that could serve it; one that own agents serve too
 * waits. The same goes for a budget that is used up: what own agents serve costs nothing. The quota
 * of its key binds whoever serves.
 */
import type { BudgetStop } from '../metering/budget.ts';
import type { LimitHit, Rates } from '../quotas/limitAccount.ts';
import type { LimitBook } from '../quotas/limitBook.ts';
import type { Verdict } from './schedulerEvents.ts';
import type { WaitingRequest } from './schedulerState.ts';
import type { TierSlug } from '../tiers/tiers.ts';
import { expectedWaitMs, hopeless, ownAgentsServe, sharedTiers, type Fleet } from './verdict.ts';
import type { WaitingQueue } from '../waiting/waitingQueue.ts';

export interface ArrivalRefusal {
  verdict: Verdict;
  /** What is left of the limits that it met; null: it met none. */
  rates: Rates | null;
}

/** Why a request that cannot be claimed at once may not wait, either; null when it may. */
export function arrivalRefusal(
  fleet: Fleet,
  where: { waiting: WaitingRequest; limits: LimitBook; queue: WaitingQueue; nowMs: number },
): ArrivalRefusal | null {
  const { waiting, queue } = where;
  const verdict = hopeless(fleet, where);
  if (verdict !== null) return { verdict, rates: null };
  const over = limitRefusal(fleet, where);
  if (over !== null) return over;
  const { request } = waiting;
  const full = queue.boundMet(waiting);
  if (full === null) return null;
  const [tier] = sharedTiers(fleet, request);
  return { verdict: full, rates: tier === undefined ? null : where.limits.ratesOn(tier, request) };
}

function limitRefusal(
  fleet: Fleet,
  where: { waiting: WaitingRequest; limits: LimitBook },
): ArrivalRefusal | null {
  const { waiting, limits } = where;
  const { request } = waiting;
  const met: { tier: TierSlug; hit: LimitHit }[] = [];
  let budget: BudgetStop | null = null;
  for (const tier of sharedTiers(fleet, request)) {
    const stop = limits.stopOn(tier, waiting);
    const hit = stop === null ? limits.hitOn(tier, waiting) : null;
    if (stop !== null) budget = stop;
    else if (hit === null) return null;
    else met.push({ tier, hit });
  }
  if (ownAgentsServe(fleet, waiting)) return null;
  const [nearest] = met.toSorted((one, other) => waitOf(one.hit) - waitOf(other.hit));
  if (nearest === undefined) {
    return budget && { verdict: { kind: 'insufficient_quota', budget }, rates: null };
  }
  const { tier, hit } = nearest;
  const isConcurrency = hit.limit === 'concurrent_requests';
  const kind = isConcurrency ? 'concurrency_exceeded' : 'rate_limit_exceeded';
  const account = limits.accountOn(tier, request);
  const waitMs = hit.waitMs ?? expectedWaitMs(fleet, request, account);
  const verdict = { kind, hit, tier, expectedWaitMs: waitMs } as const;
  return { verdict, rates: limits.ratesOn(tier, request) };
}

/** Those that wait for what a budget does not let them have any more. */
export function stoppedRequests(
  fleet: Fleet,
  where: { limits: LimitBook; queue: WaitingQueue },
): { waiting: WaitingRequest; verdict: Verdict }[] {
  const { limits, queue } = where;
  return [...queue.all()].flatMap((waiting) => {
    const verdict = stopVerdict(fleet, { waiting, limits });
    return verdict === null ? [] : [{ waiting, verdict }];
  });
}

/** Whether a budget keeps a request from all who may still serve it; null: it does not. */
export function stopVerdict(
  fleet: Fleet,
  where: { waiting: WaitingRequest; limits: LimitBook },
): Verdict | null {
  const refusal = limitRefusal(fleet, where);
  return refusal?.verdict.kind === 'insufficient_quota' ? refusal.verdict : null;
}

/** Why the quota of its key refuses a request, whoever would serve it; null: it holds its part. */
export function quotaRefusal(
  fleet: Fleet,
  { waiting, limits }: { waiting: WaitingRequest; limits: LimitBook },
): ArrivalRefusal | null {
  const { request, measures } = waiting;
  if (request.key === null || request.key.quota === null) return null;
  // As those count who will probably serve it; whoever does so puts it right.
  const isOwn = ownAgentsServe(fleet, waiting) || sharedTiers(fleet, request).length === 0;
  const hit = limits.holdKey(waiting, measures[isOwn ? 'own' : 'shared'].tokens);
  if (hit === null) return null;
  const { waitMs: expectedWaitMs } = hit;
  const verdict = { kind: 'rate_limit_exceeded', hit, tier: null, expectedWaitMs } as const;
  return { verdict, rates: limits.ratesOfKey(request) };
}

const waitOf = (hit: LimitHit): number => hit.waitMs ?? 0;
