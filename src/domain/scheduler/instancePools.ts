/**
 * Engine instances by scope and model. A pool knows which of its instances have a free slot and who
 * waits for one, so that neither an arrival nor a release looks at the rest of the fleet.
 *
 * Invariants
 * P1 An instance is in `open` of its pools exactly while it is granted, has a slot to use and,
 *    as of the last event, a short enough backlog; or it is in the heap of those that wait for
 *    that.
 * P2 A pool exists exactly while it has an instance or somebody waits in it.
 */
import { ownershipIn, scopesFor, scopesOf } from '../agents/agentIndex.ts';
import type { Ownership, RoutedRequest, Stage } from '../agents/matching.ts';
import { hasSlot, instanceKey, nothingYet } from './schedulerState.ts';
import type { EngineInstance, InstancePool, KnownAgent, WaitingRequest } from './schedulerState.ts';
import { maxScored } from './limits.ts';
import { OpenInstances } from './openInstances.ts';
import { DeadlineHeap } from '../waiting/deadlineHeap.ts';
import type { InstanceLoad, RoomFigures, Work } from '../placing/instanceLoad.ts';
import { LongPrompts, patience, type Offered } from '../placing/longPrompts.ts';
import { priorOf } from '../prediction/prior.ts';
import type { Placement } from '../placing/placement.ts';
import { PoolQueue } from '../waiting/poolQueue.ts';

/** What an agent grants of one engine instance. */
export interface GrantedInstance {
  instance: string;
  modelId: string;
  slots: number;
  abilities: readonly string[];
  /** Tokens of keys and values that the engine holds; absent: it does not say. */
  holdsTokens?: number | undefined;
  /** What one short answer took with nothing else to do, in ms; absent: it was not measured. */
  speed?: { firstByteMs: number; perTokenMs: number } | undefined;
}

/** Weight of the newest sample in a pool's mean service time. */
const serviceWeight = 0.1;

export class InstancePools {
  /** Goes up whenever an instance comes or goes, gets other abilities, or its first or no slot. */
  version = 0;
  private readonly pools = new Map<string, InstancePool>();
  private readonly placement: Placement;
  /** Instances that are closed by their backlog alone, by the time at which they open. */
  private readonly closed = new DeadlineHeap<InstanceLoad>();
  /** Those that are granted. */
  private readonly ofLoad = new Map<InstanceLoad, EngineInstance>();
  /** Where somebody who was held back may have been let go. */
  private readonly wider = new Set<InstancePool>();
  /** The time of the last event, and how many there were. */
  nowMs = 0;
  events = 0;

  constructor(placement: Placement) {
    this.placement = placement;
  }

  /** The time of everything that follows. Gives the instances whose backlogs have drained. */
  advance(nowMs: number): EngineInstance[] {
    this.nowMs = nowMs;
    this.events += 1;
    const opened: EngineInstance[] = [];
    for (let load = this.closed.peek(); load !== undefined; load = this.closed.peek()) {
      if (load.wakeAtMs > nowMs) break;
      const instance = this.ofLoad.get(load);
      this.closed.remove(load);
      if (instance === undefined) continue;
      this.refresh(instance);
      opened.push(instance);
    }
    return opened;
  }

  /** When the next instance opens by time alone; `Infinity`: none does. */
  nextOpenMs(): number {
    return this.closed.peek()?.wakeAtMs ?? Infinity;
  }

  /** The pools that a request may draw from in a stage, as far as they exist. */
  of(request: RoutedRequest, stage: Stage): InstancePool[] {
    return scopesFor(request, stage).flatMap((scope) => {
      const pool = this.pools.get(poolKey(scope, request.model.id));
      return pool === undefined ? [] : [pool];
    });
  }

  /** The same, made where they do not exist: somebody is going to wait in them. */
  toWaitIn(request: RoutedRequest, stage: Stage): InstancePool[] {
    return scopesFor(request, stage).map((scope) => this.poolOrNew(scope, request.model.id));
  }

  /**
   * Replaces what the running process of an agent grants. Instances that are not named any more
   * take no work and are forgotten once their last claim was released. Returns the granted ones.
   */
  grant(
    agent: KnownAgent,
    grant: { nonce: string; instances: readonly GrantedInstance[]; nowMs: number },
  ): EngineInstance[] {
    const { nonce, instances, nowMs } = grant;
    const named = new Set(instances.map((one) => keyOf(nonce, one)));
    for (const [key, instance] of agent.instances) {
      if (!named.has(key)) this.retire(instance, nowMs);
    }
    return instances.map((one) => this.put(agent, { nonce, one }));
  }

