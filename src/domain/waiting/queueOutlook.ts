/**
 * What those who wait may expect: their place in line, and when their turn comes; and so those for
 * whom there is no room. Asked for by those who look and for those who are refused, never for a
 * choice: an order that changes with each arrival is worth a look now and then, so what was found
 * is kept for `outlookMs`.
 *
 * The place is that in the order of service as it would be if nobody else came: the project with
 * the smallest counter, of its requests the first in its own order, whereupon its counter goes up
 * by what that request costs. The time is a line: when the first instance opens, and how long one
 * request after the other keeps all of them from taking the next.
 */
import { maxOutlookInstances, outlookMs } from '../limits.ts';
import {
  agentExclusion,
  hasAbilities,
  type Ownership,
  type RoutedRequest,
  type Stage,
} from '../agents/matching.ts';
import { answerCharge, promptCharge } from './fairQueue.ts';
import type { Placement } from '../placing/placement.ts';
import type { Place } from './poolQueue.ts';
import type { Prefill } from '../prediction/latencyModel.ts';
import { AlikeMap } from '../scheduler/alikeMap.ts';
import type { InstancePools } from '../scheduler/instancePools.ts';
import type { ProjectAccount } from '../quotas/projectAccount.ts';
import {
  hasSlot,
  type EngineInstance,
  type InstancePool,
  type WaitingRequest,
} from '../scheduler/schedulerState.ts';
import type { TierTable } from '../tiers/tiers.ts';
import { turnInMs, turnoverOf, type Turnover } from './turnover.ts';

export interface Expectation {
  /** 1: the next one. */
  position: number;
  /** Null: nothing is known of anybody who could serve it. */
  etaMs: number | null;
}

/** When a pool takes requests on. */
interface Pace {
  opensInMs: number;
  perRequestMs: number;
}

interface Found<Value> {
  value: Value;
  atMs: number;
}

/** Who waits in a pool, in the order of service. */
interface Line {
  places: ReadonlyMap<WaitingRequest, number>;
  /** By project: the place of one more of its requests, behind all others of it. */
  ends: ReadonlyMap<string, number>;
}

/** Null: nobody knows. */
const sooner = (one: number | null, other: number | null): number | null =>
  one === null || other === null ? (one ?? other) : Math.min(one, other);

/** Whether somebody in a pool may serve a request by what it is: an open one, or a busy one. */
type Server = 'open' | 'busy' | 'none';

const kept = <Value>(found: Found<Value> | undefined, nowMs: number): Value | undefined =>
  found !== undefined && nowMs - found.atMs < outlookMs ? found.value : undefined;

export class QueueOutlook {
  private readonly placement: Placement;
  private readonly tiers: TierTable;
  private readonly pools: Pick<InstancePools, 'of'>;
  private readonly paces = new WeakMap<InstancePool, Found<Pace | null>>();
  private readonly servers = new WeakMap<InstancePool, Record<Stage, AlikeMap<Server>>>();
  private readonly turnovers = new WeakMap<ProjectAccount, Found<Turnover | null>>();
  private readonly lines = new WeakMap<InstancePool, Found<Line>>();
  /** Counts spans of `outlookMs`. */
  private look = 0;

  constructor(options: {
    placement: Placement;
    tiers: TierTable;
    pools: Pick<InstancePools, 'of'>;
  }) {
    this.placement = options.placement;
    this.pools = options.pools;
    this.tiers = options.tiers;
  }

  /**
   * Of one that waits, or would if there were room for it: the best of the pools in which it stands
   * and somebody serves.
   */
  of(waiting: WaitingRequest, nowMs: number): Expectation {
    const { request } = waiting;
    // Beside somebody who is free only those wait that limits hold back, as this one (W1).
    const isHeld = waiting.heldBackBy.size > 0;
    let position = Infinity;
    let etaMs: number | null = null;
    const stands = this.standsIn(waiting);
    const served = stands.filter(({ pool }) => pool.slots > 0);
    for (const { pool, stage, own } of served.length > 0 ? served : stands) {
      const line = this.lineOf(pool, nowMs);
      const known = line.places.get(waiting);
      const place = known ?? this.placeOfLate(waiting, { pool, own, line, nowMs });
      position = Math.min(position, place);
      const pace = this.paceOf(pool, nowMs);
      const server = this.serverOf(pool, { request, stage, nowMs });
      if (pace === null || server === 'none') continue;
      const ahead = isHeld && server === 'open' ? 0 : place - 1;
      const takesMs = pace.opensInMs + ahead * pace.perRequestMs;
      const there = { ownership: pool.ownership, etaMs: takesMs, nowMs };
      etaMs = sooner(etaMs, this.heldUntil(waiting, there));
    }
    const byFallbackMs = this.byFallback(waiting, nowMs);
    if (byFallbackMs !== null) {
      const there = { ownership: 'shared', etaMs: byFallbackMs, nowMs } as const;
      etaMs = sooner(etaMs, this.heldUntil(waiting, there));
    }
    if (position === Infinity) position = 1;
    return { position, etaMs };
  }

