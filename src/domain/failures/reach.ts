/**
 * Which kinds of agents a request may still reach: for the sake of the others nobody is passed over
 * (F1). A kind is out while a budget or a limit of the request's project keeps it from all of them,
 * and where its Fallback Options open shared agents at its deadline or never.
 */
import type { AgentEntry } from '../directory.ts';
import { fallbackTier } from '../agents/matching.ts';
import type { LimitBook } from '../quotas/limitBook.ts';
import type { WaitingRequest } from '../scheduler/schedulerState.ts';
import { hasBoundShared, type Fleet } from '../scheduler/verdict.ts';

/** Of its own project; shared and bound to its endpoint; shared with all. A set is a sum. */
const kinds = { own: 1, bound: 2, shared: 4 } as const;

/** What kind an agent is of to those whom it may serve. */
export function kindOf({ projectId, boundEndpointIds }: AgentEntry): number {
  if (projectId !== null) return kinds.own;
  return boundEndpointIds === null ? kinds.shared : kinds.bound;
}

/** The kinds within reach. */
export function reachOf(
  waiting: WaitingRequest,
  where: { fleet: Fleet; limits: LimitBook },
): number {
  const { request } = waiting;
  const { fleet, limits } = where;
  const tier = opensToShared(waiting) ? fallbackTier(request) : null;
  const isBound = hasBoundShared(fleet, request);
  const hasOwn = fleet.agents.ofProject(request.project.id) !== undefined;
  return (
    (hasOwn && limits.letsPass(waiting, 'own') ? kinds.own : 0) +
    (isBound && limits.letsPass(waiting, request.endpoint.tier) ? kinds.bound : 0) +
    (tier !== null && limits.letsPass(waiting, tier) ? kinds.shared : 0)
  );
}

/** At the deadline itself it is refused. */
export function opensToShared({ stages, fallbackAtMs, deadlineMs }: WaitingRequest): boolean {
  return stages.includes('shared') || (fallbackAtMs !== null && fallbackAtMs < deadlineMs);
}
