/**
 * Why a request is refused: at once where waiting cannot help, at its deadline by what was there
 * while it waited. Pure questions to the agent index and the pools.
 *
 * Invariants
 * V1 However many requests are refused by one event, agents are walked through once for all that
 *    are alike, and of a large fleet a part is.
 */
import { scopesFor, type AgentIndex } from '../agents/agentIndex.ts';
import type { Findings } from './findings.ts';
import type { PenaltyBox } from '../failures/penaltyBox.ts';
import type { InstancePools } from './instancePools.ts';
import { maxExplainedAgents, maxNearestMisses, maxRetriesOfBroken } from '../limits.ts';
import {
  absence,
  agentExclusion,
  exclusionReasons,
  fallbackBar,
  fallbackTier,
  hasAbilities,
  missingAbilities,
  servingTier,
  type ExclusionReason,
  type RoutedRequest,
  type Stage,
} from '../agents/matching.ts';
import type { LimitHit } from '../quotas/limitAccount.ts';
import type { ProjectAccount } from '../quotas/projectAccount.ts';
import type { QueueOutlook } from '../waiting/queueOutlook.ts';
import type { Explanation, Verdict } from './schedulerEvents.ts';
import {
  hasSlot,
  measureFor,
  type AgentGroup,
  type Claim,
  type EngineInstance,
  type KnownAgent,
  type ModelProgress,
  type WaitingRequest,
} from './schedulerState.ts';
import type { TierSlug } from '../tiers/tiers.ts';

/** Where the questions are asked. */
export interface Fleet {
  agents: AgentIndex;
  pools: InstancePools;
  penalties: PenaltyBox<KnownAgent>;
  outlook: QueueOutlook;
  findings: Findings;
}

/** Who there is for a request that waits: somebody who has the model, or makes it ready, or not. */
export type Carrier =
  | { kind: 'ready' }
  | { kind: 'loading'; progress: ModelProgress | null }
  | { kind: 'none' };

/** The stages that a request may ever reach. */
export function reachableStages(request: RoutedRequest): Stage[] {
  return fallbackTier(request) === null ? ['own'] : ['own', 'shared'];
}

/** Why waiting cannot help this request; null when it may. Asked before it begins to wait. */
export function hopeless(
  fleet: Fleet,
  where: { waiting: WaitingRequest; nowMs: number },
): Verdict | null {
  const { waiting, nowMs } = where;
  const { request } = waiting;
  const why = noHope(fleet, request);
  if (why !== null) {
    const waitedMs = nowMs - waiting.arrivedAtMs;
    const bar = fallbackBar(request);
    const explanation = explainAlike(fleet, waiting);
    return { kind: 'no_agent_available', why, bar, waitedMs, explanation };
  }
  const missing = lackingEverywhere(fleet, request);
  return missing.length === 0 ? null : { kind: 'unsupported_parameter', missing };
}

function noHope(
  fleet: Fleet,
  request: RoutedRequest,
): 'microvm' | 'bound_agents_dead' | 'no_agents' | null {
  const { endpoint, project } = request;
  if (endpoint.minimumIsolation === 'microvm') return 'microvm';
  const bound =
    isPopulated(fleet.agents.group(`e:${endpoint.id}`)) ||
    isPopulated(fleet.agents.group(`s:${endpoint.id}`));
  if (endpoint.exclusive) return bound ? null : 'bound_agents_dead';
  if (bound || isPopulated(fleet.agents.ofProject(project.id))) return null;
  const tier = fallbackTier(request);
  const shared = tier !== null && isPopulated(fleet.agents.group('s', tier));
  return shared ? null : 'no_agents';
}

const isPopulated = (group: AgentGroup | undefined): boolean =>
  group !== undefined && group.members.size > 0;

/** Abilities that no engine that is ready has, where at least one engine is ready. */
function lackingEverywhere(fleet: Fleet, request: RoutedRequest): string[] {
  const { abilities: asked } = request;
  if (asked.length === 0) return [];
  return fleet.findings.lacking.of(request, () => {
    let missing: string[] = [];
    for (const { abilities } of readyInstances(fleet, request)) {
      if (hasAbilities(abilities, { asked })) return [];
      missing = missingAbilities(abilities, { asked });
    }
    return missing;
  });
}

