/**
 * A model of the scheduler that is too slow for the product but plainly right: lists, scanned from
 * front to back. After every event it checks R1, R2, R5, W1, the order of the queue and that own
 * agents come first.
 */
import assert from 'node:assert/strict';
import { seededRandom } from '../../lib/random.ts';
import { agentExclusion, type RoutedRequest, type Stage } from '../../domain/agents/matching.ts';
import type { AgentEntry } from '../../domain/directory.ts';
import { Scheduler } from '../../domain/scheduler/scheduler.ts';
import type {
  Dispatch,
  SchedulerCommand,
  SchedulerEvent,
  UntimedEvent,
} from '../../domain/scheduler/schedulerEvents.ts';
import {
  agentEntry,
  endpointEntry,
  modelEntry,
  projectEntry,
  routedRequest,
} from './directoryEntries.ts';
import { PlainPenalties } from './plainPenalties.ts';
import { unlimitedTiers } from './unlimitedTiers.ts';

interface ModelInstance {
  agentId: string;
  nonce: string;
  id: string;
  modelId: string;
  slots: number;
}
interface ModelAgent {
  entry: AgentEntry;
  nonce: string | null;
  life: number;
  /** F5: the process that was lost with requests under way, and how many in a row were. */
  lostNonce: string | null;
  crashes: number;
}
interface ModelClaim extends ModelInstance {
  claim: number;
  life: number;
  requestId: string;
  serving: boolean;
}
interface ModelWaiting {
  request: RoutedRequest;
  order: number;
  arrivedAtMs: number;
  deadlineMs: number;
  tried: string[];
  turnedDown: number;
  /** F4 */
  failedAt: Set<string>;
  strikes: { agentId: string; life: number }[];
}

export const agentIds = ['own1', 'own2', 'other1', 'shared1', 'shared2', 'bound1'];
const projectOf: Record<string, string | null> = { own1: 'a', own2: 'a', other1: 'b', bound1: 'a' };

function entryOf(id: string, state: AgentEntry['state']): AgentEntry {
  const projectId = projectOf[id] ?? null;
  const boundEndpointIds = id === 'bound1' ? ['ep_exclusive'] : null;
  return agentEntry({ id, projectId, state, boundEndpointIds });
}

export const firstEndpoints = {
  a: endpointEntry({ id: 'ep_a', projectId: 'a' }),
  b: endpointEntry({
    id: 'ep_b',
    projectId: 'b',
    fallback: { enabled: true, afterMs: 700, tier: 'free' },
  }),
  closed: endpointEntry({
    id: 'ep_closed',
    projectId: 'a',
    tier: 'self_hosted',
    fallback: { enabled: false, afterMs: 0, tier: null },
    queueTimeoutMs: 1500,
  }),
  exclusive: endpointEntry({
    id: 'ep_exclusive',
    projectId: 'a',
    exclusive: true,
    fallback: { enabled: false, afterMs: 0, tier: null },
  }),
};

/** How an attempt ends, and what that says of its agent. */
export const healthOf = {
  end: undefined,
  good: 'good',
  broken: 'bad',
  failed: 'bad',
  resumed: 'bad',
  turned_down: undefined,
} as const;
export type Finish = keyof typeof healthOf;

export type EndpointName = keyof typeof firstEndpoints;

export interface Settings {
  exclusive: boolean;
  enabled: boolean;
  afterMs: number;
}

export class World {
  readonly scheduler: Scheduler;
  readonly agents = new Map<string, ModelAgent>();
  lives = 0;
  instances: ModelInstance[] = [];
  claims: ModelClaim[] = [];
  waiting: ModelWaiting[] = [];
  finished = new Set<string>();
  nowMs = 0;
  requests = 0;
  /** Whose attempt fails in this event. */
  again: ModelWaiting | undefined;
  readonly penalties = new PlainPenalties();
  /** As the directory has them now. */
  readonly endpoints = { ...firstEndpoints };

  constructor(seed: number) {
    // The waiting line per project is bounded by it too, and that bound is part of what is tried.
    const tiers = unlimitedTiers({ concurrentPerProject: 1_000 });
    const config = { tiers, waiting: { maxRequests: 12, perConcurrent: 0.01 } };
    this.scheduler = new Scheduler({ random: seededRandom(seed), config });
  }

  send(event: UntimedEvent): void {
    const commands = this.scheduler.handle({ ...event, atMs: this.nowMs } as SchedulerEvent);
    for (const command of commands) this.follow(command);
    this.check();
  }