  /** In which pools, and how much of its prompt would have to be computed there. */
  private standsIn(waiting: WaitingRequest): { pool: InstancePool; stage: Stage; own: number }[] {
    const { request, places, stages } = waiting;
    if (places.length > 0) {
      return places.map(({ pool, stage, place }) => ({ pool, stage, own: place.own }));
    }
    const own = this.placement.leastOwn(waiting);
    return stages.flatMap((stage) =>
      this.pools.of(request, stage).map((pool) => ({ pool, stage, own: own[pool.ownership] })),
    );
  }

  /** By shared agents that are not open to it yet; null: they never will be, or nobody knows. */
  private byFallback({ fallbackAtMs, request }: WaitingRequest, nowMs: number): number | null {
    if (fallbackAtMs === null) return null;
    // Where somebody is free it is no matter how long requests take there.
    const isFree = this.pools
      .of(request, 'shared')
      .filter(({ waiting }) => waiting.size === 0)
      .some((pool) => this.serverOf(pool, { request, stage: 'shared', nowMs }) === 'open');
    const takesMs = isFree ? 0 : this.ofNewcomer(request, ['shared'], { nowMs });
    return takesMs === null ? null : Math.max(fallbackAtMs - nowMs, takesMs);
  }

  /** Asked by each that waits, and each time that somebody looks. */
  private serverOf(
    pool: InstancePool,
    { request, stage, nowMs }: { request: RoutedRequest; stage: Stage; nowMs: number },
  ): Server {
    this.look = Math.floor(nowMs / outlookMs);
    const look = (): number => this.look;
    const known = this.servers.get(pool) ?? { own: new AlikeMap(look), shared: new AlikeMap(look) };
    this.servers.set(pool, known);
    return known[stage].of(request, () => serverOf(pool, { request, stage }));
  }

  /** Not before its project has room again where agents of these count; null: who knows. */
  private heldUntil(
    waiting: WaitingRequest,
    { ownership, etaMs, nowMs }: { ownership: Ownership; etaMs: number; nowMs: number },
  ): number | null {
    let latestMs = etaMs;
    for (const account of waiting.heldBackBy) {
      if (account.ownership !== ownership) continue;
      const { wakeAtMs, heapIndex } = account;
      const byTime = heapIndex === -1 || wakeAtMs === Infinity ? null : wakeAtMs - nowMs;
      const heldMs = byTime ?? this.slotIn(account, { waiting, nowMs });
      if (heldMs === null) return null;
      latestMs = Math.max(latestMs, heldMs);
    }
    return latestMs;
  }

  /**
   * When an account whose requests are all that may run at once has room for one that it holds
   * back, or for one that comes now (`waiting` is null); null: nothing is known.
   */
  private slotIn(
    account: ProjectAccount,
    { waiting, nowMs }: { waiting: WaitingRequest | null; nowMs: number },
  ): number | null {
    const known = kept(this.turnovers.get(account), nowMs);
    const value = known === undefined ? turnoverOf(account, nowMs) : known;
    if (known === undefined) this.turnovers.set(account, { value, atMs: nowMs });
    if (value === null) return null;
    const { line } = value;
    const place = (waiting === null ? undefined : line.get(waiting)) ?? line.size + 1;
    return turnInMs(value, place, nowMs);
  }

  /**
   * What one who comes now may expect to wait in these stages; null: nothing is known. `full`: an
   * account that has to have room for it, and in which as many run as may at once.
   */
  ofNewcomer(
    request: RoutedRequest,
    stages: readonly Stage[],
    { nowMs, full = null }: { nowMs: number; full?: ProjectAccount | null },
  ): number | null {
    let etaMs: number | null = null;
    for (const stage of stages) {
      for (const pool of this.pools.of(request, stage)) {
        const pace = this.paceOf(pool, nowMs);
        const server = this.serverOf(pool, { request, stage, nowMs });
        if (pace === null || server === 'none') continue;
        const ahead = full !== null && server === 'open' ? 0 : pool.waiting.size;
        const takesMs = pace.opensInMs + ahead * pace.perRequestMs;
        etaMs = Math.min(etaMs ?? Infinity, takesMs);
      }
    }
    if (full === null) return etaMs;
    const bySlot = this.slotIn(full, { waiting: null, nowMs });
    return bySlot === null ? null : Math.max(bySlot, etaMs ?? 0);
  }