const isSomebodyReady = (fleet: Fleet, request: RoutedRequest): boolean =>
  fleet.findings.ready.of(request, () => readyInstances(fleet, request).next().done !== true);

/**
 * Instances that could serve the request if they had a slot, in any stage that it may reach or in
 * these; abilities are not looked at.
 */
export function* readyInstances(
  fleet: Fleet,
  request: RoutedRequest,
  stages: readonly Stage[] = reachableStages(request),
): Generator<EngineInstance> {
  for (const stage of stages) {
    for (const pool of fleet.pools.of(request, stage)) {
      for (const instance of pool.instances) {
        if (instance.slots === 0) continue;
        if (agentExclusion(instance.agent.entry, { request, stage }) === null) yield instance;
      }
    }
  }
}

/** Agents that could serve such a request now, or once they have a free slot. */
export function agentsReady(fleet: Fleet, request: RoutedRequest): number {
  return new Set([...readyInstances(fleet, request)].map(({ agent }) => agent)).size;
}

/** Groups of agents that carry the tier that would serve the request. */
function groupsFor(fleet: Fleet, request: RoutedRequest): { stage: Stage; group: AgentGroup }[] {
  return reachableStages(request).flatMap((stage) => {
    const tier = servingTier(request, stage);
    if (tier === null) return [];
    return scopesFor(request, stage).flatMap((scope) => {
      const group = fleet.agents.group(scope, tier);
      return group === undefined ? [] : [{ stage, group }];
    });
  });
}

/** Of each group that may serve the request: those that are linked, as many as are explained. */
function* activeAgents(fleet: Fleet, request: RoutedRequest): Generator<KnownAgent> {
  for (const { stage, group } of groupsFor(fleet, request)) {
    let looked = 0;
    for (const agent of group.active) {
      if ((looked += 1) > maxExplainedAgents) break;
      if (agentExclusion(agent.entry, { request, stage }) === null) yield agent;
    }
  }
}

/**
 * Agents that may serve the request by who they are, linked or not, and have not shown that they
 * cannot: one more than may have failed it, or all there are.
 */
function eligibleAgents(fleet: Fleet, request: RoutedRequest): readonly KnownAgent[] {
  return fleet.findings.eligible.of(request, () => {
    const found = new Set<KnownAgent>();
    for (const { stage, group } of groupsFor(fleet, request)) {
      for (const agent of group.members) {
        if (agentExclusion(agent.entry, { request, stage }) !== null) continue;
        if (mayBeAble(agent, request)) found.add(agent);
        if (found.size > maxRetriesOfBroken + 1) return [...found];
      }
    }
    return [...found];
  });
}

/**
 * Whether anybody who has not failed this request may still serve it, now or after a reconnect. One
 * that was suspended under the request has not failed it: it is waited for, as new requests do.
 */
export function somebodyElse(fleet: Fleet, waiting: WaitingRequest): boolean {
  const triedAgents = new Set(waiting.tried.map((tried) => tried.split('/')[0] ?? ''));
  for (const id of triedAgents) {
    if (fleet.agents.get(id)?.entry.state === 'suspended') return true;
  }
  for (const agent of eligibleAgents(fleet, waiting.request)) {
    if (!triedAgents.has(agent.entry.id)) return true;
    if (agent.nonce !== null && !waiting.tried.includes(triedKey(agent))) return true;
  }
  return false;
}

/** One that has shown what its engines can, and that none of them can this, will not serve it. */
function mayBeAble(agent: KnownAgent, { model, abilities: asked }: RoutedRequest): boolean {
  const loaded = [...agent.instances.values()].filter(
    (one) => one.nonce === agent.nonce && one.modelId === model.id && one.slots > 0,
  );
  return loaded.length === 0 || loaded.some(({ abilities }) => hasAbilities(abilities, { asked }));
}

/** The same of the agent that was claimed, as it was then. */
export const triedBy = ({ instance, life }: Claim): string =>
  triedKey({ entry: instance.agent.entry, life });

/** Names one life of an agent in `tried`. */
export function triedKey(agent: { entry: { id: string }; life: number }): string {
  return `${agent.entry.id}/${agent.life}`;
}

