/**
 * Which instance: the candidates of a request, stage by stage, and the one that is taken. Own
 * agents come first; among the open instances of a stage the score decides (`scheduling/score`).
 */
import type { FailureBook } from '../failures/failureBook.ts';
import type { Random } from '../../lib/random.ts';
import type { Findings } from './findings.ts';
import type { InstancePools } from './instancePools.ts';
import type { LimitBook } from '../quotas/limitBook.ts';
import { agentExclusion, hasAbilities, type Stage } from '../agents/matching.ts';
import type { Nearness } from '../agents/regionMap.ts';
import type { Origin, Regions } from '../agents/regions.ts';
import {
  hasSlot,
  measureFor,
  type EngineInstance,
  type InstancePool,
  type WaitingRequest,
} from './schedulerState.ts';
import type { Room } from '../placing/instanceLoad.ts';
import { maxSampled, maxScored } from './limits.ts';
import type { Placement } from '../placing/placement.ts';
import { scoreOf, takeBest, type Scored } from '../placing/score.ts';
import { scoredDecision, Survey, type Decision, type OutReason } from '../explaining/decision.ts';
import { triedKey } from './verdict.ts';

export interface Choice {
  instance: EngineInstance;
  stage: Stage;
  /** What it was made from; null: nobody was compared, an instance opened and chose. */
  decision: Decision | null;
}

/** What a choice is made with. */
export interface Chooser {
  random: Random;
  regions: Regions;
  limits: LimitBook;
  placement: Placement;
  failures: Pick<FailureBook, 'passesOver'>;
  findings: Findings;
}

/** The instance to claim now; null when the request has to wait. */
export function chooseInstance(
  pools: InstancePools,
  where: { waiting: WaitingRequest; nowMs: number; chooser: Chooser; stages?: readonly Stage[] },
): Choice | null {
  const { waiting, nowMs, chooser, stages = waiting.stages } = where;
  const survey = new Survey();
  const looked: InstancePool[] = [];
  const holders = once(() => chooser.placement.holders(waiting));
  for (const stage of stages) {
    const found = pools.of(waiting.request, stage);
    looked.push(...found);
    const candidates = candidatesOf(found, { waiting, stage, chooser, survey, holders, nowMs });
    if (candidates.length === 0) continue;
    candidates.push(...busyHolders(found, { waiting, stage, chooser, holders, nowMs }));
    const scored = scoresOf(candidates, { waiting, nowMs, chooser });
    const best = takeBest(scored, chooser.random);
    if (best === undefined) continue;
    survey.closed(looked, best.item);
    return { instance: best.item, stage, decision: scoredDecision(scored, best, survey) };
  }
  return null;
}

/** Looked up when it is first asked for. */
function once<Value>(find: () => Value): () => Value {
  let found: { value: Value } | undefined;
  return () => {
    found ??= { value: find() };
    return found.value;
  };
}

/**
 * The same for one whose turn it is on an instance that has opened: that one, unless it is cheaper
 * to wait at one that holds its beginning.
 */
export function chooseInTurn(
  { instance, stage }: { instance: EngineInstance; stage: Stage },
  where: { pools: InstancePools; waiting: WaitingRequest; nowMs: number; chooser: Chooser },
): Choice {
  const { waiting, nowMs, chooser } = where;
  const { pools } = instance;
  const holders = (): EngineInstance[] => chooser.placement.holders(waiting);
  const busy = busyHolders(pools, { waiting, stage, chooser, holders, nowMs });
  if (busy.length === 0) return { instance, stage, decision: null };
  const scored = scoresOf([instance, ...busy], where);
  const best = takeBest(scored, chooser.random);
  if (best === undefined || best.item === instance) return { instance, stage, decision: null };
  const survey = new Survey();
  survey.closed(pools, best.item);
  return { instance: best.item, stage, decision: scoredDecision(scored, best, survey) };
}