  private follow(command: SchedulerCommand): void {
    if (command.type === 'dispatch') return this.followDispatch(command);
    if (command.type === 'set_timer') return assert.ok(command.atMs >= this.nowMs);
    const { requestId } = command;
    assert.ok(!this.finished.has(requestId), 'R1: one outcome');
    const serving = this.claims.some((one) => one.serving && one.requestId === requestId);
    assert.ok(!serving, 'R1: rejected while it runs');
    this.finished.add(requestId);
    const rejected = this.waiting.find((one) => one.request.id === requestId);
    if (rejected !== undefined && command.verdict.kind === 'upstream_error') this.forgive(rejected);
    this.waiting = this.waiting.filter((one) => one.request.id !== requestId);
  }

  private followDispatch(command: Dispatch): void {
    const { agentId, nonce, instance: id, requestId, claim } = command;
    const waiting = this.waiting.find((one) => one.request.id === requestId);
    assert.ok(waiting !== undefined, 'R1: dispatched something that does not wait');
    const instance = this.instances.find(
      (one) => one.agentId === agentId && one.nonce === nonce && one.id === id,
    );
    assert.ok(instance !== undefined, 'R2: dispatched to what is not granted');
    assert.ok(this.inFlight(instance) < instance.slots, 'R5: beyond the grant');
    assert.ok(this.eligible(waiting, instance, [command.stage]), 'R2: not eligible');
    if (command.stage === 'shared') {
      // One at work may be closed by its backlog (S2): only of an idle one is it known to be open.
      const idle = this.instances.filter((one) => this.inFlight(one) === 0);
      const own = idle.filter((one) => this.claimable(waiting, one, ['own']));
      assert.deepEqual(own, [], 'own agents first');
    }
    const before = this.waiting.filter(
      (one) => goesBefore(one, waiting) && this.eligible(one, instance, this.stages(one)),
    );
    // Who was turned away may have the slot again that it has just left.
    if (waiting !== this.again) {
      assert.deepEqual(before, [], 'overtook somebody who could have had the slot');
    }
    this.waiting = this.waiting.filter((one) => one !== waiting);
    const life = this.agents.get(agentId)?.life ?? 0;
    this.claims.push({ ...instance, claim, life, requestId, serving: true });
    this.served.set(claim, waiting);
  }

  readonly served = new Map<number, ModelWaiting>();

  private inFlight(instance: ModelInstance): number {
    return this.claims.filter(
      (one) =>
        one.agentId === instance.agentId && one.nonce === instance.nonce && one.id === instance.id,
    ).length;
  }

  private stages(waiting: ModelWaiting): Stage[] {
    const { fallback, projectId, tier } = waiting.request.endpoint;
    const carrier = [...this.agents.values()].some(
      ({ entry }) =>
        entry.projectId === projectId &&
        entry.boundEndpointIds === null &&
        entry.state === 'enrolled' &&
        entry.effectiveTiers.includes(tier),
    );
    const open = !carrier || this.nowMs >= waiting.arrivedAtMs + fallback.afterMs;
    return open ? ['own', 'shared'] : ['own'];
  }

  private eligible(waiting: ModelWaiting, instance: ModelInstance, stages: Stage[]): boolean {
    const agent = this.agents.get(instance.agentId);
    if (agent === undefined || agent.nonce !== instance.nonce) return false;
    if (waiting.tried.includes(`${instance.agentId}/${agent.life}`)) return false;
    const { request } = waiting;
    if (instance.modelId !== request.model.id) return false;
    const may = stages.some((stage) => agentExclusion(agent.entry, { request, stage }) === null);
    return may && !this.isPassedOver(waiting, instance.agentId);
  }

  /** F1 */
  private isPassedOver(waiting: ModelWaiting, agentId: string): boolean {
    const severityOf = (id: string): number => this.penalties.severity(id, this.nowMs);
    const severity = severityOf(agentId);
    const works = this.claims.some((one) => one.agentId === agentId);
    if (severity === 0 || (severity === 1 && !works)) return false;
    const { request, tried } = waiting;
    return this.instances.some(({ agentId: other, slots, modelId }) => {
      const agent = this.agents.get(other);
      if (modelId !== request.model.id) return false;
      if (agent === undefined || slots === 0 || severityOf(other) >= severity) return false;
      if (tried.includes(`${other}/${agent.life}`)) return false;
      const stages: Stage[] = ['own', 'shared'];
      return stages.some((stage) => agentExclusion(agent.entry, { request, stage }) === null);
    });
  }

  private claimable(waiting: ModelWaiting, instance: ModelInstance, stages: Stage[]): boolean {
    const free = this.inFlight(instance) < instance.slots;
    return free && this.eligible(waiting, instance, stages);
  }