/** The limit of its project that kept a request from agents that were free; null: none did. */
function heldBy(
  waiting: WaitingRequest,
  nowMs: number,
): { account: ProjectAccount; hit: LimitHit } | null {
  for (const account of waiting.heldBackBy) {
    const hit = account.hit(account.amountFor(waiting), nowMs);
    if (hit !== null) return { account, hit };
  }
  return null;
}

/** What a request that waited until its deadline is told. */
export function deadlineVerdict(
  fleet: Fleet,
  where: { waiting: WaitingRequest; nowMs: number },
): Verdict {
  const { waiting, nowMs } = where;
  const { request } = waiting;
  const waitedMs = nowMs - waiting.arrivedAtMs;
  const timedOut = (): Verdict => {
    const held = heldBy(waiting, nowMs);
    const full = held?.hit.waitMs === null ? held.account : null;
    return {
      kind: 'queue_timeout',
      waitedMs,
      expectedWaitMs: expectedWaitMs(fleet, request, full),
      heldBy: held?.hit ?? null,
      explanation: explainAlike(fleet, waiting),
    };
  };
  const carrier = fleet.findings.carriers.of(request, () => carrierOf(fleet, request));
  if (carrier.kind === 'ready') return timedOut();
  if (carrier.kind === 'loading') {
    return { kind: 'model_loading', waitedMs, progress: carrier.progress };
  }
  const someone = groupsFor(fleet, request).some(
    ({ group }) => group.lastActiveAtMs >= waiting.arrivedAtMs,
  );
  if (someone) return timedOut();
  const explanation = explainAlike(fleet, waiting);
  const bar = fallbackBar(request);
  return { kind: 'no_agent_available', why: 'none_active', bar, waitedMs, explanation };
}

function carrierOf(fleet: Fleet, request: RoutedRequest): Carrier {
  if (isSomebodyReady(fleet, request)) return { kind: 'ready' };
  for (const agent of activeAgents(fleet, request)) {
    const progress = agent.models.get(request.model.id) ?? null;
    if (progress?.state === 'failed') continue;
    // Loaded, but granting nothing: it drains, or its owner paused it.
    return progress?.state === 'ready' ? { kind: 'ready' } : { kind: 'loading', progress };
  }
  return { kind: 'none' };
}

/**
 * Whether an agent of the project's own that is active, and has not failed the request, may serve
 * it: then it waits for that one, whatever shared agents are held to.
 */
export function ownAgentsServe(fleet: Fleet, { request, tried }: WaitingRequest): boolean {
  const { project, endpoint } = request;
  const isLeft = (agent: KnownAgent): boolean => !tried.includes(triedKey(agent));
  const unbound = fleet.agents.group(`p:${project.id}`, endpoint.tier)?.active ?? [];
  if (!endpoint.exclusive) for (const agent of unbound) if (isLeft(agent)) return true;
  const bound = fleet.agents.group(`e:${endpoint.id}`, endpoint.tier)?.members ?? [];
  return [...bound].some(
    (agent) =>
      agent.nonce !== null &&
      isLeft(agent) &&
      agentExclusion(agent.entry, { request, stage: 'own' }) === null,
  );
}

/** The tiers on which shared agents may serve: by fallback, or bound to the request's endpoint. */
export function sharedTiers(fleet: Fleet, request: RoutedRequest): TierSlug[] {
  const { endpoint } = request;
  const fallback = fallbackTier(request);
  const tiers = new Set<TierSlug>(fallback === null ? [] : [fallback]);
  if (hasBoundShared(fleet, request)) tiers.add(endpoint.tier);
  return [...tiers];
}

/** Whether the operator has bound shared agents to the request's endpoint. */
export function hasBoundShared(fleet: Fleet, { endpoint }: RoutedRequest): boolean {
  return isPopulated(fleet.agents.group(`s:${endpoint.id}`, endpoint.tier));
}

/**
 * How long a new request like this would wait; null: nothing is known. `full`: an account in which
 * as many run as may at once, and which has to have room for it.
 */
