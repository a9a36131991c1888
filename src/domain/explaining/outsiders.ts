/**
 * Who could never have served an endpoint's request as things are: not active, without the tier or
 * the model, bound elsewhere. It changes when the fleet does and not from request to request, so it
 * is found out once for each endpoint and state of the fleet, and not on anybody's way.
 */
import {
  absence,
  agentExclusion,
  exclusionReasons,
  type ExclusionReason,
  type RoutedRequest,
} from '../agents/matching.ts';
import type { AgentEntry } from '../directory.ts';
import { maxNearestMisses } from '../limits.ts';
import { agentsToExplain, type Fleet } from '../scheduler/verdict.ts';

export interface OutsiderFacts {
  counts: Partial<Record<ExclusionReason, number>>;
  /** The nearest misses first. */
  nearest: { agent: AgentEntry; reason: ExclusionReason }[];
  /** Shared agents that have the model and may serve the endpoint. */
  sharedReady: number;
}

/** Bounded: of a large fleet a part is looked at. */
export function outsidersOf(fleet: Fleet, request: RoutedRequest): OutsiderFacts {
  const counts: OutsiderFacts['counts'] = {};
  const nearest: OutsiderFacts['nearest'] = [];
  let sharedReady = 0;
  for (const { agent, stage } of agentsToExplain(fleet, request)) {
    const { entry, nonce, instances } = agent;
    let reason = nonce === null ? absence(entry) : agentExclusion(entry, { request, stage });
    if (reason === null && !hasModel(instances.values(), request.model.id)) reason = 'model';
    // The others are told of in each decision.
    if (reason === null && stage === 'shared') sharedReady += 1;
    if (reason === null) continue;
    counts[reason] = (counts[reason] ?? 0) + 1;
    nearest.push({ agent: entry, reason });
  }
  const rank = (miss: { reason: ExclusionReason }): number => exclusionReasons.indexOf(miss.reason);
  nearest.sort((one, other) => rank(other) - rank(one));
  return { counts, nearest: nearest.slice(0, maxNearestMisses), sharedReady };
}

function hasModel(
  instances: Iterable<{ modelId: string; slots: number }>,
  modelId: string,
): boolean {
  for (const { modelId: has, slots } of instances) if (has === modelId && slots > 0) return true;
  return false;
}