  /**
   * Puts the agent's instances where its entry says now: its binding or project changed. Where they
   * are there already they stay: a pool that nobody is left in forgets what it has learned.
   */
  rehome(agent: KnownAgent, nowMs: number): void {
    const scopes = scopesOf(agent.entry);
    for (const instance of agent.instances.values()) {
      const { pools, modelId } = instance;
      if (pools.length === 0) continue;
      const isThere =
        pools.length === scopes.length &&
        pools.every(({ key }, at) => key === poolKey(scopes[at] ?? '', modelId));
      if (isThere) {
        // It may have moved to another region.
        for (const { open } of pools) open.delete(instance);
        this.refresh(instance);
        continue;
      }
      this.detach(instance, nowMs);
      this.attach(instance);
    }
  }

  /** R5: the only place where an in-flight count goes up. `took` has to follow. */
  claim(instance: EngineInstance): void {
    if (instance.inFlight === 0) instance.lastFreeAtMs = this.nowMs;
    instance.inFlight += 1;
    instance.engine.inFlight += 1;
  }

  /** What it was claimed for, and what that is to it. */
  took(instance: EngineInstance, claimed: { waiting: WaitingRequest; work: Work }): void {
    const { waiting, work } = claimed;
    const { own: tokens, prefillMs: ms } = work;
    const msPerToken = instance.load.msPerToken();
    for (const pool of instance.pools) {
      const instances = pool.instances.size;
      if (!waiting.counted) this.came(pool, { tokens, ms, waits: false });
      if (pool.long.took(instance, { tokens, instances, msPerToken })) this.widened(pool);
    }
    waiting.counted = true;
    this.refresh(instance);
  }

  /** R5: the only place where an in-flight count goes down. `heldMs` feeds the wait estimate. */
  release(instance: EngineInstance, heldMs: number): void {
    instance.inFlight -= 1;
    instance.engine.inFlight -= 1;
    instance.lastFreeAtMs = this.nowMs;
    for (const pool of instance.pools) {
      const old = pool.serviceMs === 0 ? heldMs : pool.serviceMs;
      pool.serviceMs = old + serviceWeight * (heldMs - old);
    }
    if (instance.pools.length > 0) return void this.refresh(instance);
    // With the model that it has by now it may have a slot.
    for (const one of namesakes(instance)) this.refresh(one);
    this.forgetIfIdle(instance);
  }

  /** It stands in its pools from now on, or in more of them. */
  waits(waiting: WaitingRequest): void {
    const { places, measures } = waiting;
    for (const { pool, place } of waiting.counted ? [] : places) {
      const [instance] = pool.instances;
      if (instance === undefined) continue;
      const { own: tokens } = place;
      const { prompt } = measures[pool.ownership].tokens;
      const ms = instance.load.prefillMs({ prompt, own: tokens });
      this.came(pool, { tokens, ms, waits: true });
    }
    waiting.counted = true;
    keep(waiting, 'own');
    keep(waiting, 'shared');
  }

  private came(pool: InstancePool, offered: Offered): void {
    const { nowMs } = this;
    const instances = pool.instances.size;
    if (pool.long.came(offered, { instances, nowMs })) this.widened(pool);
  }

  /** Over all instances that are known to hold only so much. */
  room(): RoomFigures {
    const figures = { used: 0, ofUse: 0 };
    for (const load of this.ofLoad.keys()) {
      const { used, ofUse } = load.roomFigures();
      if (ofUse === Infinity) continue;
      figures.used += used;
      figures.ofUse += ofUse;
    }
    return figures;
  }

  /** Long prompts may go to more instances of this pool (B2). */
  widened(pool: InstancePool): void {
    if (pool.long.keeps) this.wider.add(pool);
  }

  get isWider(): boolean {
    return this.wider.size > 0;
  }

  /** Open instances for those who were held back, as many of each pool as are scored for one. */
  takeWider(): EngineInstance[] {
    const open: EngineInstance[] = [];
    for (const { long, open: all } of this.wider) {
      long.keeps = false;
      open.push(...all.all().slice(0, maxScored));
    }
    this.wider.clear();
    return open;
  }

  /** P2: drops a pool that nobody uses. */
  dropIfEmpty(pool: InstancePool): void {
    if (pool.instances.size === 0 && pool.waiting.size === 0) this.pools.delete(pool.key);
  }

  private put(agent: KnownAgent, what: { nonce: string; one: GrantedInstance }): EngineInstance {
    const { nonce, one } = what;
    const key = keyOf(nonce, one);
    const { abilities, slots } = one;
    const known = agent.instances.get(key);
    const instance = known ?? this.begin({ agent, nonce, one });
    if (known === undefined) agent.instances = new Map([...agent.instances, [key, instance]]);
    else if (!this.ofLoad.has(known.load)) this.placement.cameBack(known, one);
    for (const pool of instance.pools) pool.slots += slots - instance.slots;
    const isReady = slots > 0;
    if (isReady !== instance.slots > 0 || !isSame(abilities, instance.abilities)) this.version += 1;
    Object.assign(instance, { abilities, slots });
    if (one.speed !== undefined) instance.load.model.assume(priorOf(agent.entry, one.speed));
    if (instance.pools.length === 0) this.attach(instance);
    else this.refresh(instance);
    return instance;
  }