  private check(): void {
    const audit = this.scheduler.audit();
    assert.equal(audit.inFlight, this.claims.length, 'R5: slots');
    assert.equal(audit.claims, this.claims.length, 'R5: claims');
    assert.deepEqual(audit.overGranted, [], 'R5: released twice');
    for (const one of [...this.instances, ...this.claims]) {
      const { agentId, nonce, id: instance } = one;
      const inFlight = this.scheduler.inFlight({ agentId, nonce, instance });
      assert.equal(inFlight, this.inFlight(one), `R5: ${agentId} ${nonce} ${instance}`);
    }
    for (const agentId of agentIds) {
      const claims = this.claims.filter((one) => one.agentId === agentId);
      assert.equal(this.scheduler.agentLoad(agentId).inFlight, claims.length, 'R5: of an agent');
    }
    assert.deepEqual(audit.claimable, [], 'W1');
    // One at work may be closed by its backlog (S2).
    const idle = this.instances.filter((one) => this.inFlight(one) === 0);
    const idlers = this.waiting.filter((one) =>
      idle.some((instance) => this.claimable(one, instance, this.stages(one))),
    );
    assert.deepEqual(idlers, [], 'W1: waits beside an idle engine');
    const { waiting, running } = this.scheduler.counts();
    assert.equal(waiting, this.waiting.length, 'R1: a waiting request was lost');
    assert.equal(running, this.claims.filter((one) => one.serving).length, 'R1');
  }

  /** Other settings, which also those keep to that wait or run. */
  change(name: EndpointName, settings: Settings): void {
    const exclusive = name === 'exclusive' && settings.exclusive;
    const fallback =
      name === 'exclusive'
        ? { enabled: false, afterMs: 0, tier: null }
        : { enabled: settings.enabled, afterMs: settings.afterMs, tier: 'free' as const };
    const endpoint = { ...this.endpoints[name], exclusive, fallback };
    this.endpoints[name] = endpoint;
    for (const one of [...this.waiting, ...this.served.values()]) {
      if (one.request.endpoint.id === endpoint.id) one.request = { ...one.request, endpoint };
    }
    const project = projectEntry({ id: endpoint.projectId });
    this.send({ type: 'endpoint', endpoint, project, model: modelEntry() });
  }

  arrive(endpoint: EndpointName): void {
    this.requests += 1;
    const { [endpoint]: entry } = this.endpoints;
    const project = projectEntry({ id: entry.projectId });
    const request = routedRequest({ id: `r${this.requests}`, endpoint: entry, project });
    const arrivedAtMs = this.nowMs;
    const deadlineMs = arrivedAtMs + entry.queueTimeoutMs;
    const fresh = { tried: [], turnedDown: 0, failedAt: new Set<string>(), strikes: [] };
    this.waiting.push({ request, order: this.requests, arrivedAtMs, deadlineMs, ...fresh });
    this.send({ type: 'arrive', request });
  }

  finish(pick: number, how: Finish, slotFree: boolean): void {
    const serving = this.claims.filter((one) => one.serving);
    const claim = serving[pick % serving.length];
    if (claim === undefined) return;
    claim.serving = false;
    if (slotFree) this.claims = this.claims.filter((one) => one !== claim);
    const { claim: id, agentId, requestId } = claim;
    const health = healthOf[how];
    const agent = this.agents.get(agentId);
    const isThere = agent?.life === claim.life && agent.nonce !== null;
    const waiting = this.served.get(id);
    if (health === 'bad' && isThere) {
      waiting?.failedAt.add(agentId);
      const { life } = claim;
      if (this.penalties.failed(agentId, this.nowMs)) waiting?.strikes.push({ agentId, life });
    }
    if (health === 'good' && isThere) {
      this.penalties.clear(agentId);
      agent.crashes = 0;
    }
    const base = { claim: id, slotFree, health };
    if (how === 'end' || how === 'good' || how === 'broken') {
      this.finished.add(requestId);
      if (how === 'broken' && waiting !== undefined) this.forgive(waiting);
      return this.send({ type: 'end', ...base });
    }
    this.again = waiting;
    if (waiting !== undefined) this.requeue(waiting, claim, { how, slotFree });
    const resume = how === 'resumed' ? { resume: { abilities: [], delivered: 0 } } : {};
    this.send({ type: 'failed', ...base, blameless: how === 'turned_down', ...resume });
    this.again = undefined;
  }

  /** F4 */
  private forgive({ failedAt, strikes }: ModelWaiting): void {
    if (failedAt.size < 2) return;
    for (const { agentId, life } of strikes.splice(0)) {
      if (this.agents.get(agentId)?.life === life) this.penalties.forgive(agentId, this.nowMs);
    }
  }