  /**
   * It came after the look, or does not stand there: where it does among those of its project, or,
   * the first of these, before larger counters.
   */
  private placeOfLate(
    waiting: WaitingRequest,
    where: { pool: InstancePool; own: number; line: Line; nowMs: number },
  ): number {
    const { pool, own, line, nowMs } = where;
    const { projectId, fair } = waiting;
    const behind = pool.waiting.behind(waiting, own);
    // The place of whom it goes before has become its own.
    const known = behind === undefined ? undefined : line.places.get(behind);
    if (known !== undefined) return known;
    const first = pool.waiting.of(projectId)?.byKey[0]?.item;
    if (first !== undefined && first !== waiting) {
      return line.ends.get(projectId) ?? line.places.size + 1;
    }
    const { placement } = this;
    const isNew = fair === null && pool.ownership === 'shared';
    const counter = isNew ? placement.entryOf(waiting, nowMs) : placement.counterOf(waiting, nowMs);
    let before = 0;
    for (const { byKey } of pool.waiting.waitingProjects()) {
      const [first] = byKey;
      if (first === undefined || first.item === waiting) continue;
      if (this.placement.counterOf(first.item, nowMs) <= counter) before += 1;
    }
    return before + 1;
  }

  private lineOf(pool: InstancePool, nowMs: number): Line {
    const known = kept(this.lines.get(pool), nowMs);
    if (known !== undefined) return known;
    const value = this.orderOf(pool, nowMs);
    this.lines.set(pool, { value, atMs: nowMs });
    return value;
  }

  private orderOf(pool: InstancePool, nowMs: number): Line {
    const projects = [...pool.waiting.waitingProjects()].map(({ projectId, byKey }) => {
      const [first] = byKey;
      const counter = first ? this.placement.counterOf(first.item, nowMs) : 0;
      return { projectId, places: byKey, next: 0, counter };
    });
    const places = new Map<WaitingRequest, number>();
    const ends = new Map<string, number>();
    const heap = new CounterHeap(projects);
    for (let project = heap.least(); project !== undefined; project = heap.least()) {
      const place = project.places[project.next];
      // Its turn would be now.
      if (place === undefined) ends.set(project.projectId, places.size + 1);
      else {
        places.set(place.item, places.size + 1);
        project.counter += this.chargeOf(place, pool);
      }
      project.next += 1;
      heap.settle(place !== undefined);
    }
    return { places, ends };
  }

  private chargeOf({ item, own }: Place<WaitingRequest>, { ownership }: InstancePool): number {
    const { prompt: input, answer } = item.measures[ownership].tokens;
    const cached = Math.max(0, input - own);
    const charge = promptCharge({ input, cached }) + answerCharge(answer);
    return charge / this.tiers[item.request.endpoint.tier].priority;
  }

  private paceOf(pool: InstancePool, nowMs: number): Pace | null {
    const known = kept(this.paces.get(pool), nowMs);
    if (known !== undefined) return known;
    const value = paceOf(pool, nowMs);
    this.paces.set(pool, { value, atMs: nowMs });
    return value;
  }
}

/** As far as the first ones of a pool tell. */
function serverOf(
  pool: InstancePool,
  { request, stage }: { request: RoutedRequest; stage: Stage },
): Server {
  let found: Server = 'none';
  let looked = 0;
  for (const instance of pool.instances) {
    if ((looked += 1) > maxOutlookInstances) break;
    const { agent, nonce, abilities, slots } = instance;
    if (slots === 0 || agent.nonce !== nonce) continue;
    if (agentExclusion(agent.entry, { request, stage }) !== null) continue;
    if (!hasAbilities(abilities, { asked: request.abilities })) continue;
    if (pool.open.has(instance)) return 'open';
    found = 'busy';
  }
  return found;
}