  private begin(what: { agent: KnownAgent; nonce: string; one: GrantedInstance }): EngineInstance {
    const { agent, nonce, one } = what;
    const { instance: id, modelId, abilities } = one;
    const load = this.placement.begin(agent.entry, one);
    const engine = namesakes({ agent, nonce, id })[0]?.engine ?? { inFlight: 0 };
    const counts = { slots: 0, inFlight: 0, engine, lastFreeAtMs: this.nowMs, load, pools: [] };
    const instance: EngineInstance = { agent, nonce, id, modelId, abilities, ...counts };
    this.placement.attach(instance);
    return instance;
  }

  private retire(instance: EngineInstance, nowMs: number): void {
    if (this.ofLoad.has(instance.load)) this.placement.withdrawn(instance);
    this.detach(instance, nowMs);
    instance.slots = 0;
    this.forgetIfIdle(instance);
  }

  private forgetIfIdle(instance: EngineInstance): void {
    if (instance.inFlight > 0) return;
    const { agent } = instance;
    const left = [...agent.instances].filter(([, one]) => one !== instance);
    agent.instances = left.length === 0 ? nothingYet : new Map(left);
  }

  private attach(instance: EngineInstance): void {
    this.version += 1;
    const scopes = scopesOf(instance.agent.entry);
    instance.pools = scopes.map((scope) => this.poolOrNew(scope, instance.modelId));
    for (const pool of instance.pools) {
      pool.instances.add(instance);
      pool.slots += instance.slots;
      // Among more instances more may have long prompts, also where this one cannot take them.
      this.widened(pool);
    }
    this.ofLoad.set(instance.load, instance);
    this.refresh(instance);
  }

  private detach(instance: EngineInstance, nowMs: number): void {
    this.version += 1;
    for (const pool of instance.pools) {
      pool.instances.delete(instance);
      pool.open.delete(instance);
      if (pool.long.left(instance)) this.widened(pool);
      pool.slots -= instance.slots;
      if (pool.instances.size === 0) pool.lastPresentAtMs = nowMs;
      this.dropIfEmpty(pool);
    }
    instance.pools = [];
    this.closed.remove(instance.load);
    this.ofLoad.delete(instance.load);
  }

  /** P1. Whatever may have opened or closed the instance has happened. */
  refresh(instance: EngineInstance): boolean {
    const { load, pools } = instance;
    if (pools.length === 0) return false;
    const isFree = hasSlot(instance);
    load.wakeAtMs = load.opensAtMs();
    const isOpen = isFree && load.wakeAtMs <= this.nowMs;
    for (const pool of pools) {
      if (isOpen) pool.open.add(instance);
      else pool.open.delete(instance);
    }
    if (isFree && !isOpen) this.closed.put(load);
    else this.closed.remove(load);
    return isOpen;
  }

  private poolOrNew(scope: string, modelId: string): InstancePool {
    const key = poolKey(scope, modelId);
    const known = this.pools.get(key);
    if (known !== undefined) return known;
    const pool: InstancePool = {
      key,
      ownership: ownershipIn(scope),
      instances: new Set(),
      open: new OpenInstances(),
      slots: 0,
      waiting: new PoolQueue(),
      long: new LongPrompts(),
      lastPresentAtMs: -Infinity,
      serviceMs: 0,
    };
    this.pools.set(key, pool);
    return pool;
  }
}

/**
 * Until when its prompt, if it is long, is kept to some instances of the pools that it stands in.
 * Any of these says how long it takes (B1), where nothing of it is cached: it is kept from these.
 */
function keep({ places, measures, arrivedAtMs }: WaitingRequest, of: Ownership): void {
  const measure = measures[of];
  const { prompt } = measure.tokens;
  let [longestMs, longFrom] = [0, 0];
  for (const { pool } of places) {
    const [instance] = pool.instances;
    if (instance === undefined || pool.ownership !== of) continue;
    longestMs = Math.max(longestMs, instance.load.prefillMs({ prompt, own: prompt }));
    longFrom = Math.max(longFrom, pool.long.fromTokens);
  }
  if (longFrom > 0) measure.longFrom ??= longFrom;
  const isLong = measure.longFrom !== null && prompt >= measure.longFrom;
  measure.keptUntilMs = arrivedAtMs + (isLong ? patience * longestMs : 0);
}

const isSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((one, at) => one === others[at]);

const keyOf = (nonce: string, { instance: id, modelId }: GrantedInstance): string =>
  instanceKey(nonce, { id, modelId });

/** An instance with whatever models it has, or had and is at work for still. */
const namesakes = (of: Pick<EngineInstance, 'agent' | 'nonce' | 'id'>): EngineInstance[] =>
  [...of.agent.instances.values()].filter(({ nonce, id }) => nonce === of.nonce && id === of.id);

const poolKey = (scope: string, modelId: string): string => `${scope}|${modelId}`;