function scoresOf(
  candidates: readonly EngineInstance[],
  where: { waiting: WaitingRequest; nowMs: number; chooser: Chooser },
): Scored<EngineInstance>[] {
  const { waiting, nowMs, chooser } = where;
  const { placement, regions } = chooser;
  const nearness = nearnessFor(candidates, { waiting, regions });
  return candidates.map((instance) =>
    scoreOf(instance, {
      load: instance.load,
      order: placement.order(waiting, instance),
      nearness: nearness(instance),
      slots: instance.slots,
      nowMs,
    }),
  );
}

/**
 * R2, what belongs to this request alone (abilities, and who failed it before), who is spared
 * because it failed others (F1), and last the limits of its project: only what they alone keep from
 * a slot is held back by them (L3). Null: it may be claimed.
 */
export function claimExclusion(
  instance: EngineInstance,
  where: {
    waiting: WaitingRequest;
    stage: Stage;
    limits: LimitBook;
    failures: Pick<FailureBook, 'passesOver'>;
    placement: Placement;
    room: Room;
    nowMs: number;
  },
): OutReason | null {
  const { waiting, stage, limits, failures, placement, room, nowMs } = where;
  const { request, tried } = waiting;
  const { tokens } = measureFor(waiting, instance);
  if (!instance.load.hasRoom(tokens, { room, nowMs })) return 'no_room';
  if (instance.agent.nonce !== instance.nonce) return 'not_active';
  const byWho = agentExclusion(instance.agent.entry, { request, stage });
  if (byWho !== null) return byWho;
  if (!hasAbilities(instance.abilities, { asked: request.abilities })) return 'ability';
  if (tried.length > 0 && tried.includes(triedKey(instance.agent))) return 'tried';
  if (failures.passesOver(waiting, instance)) return 'penalty_box';
  if (isKeptForShort(instance, { waiting, placement, nowMs })) return 'kept_for_short';
  return limits.admits(waiting, { agent: instance.agent.entry, stage }) ? null : 'over_limit';
}

/**
 * Whether its prompt is long here and the instance is kept free of such (B1). Only for the sake of
 * the same project: while others wait, it is fairness that decides. Retries are kept from nothing.
 */
function isKeptForShort(
  instance: EngineInstance,
  where: { waiting: WaitingRequest; placement: Placement; nowMs: number },
): boolean {
  const { waiting, placement, nowMs } = where;
  const { pools } = instance;
  const measure = measureFor(waiting, instance);
  measure.longFrom ??= Math.max(...pools.map(({ long }) => long.fromTokens));
  if (measure.tokens.prompt < measure.longFrom || waiting.order < 0) return false;
  if (nowMs >= (measure.keptUntilMs ?? Infinity)) return false;
  if (!pools.every((pool) => isKept(pool, where, instance))) return false;
  if (placement.ownTokens(waiting, instance) < measure.longFrom) return false;
  for (const { long } of pools) long.keeps = true;
  return true;
}

function isKept(
  { instances, waiting: queue, long }: InstancePool,
  { waiting: { projectId } }: { waiting: WaitingRequest },
  instance: EngineInstance,
): boolean {
  if (long.admits(instance, instances.size)) return false;
  return queue.projectCount === (queue.of(projectId) === undefined ? 0 : 1);
}

/** Whether the instance may be claimed now. */
export function mayClaim(
  instance: EngineInstance,
  where: Parameters<typeof claimExclusion>[1],
): boolean {
  return claimExclusion(instance, where) === null;
}