  private requeue(
    waiting: ModelWaiting,
    claim: ModelClaim,
    { how, slotFree }: { how: Finish; slotFree: boolean },
  ): void {
    const key = `${claim.agentId}/${claim.life}`;
    if (how === 'resumed') {
      waiting.tried = [key];
      waiting.turnedDown = 0;
    } else if (how === 'turned_down' && waiting.turnedDown < 2) waiting.turnedDown += 1;
    else waiting.tried.push(key);
    // Where its slot is not free, it was taken away from an agent that is still at it.
    if (how === 'resumed' || !slotFree) {
      waiting.deadlineMs = this.nowMs + waiting.request.endpoint.queueTimeoutMs;
    }
    if (waiting.order > 0) waiting.order -= 1e9;
    this.waiting.push(waiting);
  }

  release(pick: number): void {
    const over = this.claims.filter((one) => !one.serving);
    const claim = over[pick % over.length];
    if (claim === undefined) return;
    this.claims = this.claims.filter((one) => one !== claim);
    this.send({ type: 'release', claim: claim.claim });
    this.send({ type: 'release', claim: claim.claim });
  }

  firstByte(pick: number): void {
    const serving = this.claims.filter((one) => one.serving);
    const claim = serving[pick % serving.length];
    if (claim !== undefined) this.send({ type: 'first_byte', claim: claim.claim });
  }

  hangUp(pick: number): void {
    const waiting = this.waiting[pick % this.waiting.length];
    if (waiting === undefined) return;
    this.send({ type: 'hang_up', requestId: waiting.request.id, outcome: 'client_closed' });
    assert.ok(this.finished.has(waiting.request.id));
  }

  enrol(agentId: string, state: AgentEntry['state']): void {
    const entry = entryOf(agentId, state);
    const known = this.agents.get(agentId);
    const fresh = { nonce: null, life: 0, lostNonce: null, crashes: 0 };
    this.agents.set(agentId, { ...fresh, ...known, entry });
    this.send({ type: 'agent', entry });
  }

  remove(agentId: string): void {
    this.agents.delete(agentId);
    this.penalties.clear(agentId);
    this.instances = this.instances.filter((one) => one.agentId !== agentId);
    this.send({ type: 'agent_gone', agentId });
  }

  join(agentId: string, nonce: string): void {
    const agent = this.agents.get(agentId);
    if (agent !== undefined && agent.nonce !== nonce) {
      this.noteLoss(agentId, agent);
      agent.nonce = nonce;
      this.lives += 1;
      agent.life = this.lives;
      this.penalties.clear(agentId);
      if (agent.lostNonce !== null && agent.lostNonce !== nonce) {
        agent.crashes += 1;
        if (agent.crashes > 1) this.penalties.failed(agentId, this.nowMs, agent.crashes - 2);
      }
      agent.lostNonce = null;
      this.instances = this.instances.filter((one) => one.agentId !== agentId);
    }
    this.send({ type: 'join', agentId, nonce });
  }

  private noteLoss(agentId: string, agent: ModelAgent): void {
    const isBusy = this.claims.some((one) => one.agentId === agentId);
    if (isBusy && agent.nonce !== null) agent.lostNonce = agent.nonce;
  }

  leave(agentId: string, nonce: string): void {
    const agent = this.agents.get(agentId);
    if (agent?.nonce === nonce) {
      this.noteLoss(agentId, agent);
      this.penalties.clear(agentId);
      agent.nonce = null;
      this.instances = this.instances.filter((one) => one.agentId !== agentId);
    }
    this.send({ type: 'leave', agentId, nonce });
  }

  /** Nobody asks for the models but for `model_a`: an instance that has another one is no use. */
  grant(agentId: string, nonce: string, granted: { slots: number; modelId: string }[]): void {
    const instances = granted.map((one, at) => ({ instance: `i${at}`, ...one, abilities: [] }));
    if (this.agents.get(agentId)?.nonce === nonce) {
      this.instances = this.instances.filter((one) => one.agentId !== agentId);
      for (const one of instances) {
        const { instance: id, modelId, slots } = one;
        this.instances.push({ agentId, nonce, id, modelId, slots });
      }
    }
    this.send({ type: 'grant', agentId, nonce, instances });
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.send({ type: 'tick' });
    const late = this.waiting.filter((one) => one.deadlineMs <= this.nowMs);
    assert.deepEqual(late, [], 'waits beyond its deadline');
  }
}

/**
 * Of one project, retries go first, and then whoever came first; but those who are close to their
 * deadlines may go before both. Which project is next is the fair queue's.
 */
function goesBefore(one: ModelWaiting, other: ModelWaiting): boolean {
  if (one.request.project.id !== other.request.project.id) return false;
  return one.order < other.order && one.deadlineMs <= other.deadlineMs;
}
