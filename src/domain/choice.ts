/**
 * Which instance: the candidates of a request, stage by stage, and the one that is taken. The first
 * policy takes the least loaded by in-flight over slots; of those, the nearest by region, ties at
 * random; own agents come first.
 */
import { randomInt, type Random } from '../lib/random.ts';
import type { InstancePools } from './instancePools.ts';
import type { LimitBook } from './limitBook.ts';
import { agentExclusion, hasAbilities, type Stage } from './matching.ts';
import { nearnessOf, type Nearness, type RegionMap } from './regionMap.ts';
import type { EngineInstance, WaitingRequest } from './schedulerState.ts';
import { triedKey } from './verdict.ts';

export interface Choice {
  instance: EngineInstance;
  stage: Stage;
  /** How many could have been taken. */
  candidates: number;
}

/** The instance to claim now; null when the request has to wait. */
export function chooseInstance(
  pools: InstancePools,
  where: { waiting: WaitingRequest; random: Random; regions: Regions; limits: LimitBook },
): Choice | null {
  const { waiting, random, regions, limits } = where;
  for (const stage of waiting.stages) {
    const candidates: EngineInstance[] = [];
    for (const pool of pools.of(waiting.request, stage)) {
      for (const instance of pool.free) {
        if (mayClaim(instance, { waiting, stage, limits })) candidates.push(instance);
      }
    }
    const best = nearest(leastLoaded(candidates), { waiting, regions });
    const instance = best.length < 2 ? best[0] : best[randomInt(random, best.length)];
    if (instance !== undefined) return { instance, stage, candidates: candidates.length };
  }
  return null;
}

/** What is known of places. */
export interface Regions {
  map: RegionMap;
  /** The router's own, for requests whose caller and endpoint name none. */
  own: string;
}

/**
 * R2, what belongs to this request alone (abilities, and who failed it before), and last the limits
 * of its project: only what they alone keep from a slot is held back by them (L3).
 */
export function mayClaim(
  instance: EngineInstance,
  where: { waiting: WaitingRequest; stage: Stage; limits: LimitBook },
): boolean {
  const { waiting, stage, limits } = where;
  const { request, tried } = waiting;
  if (instance.agent.nonce !== instance.nonce) return false;
  if (agentExclusion(instance.agent.entry, { request, stage }) !== null) return false;
  if (!hasAbilities(instance.abilities, { asked: request.abilities })) return false;
  if (tried.length > 0 && tried.includes(triedKey(instance.agent))) return false;
  return limits.admits(waiting, { agent: instance.agent.entry, stage });
}

function leastLoaded(candidates: readonly EngineInstance[]): EngineInstance[] {
  let least = Infinity;
  let best: EngineInstance[] = [];
  for (const candidate of candidates) {
    const load = candidate.inFlight / candidate.slots;
    if (load > least) continue;
    if (load < least) best = [];
    least = load;
    best.push(candidate);
  }
  return best;
}

const distances: Readonly<Record<Nearness, number>> = { same: 0, near: 1, far: 2 };

function nearest(
  candidates: EngineInstance[],
  { waiting, regions }: { waiting: WaitingRequest; regions: Regions },
): EngineInstance[] {
  const [first] = candidates;
  // One region is the rule, and then there is nothing to compare.
  const region = first?.agent.entry.region;
  if (candidates.every((one) => one.agent.entry.region === region)) return candidates;
  const { request } = waiting;
  const from = request.region ?? request.endpoint.region ?? regions.own;
  const distance = candidates.map(
    (one) => distances[nearnessOf(regions.map, from, one.agent.entry.region)],
  );
  const least = Math.min(...distance);
  return candidates.filter((_one, at) => distance[at] === least);
}