export function expectedWaitMs(
  fleet: Fleet,
  request: RoutedRequest,
  full: ProjectAccount | null = null,
): number | null {
  const { pools, outlook } = fleet;
  const { nowMs } = pools;
  return outlook.ofNewcomer(request, reachableStages(request), { nowMs, full });
}

/**
 * The same for all that one event refuses and that are alike (V1). Where nothing but its size tells
 * two of them apart, who has no room for the one is taken to have none for the other.
 */
function explainAlike(fleet: Fleet, waiting: WaitingRequest): Explanation {
  const find = (): Explanation => explain(fleet, waiting);
  if (waiting.tried.length > 0 || waiting.heldBackBy.size > 0) return find();
  return fleet.findings.explanations.of(waiting.request, find);
}

/** Says of the agents of each stage why they are out. Bounded: it never looks at a whole fleet. */
export function explain(fleet: Fleet, waiting: WaitingRequest): Explanation {
  const exclusions: Explanation['exclusions'] = {};
  const nearest: Explanation['nearest'] = [];
  for (const { agent, stage } of agentsToExplain(fleet, waiting.request)) {
    const reason = exclusionOf(agent, { waiting, stage, fleet });
    if (reason === null) continue;
    exclusions[reason] = (exclusions[reason] ?? 0) + 1;
    nearest.push({ agentId: agent.entry.id, stage, reason });
  }
  const rank = (miss: { reason: ExclusionReason }): number => exclusionReasons.indexOf(miss.reason);
  nearest.sort((one, other) => rank(other) - rank(one));
  return { exclusions, nearest: nearest.slice(0, maxNearestMisses) };
}

/** Those of each stage that an explanation looks at. */
export function agentsToExplain(
  fleet: Fleet,
  request: RoutedRequest,
): { agent: KnownAgent; stage: Stage }[] {
  const groups: [AgentGroup | undefined, Stage][] = [
    [fleet.agents.ofProject(request.project.id), 'own'],
    [fleet.agents.group(`e:${request.endpoint.id}`), 'own'],
    [fleet.agents.group(`s:${request.endpoint.id}`), 'own'],
    [fleet.agents.group('s'), 'shared'],
  ];
  const found = new Map<string, { agent: KnownAgent; stage: Stage }>();
  for (const [group, stage] of groups) {
    let looked = 0;
    for (const agent of group?.members ?? []) {
      if ((looked += 1) > maxExplainedAgents) break;
      if (!found.has(agent.entry.id)) found.set(agent.entry.id, { agent, stage });
    }
  }
  return [...found.values()];
}

/** Why an agent does not serve the request now: the filters in their order, then the moment's. */
function exclusionOf(
  agent: KnownAgent,
  where: { waiting: WaitingRequest; stage: Stage; fleet: Fleet },
): ExclusionReason | null {
  const { waiting, stage, fleet } = where;
  const { request } = waiting;
  if (agent.nonce === null) return absence(agent.entry);
  const byWho = agentExclusion(agent.entry, { request, stage });
  if (byWho !== null) return byWho;
  const loaded = [...agent.instances.values()].filter(
    (one) => one.nonce === agent.nonce && one.modelId === request.model.id && one.slots > 0,
  );
  if (loaded.length === 0) return 'model';
  const able = loaded.filter((one) => hasAbilities(one.abilities, { asked: request.abilities }));
  if (able.length === 0) return 'ability';
  if (able.every((one) => isFull(one, { waiting, nowMs: fleet.pools.nowMs }))) return 'busy';
  if (fleet.penalties.isBoxed(agent)) return 'penalty_box';
  if (waiting.tried.includes(triedKey(agent))) return 'tried';
  return waiting.heldBackBy.size > 0 ? 'over_limit' : null;
}

/** It has no slot, too much to compute before, or no room for the request. */
function isFull(
  instance: EngineInstance,
  { waiting, nowMs }: { waiting: WaitingRequest; nowMs: number },
): boolean {
  const { engine, pools, load } = instance;
  const { tokens } = measureFor(waiting, instance);
  if (!hasSlot(instance) || !load.hasRoom(tokens, { room: 'of_use', nowMs })) return true;
  return engine.inFlight > 0 && pools.every(({ open }) => !open.has(instance));
}
