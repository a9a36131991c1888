/**
 * Engine instances by scope and model. A pool knows which of its instances have a free slot and who
 * waits for one, so that neither an arrival nor a release looks at the rest of the fleet.
 *
 * Invariants
 * P1 An instance is in `free` of its pools exactly while it is granted and has a free slot.
 * P2 A pool exists exactly while it has an instance or somebody waits in it.
 */
import { scopesFor, scopesOf } from './agentIndex.ts';
import type { RoutedRequest, Stage } from './matching.ts';
import type { EngineInstance, InstancePool, KnownAgent } from './schedulerState.ts';
import { WaitingList } from './waitingList.ts';

/** What an agent grants of one engine instance. */
export interface GrantedInstance {
  instance: string;
  modelId: string;
  slots: number;
  abilities: readonly string[];
}

/** Weight of the newest sample in a pool's mean service time. */
const serviceWeight = 0.1;

export class InstancePools {
  private readonly pools = new Map<string, InstancePool>();

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
    const named = new Set(instances.map((one) => instanceKey(nonce, one.instance)));
    for (const [key, instance] of agent.instances) {
      if (!named.has(key)) this.retire(instance, nowMs);
    }
    return instances.map((one) => this.put(agent, { nonce, one, nowMs }));
  }

  /** Puts the agent's instances where its entry says now: tiers, binding or project changed. */
  rehome(agent: KnownAgent, nowMs: number): void {
    for (const instance of agent.instances.values()) {
      if (instance.pools.length === 0) continue;
      this.detach(instance, nowMs);
      this.attach(instance);
    }
  }

  /** R5: the only place where an in-flight count goes up. */
  claim(instance: EngineInstance): void {
    instance.inFlight += 1;
    this.refreshFree(instance);
  }

  /** R5: the only place where an in-flight count goes down. `heldMs` feeds the wait estimate. */
  release(instance: EngineInstance, heldMs: number): void {
    instance.inFlight -= 1;
    for (const pool of instance.pools) {
      const old = pool.serviceMs === 0 ? heldMs : pool.serviceMs;
      pool.serviceMs = old + serviceWeight * (heldMs - old);
    }
    if (instance.pools.length === 0) this.forgetIfIdle(instance);
    else this.refreshFree(instance);
  }

  /** P2: drops a pool that nobody uses. */
  dropIfEmpty(pool: InstancePool): void {
    if (pool.instances.size === 0 && pool.waiting.size === 0) this.pools.delete(pool.key);
  }

  private put(
    agent: KnownAgent,
    what: { nonce: string; one: GrantedInstance; nowMs: number },
  ): EngineInstance {
    const { nonce, one, nowMs } = what;
    const key = instanceKey(nonce, one.instance);
    const { modelId, abilities, slots } = one;
    const instance = agent.instances.get(key) ?? newInstance({ agent, nonce, one });
    agent.instances.set(key, instance);
    if (instance.modelId !== modelId) this.detach(instance, nowMs);
    for (const pool of instance.pools) pool.slots += slots - instance.slots;
    Object.assign(instance, { modelId, abilities, slots });
    if (instance.pools.length === 0) this.attach(instance);
    else this.refreshFree(instance);
    return instance;
  }

  private retire(instance: EngineInstance, nowMs: number): void {
    this.detach(instance, nowMs);
    instance.slots = 0;
    this.forgetIfIdle(instance);
  }

  private forgetIfIdle(instance: EngineInstance): void {
    if (instance.inFlight > 0) return;
    instance.agent.instances.delete(instanceKey(instance.nonce, instance.id));
  }

  private attach(instance: EngineInstance): void {
    const scopes = scopesOf(instance.agent.entry);
    instance.pools = scopes.map((scope) => this.poolOrNew(scope, instance.modelId));
    for (const pool of instance.pools) {
      pool.instances.add(instance);
      pool.slots += instance.slots;
    }
    this.refreshFree(instance);
  }

  private detach(instance: EngineInstance, nowMs: number): void {
    for (const pool of instance.pools) {
      pool.instances.delete(instance);
      pool.free.delete(instance);
      pool.slots -= instance.slots;
      if (pool.instances.size === 0) pool.lastPresentAtMs = nowMs;
      this.dropIfEmpty(pool);
    }
    instance.pools = [];
  }

  private refreshFree(instance: EngineInstance): void {
    const isFree = instance.inFlight < instance.slots;
    for (const pool of instance.pools) {
      if (isFree) pool.free.add(instance);
      else pool.free.delete(instance);
    }
  }

  private poolOrNew(scope: string, modelId: string): InstancePool {
    const key = poolKey(scope, modelId);
    const known = this.pools.get(key);
    if (known !== undefined) return known;
    const pool: InstancePool = {
      key,
      instances: new Set(),
      free: new Set(),
      slots: 0,
      waiting: new WaitingList(),
      lastPresentAtMs: -Infinity,
      serviceMs: 0,
    };
    this.pools.set(key, pool);
    return pool;
  }
}

function newInstance(what: {
  agent: KnownAgent;
  nonce: string;
  one: GrantedInstance;
}): EngineInstance {
  const { agent, nonce, one } = what;
  const { instance: id, modelId, abilities } = one;
  return { agent, nonce, id, modelId, abilities, slots: 0, inFlight: 0, pools: [] };
}

const poolKey = (scope: string, modelId: string): string => `${scope}|${modelId}`;
/** Names an instance of one process of an agent. */
export const instanceKey = (nonce: string, id: string): string => `${nonce}/${id}`;