/** Open instances that may be taken: all of a few, of many a part. */
function candidatesOf(
  pools: readonly InstancePool[],
  where: {
    waiting: WaitingRequest;
    stage: Stage;
    chooser: Chooser;
    survey: Survey;
    holders: () => EngineInstance[];
    nowMs: number;
  },
): EngineInstance[] {
  const { waiting, stage, chooser, survey, holders, nowMs } = where;
  const { limits, random, failures, placement, regions } = chooser;
  const how = { waiting, stage, limits, failures, placement, room: 'of_use', nowMs } as const;
  let isLimited = false;
  let last: { one: EngineInstance; why: OutReason } | undefined;
  const passes = (one: EngineInstance): boolean => {
    const why = claimExclusion(one, how);
    if (why !== null) survey.out(one, why);
    if (why !== null) last = { one, why };
    isLimited ||= why === 'over_limit';
    return why === null;
  };
  const found: EngineInstance[] = [];
  for (const pool of pools) {
    const { open } = pool;
    if (open.size <= maxScored) {
      for (const instance of open.all()) if (passes(instance)) found.push(instance);
      continue;
    }
    const part = new Set(holders().filter((one) => open.has(one)));
    const origin = originOf(waiting, regions);
    const nearnessOf = regions.nearnessOfRegions(origin);
    const from = { random, region: origin.region, nearnessOf };
    for (const one of open.sample(maxSampled, from)) part.add(one);
    const before = found.length;
    for (const instance of part) if (passes(instance)) found.push(instance);
    // Where few of many may serve it, a sample may miss them all. A limit counts for all of them.
    if (found.length > before || isLimited) continue;
    const able = ableOnes(pool, where);
    if (able === null) found.push(...open.all().filter(passes));
    else {
      const rest = able.filter((one) => open.has(one) && !part.has(one));
      const others = open.size - part.size - rest.length;
      if (last !== undefined && others > 0) survey.out(last.one, last.why, others);
      found.push(...rest.filter(passes));
    }
  }
  return found;
}

/**
 * Those of a pool that may serve such a request for what they are, open or not, where they are few:
 * looked for once for all that are alike, so that what nobody can serve does not cost a look at
 * everybody each time. Null: they are many.
 */
function ableOnes(
  pool: InstancePool,
  where: { waiting: WaitingRequest; stage: Stage; chooser: Chooser },
): readonly EngineInstance[] | null {
  const { waiting, stage, chooser } = where;
  const { request } = waiting;
  return chooser.findings.ableIn(pool).of(request, () => {
    const able: EngineInstance[] = [];
    for (const instance of pool.instances) {
      const { agent, nonce, abilities } = instance;
      if (agent.nonce !== nonce || !hasAbilities(abilities, { asked: request.abilities })) continue;
      if (agentExclusion(agent.entry, { request, stage }) === null) able.push(instance);
      if (able.length > maxScored) return null;
    }
    return able;
  });
}

/**
 * Those that are closed by their backlogs alone and hold the beginning of the prompt: it may be
 * cheaper to wait there than to compute it anew. Such a request is given to its holder at once: it
 * would be next there in any case, because little of it is left to compute.
 */
function busyHolders(
  pools: readonly InstancePool[],
  where: {
    waiting: WaitingRequest;
    stage: Stage;
    chooser: Chooser;
    holders: () => EngineInstance[];
    nowMs: number;
  },
): EngineInstance[] {
  const { waiting, stage, chooser, holders, nowMs } = where;
  if (pools.every(({ instances, open }) => open.size === instances.size)) return [];
  const { limits, failures, placement } = chooser;
  const how = { waiting, stage, limits, failures, placement, room: 'of_use', nowMs } as const;
  const isBusy = (one: EngineInstance): boolean =>
    hasSlot(one) && pools.some(({ instances, open }) => instances.has(one) && !open.has(one));
  return holders().filter((one) => isBusy(one) && mayClaim(one, how));
}

function nearnessFor(
  candidates: readonly EngineInstance[],
  { waiting, regions }: { waiting: WaitingRequest; regions: Regions },
): (instance: EngineInstance) => Nearness {
  const origin = originOf(waiting, regions);
  // Its own region, and no other one, is the rule.
  if (candidates.every((one) => one.agent.entry.region === origin.region)) return () => 'same';
  const nearness = regions.nearnessFrom(origin);
  return ({ agent }) => nearness(agent);
}

const originOf = ({ request, projectId }: WaitingRequest, { own }: Regions): Origin => ({
  region: request.region ?? request.endpoint.region ?? own,
  projectId,
});