/** Null: no instance is there, or nothing is known of how long they take. */
function paceOf(pool: InstancePool, nowMs: number): Pace | null {
  const typical = typicalOf(pool);
  let perMs = 0;
  let opensInMs = Infinity;
  let looked = 0;
  let granted = 0;
  for (const instance of pool.instances) {
    if (looked === maxOutlookInstances) break;
    looked += 1;
    if (instance.slots === 0 || instance.agent.entry.state !== 'enrolled') continue;
    const pace = instancePace(instance, { typical, pool, nowMs });
    if (pace === null) continue;
    granted += 1;
    perMs += 1 / Math.max(1, pace.perRequestMs);
    opensInMs = Math.min(opensInMs, pace.opensInMs);
  }
  if (granted === 0) return null;
  return { opensInMs, perRequestMs: looked / pool.instances.size / perMs };
}

interface Typical {
  prompt: number;
  answer: number;
}

/** Of those who wait, some of the first of each project. */
function typicalOf(pool: InstancePool): Typical | null {
  let [prompt, answer, count] = [0, 0, 0];
  for (const { byKey } of pool.waiting.waitingProjects()) {
    for (const { item, own } of byKey.slice(0, 4)) {
      prompt += own;
      answer += item.measures[pool.ownership].tokens.answer;
      count += 1;
    }
    if (count >= 64) break;
  }
  return count === 0 ? null : { prompt: prompt / count, answer: answer / count };
}

function instancePace(
  instance: EngineInstance,
  where: { typical: Typical | null; pool: InstancePool; nowMs: number },
): Pace | null {
  const { load, slots, engine, lastFreeAtMs } = instance;
  const { typical, pool, nowMs } = where;
  const hasRoom = typical === null || load.hasRoom(typical, { room: 'of_use', nowMs });
  const isOpen = pool.open.has(instance) && hasRoom;
  const prefillMs = typical === null ? 0 : (load.model.prefillMs(wholeOf(typical)) ?? 0);
  const holdMs = holdOf(instance, where);
  if (holdMs === null) return null;
  // What is closed by its room takes no more than it has, whatever it granted.
  const useful = isOpen ? slots : Math.max(1, Math.min(slots, engine.inFlight));
  const perRequestMs = Math.max(prefillMs, holdMs / useful);
  if (isOpen) return { opensInMs: 0, perRequestMs };
  const backlogMs = Math.max(0, load.opensAtMs() - nowMs);
  if (hasSlot(instance) && backlogMs > 0) return { opensInMs: backlogMs, perRequestMs };
  // None has ended for longer than was to be expected: the next one may take as long again.
  const quietMs = nowMs - lastFreeAtMs;
  return { opensInMs: Math.max(holdMs / useful, quietMs), perRequestMs };
}

/** Nothing of it is taken for cached. */
const wholeOf = ({ prompt }: Typical): Prefill => ({ prompt, own: prompt });
const nothing: Prefill = { prompt: 0, own: 0 };

/** How long a typical request holds a slot here; null: nothing is known. */
function holdOf(
  { load }: EngineInstance,
  { typical, pool, nowMs }: { typical: Typical | null; pool: InstancePool; nowMs: number },
): number | null {
  const found = load.loadFor(typical === null ? nothing : wholeOf(typical), nowMs);
  const tpotMs = load.model.tpotMs(found);
  const ttftMs = load.model.ttftMs(found);
  if (typical !== null && tpotMs !== null && ttftMs !== null) {
    return ttftMs + tpotMs * typical.answer;
  }
  return pool.serviceMs > 0 ? pool.serviceMs : null;
}

interface Counted {
  projectId: string;
  places: readonly Place<WaitingRequest>[];
  next: number;
  counter: number;
}

/** A binary heap of projects; the least may be changed in place and is then settled. */
class CounterHeap {
  private readonly items: Counted[];

  constructor(items: readonly Counted[]) {
    this.items = items.toSorted((one, other) => one.counter - other.counter);
  }

  least(): Counted | undefined {
    return this.items[0];
  }

  /** The least has another counter, or is to go. */
  settle(stays: boolean): void {
    const { items } = this;
    if (!stays) {
      const last = items.pop();
      if (last === undefined || items.length === 0) return;
      items[0] = last;
    }
    let at = 0;
    for (;;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const smaller = counterAt(items, right) < counterAt(items, left) ? right : left;
      if (counterAt(items, smaller) >= counterAt(items, at)) return;
      [items[at], items[smaller]] = [items[smaller] as Counted, items[at] as Counted];
      at = smaller;
    }
  }
}

const counterAt = (items: readonly Counted[], at: number): number => items[at]?.counter ?? Infinity;
