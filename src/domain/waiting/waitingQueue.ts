/**
 * The queue: who waits, in which order, until when, and how many may. A waiting request stands in
 * the queue of every pool that may serve it, and in one heap for its next deadline.
 *
 * Invariants
 * Q1 A request waits at most `longestMs` from its arrival, retries included; one whose answer has
 *    begun, as long again for each time that it breaks.
 * Q2 Requests and bytes are bounded (R6), in all and of one project, and of requests those of one
 *    project on one tier; what is over is refused, not kept. No project has the whole line.
 */
import { addTo } from '../../lib/addTo.ts';
import { DeadlineHeap } from './deadlineHeap.ts';
import type { LimitBook } from '../quotas/limitBook.ts';
import {
  longestQueueTimeoutMs,
  maxRetries,
  maxProjectWaitingBytes,
  maxProjectWaitingRequests,
  maxRetriesOfBroken,
  maxWaitingBytes,
  maxWaitingRequests,
  waitingPerConcurrent,
} from '../limits.ts';
import {
  agentExclusion,
  fallbackTier,
  hasAbilities,
  type Ownership,
  type RoutedRequest,
  type Stage,
} from '../agents/matching.ts';
import { maxConsidered, patienceMs } from '../scheduler/limits.ts';
import type { QueueBound, Verdict } from '../scheduler/schedulerEvents.ts';
import type { Claim, EngineInstance, WaitingRequest } from '../scheduler/schedulerState.ts';
import { scopedPrompt, type Placement } from '../placing/placement.ts';
import type { ProjectQueue } from './poolQueue.ts';
import type { TokenNeed } from '../prediction/tokenEstimates.ts';
import type { TierTable } from '../tiers/tiers.ts';
import { hasBoundShared, triedKey, type Fleet } from '../scheduler/verdict.ts';

export interface WaitingBounds {
  maxRequests: number;
  maxBytes: number;
  /** Of these, one project's part, on all tiers together. */
  maxProjectRequests: number;
  maxProjectBytes: number;
  /** Waiting requests per running one that the endpoint's tier allows a project. */
  perConcurrent: number;
  /** The longest that any may wait, in ms. */
  longestMs: number;
}

const defaultBounds: WaitingBounds = {
  maxRequests: maxWaitingRequests,
  maxBytes: maxWaitingBytes,
  maxProjectRequests: maxProjectWaitingRequests,
  maxProjectBytes: maxProjectWaitingBytes,
  perConcurrent: waitingPerConcurrent,
  longestMs: longestQueueTimeoutMs,
};

/** More than will ever arrive: what is taken from the order of a retry. */
const beforeArrivals = 2 ** 52;

export class WaitingQueue {
  private readonly fleet: Fleet;
  private readonly tiers: TierTable;
  private readonly bounds: WaitingBounds;
  private readonly limits: LimitBook;
  private readonly placement: Placement;
  private readonly byId = new Map<string, WaitingRequest>();
  private readonly heap = new DeadlineHeap<WaitingRequest>();
  /** By project and tier. */
  private readonly perTier = new Map<string, number>();
  private readonly perProject = new Map<string, number>();
  private readonly bytesPerProject = new Map<string, number>();
  private readonly perEndpoint = new Map<string, number>();
  /** Those of which others may have the turn of an urgent one by now. */
  private readonly unsettled = new Set<ProjectQueue<WaitingRequest>>();
  private totalBytes = 0;
  private lastOrder = 0;
  private nowMs = 0;

  constructor(
    fleet: Fleet,
    options: {
      tiers: TierTable;
      waiting?: Partial<WaitingBounds>;
      limits: LimitBook;
      placement: Placement;
    },
  ) {
    this.fleet = fleet;
    this.limits = options.limits;
    this.placement = options.placement;
    this.tiers = options.tiers;
    this.bounds = { ...defaultBounds, ...options.waiting };
  }

  /** The time of everything that follows. */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
  }

  get size(): number {
    return this.byId.size;
  }

  /** Bodies of those who wait. */
  get bytes(): number {
    return this.totalBytes;
  }

  /** What its bounds are held against; projects count once for each sum of theirs. */
  audit(): { waitingBytes: number; waitingProjects: number } {
    const { totalBytes: waitingBytes, perTier, perProject, bytesPerProject } = this;
    const waitingProjects = perTier.size + perProject.size + bytesPerProject.size;
    return { waitingBytes, waitingProjects };
  }

  all(): Iterable<WaitingRequest> {
    return this.byId.values();
  }

  get(requestId: string): WaitingRequest | undefined {
    return this.byId.get(requestId);
  }

  ofEndpoint(endpointId: string): number {
    return this.perEndpoint.get(endpointId) ?? 0;
  }

  /** Those of an endpoint, first in line first. */
  waitingFor(endpointId: string): WaitingRequest[] {
    if (this.ofEndpoint(endpointId) === 0) return [];
    return [...this.byId.values()]
      .filter(({ request }) => request.endpoint.id === endpointId)
      .toSorted((one, other) => one.order - other.order);
  }

  /** A request that has just arrived, with its place in line; it does not wait yet. */
  newcomer(request: RoutedRequest, nowMs: number): WaitingRequest {
    this.lastOrder += 1;
    const timeoutMs = Math.min(request.endpoint.queueTimeoutMs, this.bounds.longestMs);
    const waiting: WaitingRequest = {
      request,
      projectId: request.project.id,
      prompt: scopedPrompt(request),
      order: this.lastOrder,
      counted: false,
      delivered: null,
      left: null,
      measures: measuresOf(this.limits.estimate(request)),
      fair: null,
      waitsIn: null,
      arrivedAtMs: nowMs,
      deadlineMs: nowMs + timeoutMs,
      keyHold: null,
      heldBackBy: new Set(),
      fallbackAtMs: this.fallbackOpensAt(request, nowMs),
      stages: ['own'],
      tried: [],
      failedAt: new Set(),
      strikes: [],
      others: null,
      turnedDown: 0,
      lostCharge: 0,
      attemptsBefore: 0,
      maxRetries,
      places: [],
      wakeAtMs: 0,
      heapIndex: -1,
    };
    this.openIfDue(waiting, nowMs);
    return waiting;
  }

  /** Q2: why there is no room for one more; null when there is. */
  boundMet(waiting: WaitingRequest): Verdict | null {
    const { maxRequests, maxBytes, maxProjectRequests, maxProjectBytes, perConcurrent } =
      this.bounds;
    const { request } = waiting;
    const { bodyBytes, endpoint, project } = request;
    const onTier = this.perTier.get(tierKey(request)) ?? 0;
    const ofProject = this.perProject.get(project.id) ?? 0;
    const bytesOfProject = this.bytesPerProject.get(project.id) ?? 0;
    const maxOnTier = this.tiers[endpoint.tier].concurrentPerProject * perConcurrent;
    // Where the operator lets a tier have more of a project, it may have as many of it.
    const maxOfProject = Math.max(maxProjectRequests, maxOnTier);
    const full = (bound: QueueBound, limit: number, used: number): Verdict => ({
      kind: 'queue_full',
      bound,
      limit,
      used,
      expectedWaitMs: this.fleet.outlook.of(waiting, this.nowMs).etaMs,
    });
    if (onTier >= maxOnTier) return full('project', maxOnTier, onTier);
    if (ofProject >= maxOfProject) return full('project_requests', maxOfProject, ofProject);
    // One body may wait, whatever its size: else the largest ones never could.
    if (bytesOfProject > 0 && bytesOfProject + bodyBytes > maxProjectBytes) {
      return full('project_bytes', maxProjectBytes, bytesOfProject);
    }
    if (this.size >= maxRequests) return full('requests', maxRequests, this.size);
    const bytes = this.totalBytes + bodyBytes;
    return bytes > maxBytes ? full('bytes', maxBytes, this.totalBytes) : null;
  }

  /** Lets it wait, in the pools of every stage that is open to it. */
  add(waiting: WaitingRequest): void {
    const { request } = waiting;
    this.byId.set(request.id, waiting);
    this.count(request, 1);
    this.stand(waiting, waiting.stages);
    this.setWake(waiting);
  }

  /** Takes it out of every list. */
  remove(waiting: WaitingRequest): void {
    const { request } = waiting;
    if (!this.byId.delete(request.id)) return;
    this.count(request, -1);
    for (const { pool, place } of waiting.places) {
      const line = pool.waiting.remove(place);
      // With the turn of who has gone the next ones may have earned theirs, or be first by now.
      if (line !== undefined) this.unsettled.add(line);
      this.fleet.pools.dropIfEmpty(pool);
    }
    waiting.places = [];
    this.placement.waitsNoMore(waiting);
    this.heap.remove(waiting);
    this.limits.held.forget(waiting);
  }

  private count(request: RoutedRequest, by: 1 | -1): void {
    const { bodyBytes, endpoint, project } = request;
    this.totalBytes += by * bodyBytes;
    addTo(this.perTier, { key: tierKey(request), by });
    addTo(this.perProject, { key: project.id, by });
    addTo(this.bytesPerProject, { key: project.id, by: by * bodyBytes });
    addTo(this.perEndpoint, { key: endpoint.id, by });
  }

  get isUnsettled(): boolean {
    return this.unsettled.size > 0;
  }

  takeUnsettled(): ProjectQueue<WaitingRequest>[] {
    const lines = [...this.unsettled];
    this.unsettled.clear();
    return lines;
  }

  /**
   * A retry goes before the others of its project, and among retries whoever came first does. Its
   * deadline is the old one. It does not wait yet.
   */
  moveToHead(waiting: WaitingRequest, nowMs: number): void {
    if (waiting.order > 0) waiting.order -= beforeArrivals;
    // While it ran, its fallback may have become due, or its own agents may have gone.
    if (waiting.fallbackAtMs !== null && !this.hasOwnCarrier(waiting.request)) {
      waiting.fallbackAtMs = nowMs;
    }
    this.openIfDue(waiting, nowMs);
  }

  /**
   * Q1: part of its answer was delivered, and it waits anew for somebody to continue it. It does
   * not wait yet.
   */
  begin(
    waiting: WaitingRequest,
    how: { abilities: readonly string[]; delivered: number; tried: string[] },
  ): void {
    const { request } = waiting;
    const abilities = [...new Set([...request.abilities, ...how.abilities])];
    waiting.request = { ...request, abilities };
    waiting.attemptsBefore += waiting.tried.length + waiting.turnedDown;
    waiting.tried = how.tried;
    waiting.delivered = how.delivered;
    waiting.maxRetries = maxRetriesOfBroken;
    waiting.turnedDown = 0;
    this.waitAnew(waiting);
  }

  /** It was being served: its deadline is as if it came now. It does not wait yet. */
  waitAnew(waiting: WaitingRequest): void {
    const { queueTimeoutMs } = waiting.request.endpoint;
    waiting.deadlineMs = this.nowMs + Math.min(queueTimeoutMs, this.bounds.longestMs);
  }

  /** Other settings for one that does not wait at the moment; its deadline stays. */
  renew(waiting: WaitingRequest, request: RoutedRequest, nowMs: number): void {
    waiting.request = request;
    waiting.prompt = scopedPrompt(request);
    waiting.others = null;
    waiting.stages = ['own'];
    waiting.fallbackAtMs = this.fallbackOpensAt(request, waiting.arrivedAtMs);
    this.openIfDue(waiting, nowMs);
  }

  /** Opens shared agents to one that waits. */
  openShared(waiting: WaitingRequest): void {
    if (waiting.stages.includes('shared')) return;
    waiting.fallbackAtMs = null;
    waiting.stages = ['own', 'shared'];
    this.stand(waiting, ['shared']);
    this.setWake(waiting);
  }

  /** Its time has come, and it is not its deadline. */
  wake(waiting: WaitingRequest): void {
    if (waiting.fallbackAtMs !== null && waiting.fallbackAtMs <= this.nowMs) {
      this.openShared(waiting);
    } else this.setWake(waiting);
  }

  /** The next one that is due, by its deadline or otherwise; null when there is none. */
  due(nowMs: number): WaitingRequest | null {
    const next = this.heap.peek();
    return next !== undefined && next.wakeAtMs <= nowMs ? next : null;
  }

  /** When the next such time is; `Infinity` when nobody waits. */
  nextWakeMs(): number {
    return this.heap.peek()?.wakeAtMs ?? Infinity;
  }

  /**
   * Whether somebody waits whom an instance could serve, if not at this moment; of another project
   * than this one, if one is given. Bounded: of very many who wait one is taken to.
   */
  wants({ agent: { entry }, agent, abilities, pools }: EngineInstance, besides?: string): boolean {
    let looked = 0;
    for (const { waiting } of pools) {
      for (const { byKey, projectId } of waiting.waitingProjects()) {
        if (projectId === besides) continue;
        for (const { item } of byKey) {
          if ((looked += 1) > maxConsidered) return true;
          const { request, heldBackBy, tried } = item;
          // What keeps these from it is not its place.
          if (heldBackBy.size > 0 || tried.includes(triedKey(agent))) continue;
          if (!hasAbilities(abilities, { asked: request.abilities })) continue;
          const mayServe = (stage: Stage): boolean =>
            agentExclusion(entry, { request, stage }) === null;
          if (item.stages.some(mayServe)) return true;
        }
      }
    }
    return false;
  }

  /** F2: whether another project wants its slot; asked when it is claimed and when it is free. */
  noteWanted({ instance, placed: { fair }, waiting }: Claim): void {
    if (fair !== null) fair.wasWanted ||= this.wants(instance, waiting.projectId);
  }

  /**
   * Those that wait for own agents, or shared ones bound to their endpoint, while none is enrolled
   * for them any more: of one project or of some endpoints.
   */
  withoutOwnCarrier(of: {
    projectId: string | null;
    endpointIds: ReadonlySet<string>;
  }): WaitingRequest[] {
    const { projectId, endpointIds } = of;
    if (projectId === null && endpointIds.size === 0) return [];
    return [...this.byId.values()].filter((waiting) => {
      const { project, endpoint } = waiting.request;
      const isOf = project.id === projectId || endpointIds.has(endpoint.id);
      return waiting.fallbackAtMs !== null && isOf && !this.hasOwnCarrier(waiting.request);
    });
  }

  private openIfDue(waiting: WaitingRequest, nowMs: number): void {
    if (waiting.fallbackAtMs === null || waiting.fallbackAtMs > nowMs) return;
    waiting.fallbackAtMs = null;
    waiting.stages = ['own', 'shared'];
  }

  /**
   * When shared agents open to a request that arrives now; null = never. `after_ms` holds only
   * while an own agent that carries the tier is enrolled, otherwise they are open at once.
   */
  private fallbackOpensAt(request: RoutedRequest, nowMs: number): number | null {
    if (fallbackTier(request) === null) return null;
    const { afterMs } = request.endpoint.fallback;
    return this.hasOwnCarrier(request) ? nowMs + afterMs : nowMs;
  }

  private hasOwnCarrier(request: RoutedRequest): boolean {
    const { project, endpoint } = request;
    const { agents } = this.fleet;
    const unbound = agents.group(`p:${project.id}`, endpoint.tier);
    if (unbound !== undefined && unbound.enrolled > 0) return true;
    // Bound agents are few: each is asked.
    return agents
      .boundTo(endpoint.id, endpoint.tier)
      .some(({ entry }) => agentExclusion(entry, { request, stage: 'own' }) === null);
  }

  /** In the pools of these stages, from now on. */
  private stand(waiting: WaitingRequest, stages: readonly Stage[]): void {
    const { pools } = this.fleet;
    const { request } = waiting;
    const isShared = stages.includes('shared') || hasBoundShared(this.fleet, request);
    if (isShared) this.placement.waits(waiting, this.nowMs);
    const own = this.placement.leastOwn(waiting);
    for (const stage of stages) {
      for (const pool of pools.toWaitIn(request, stage)) {
        const { projectCount } = pool.waiting;
        const place = pool.waiting.insert(waiting, own[pool.ownership]);
        waiting.places.push({ pool, stage, place });
        if (projectCount === 0 || pool.waiting.projectCount === projectCount) continue;
        for (const { byKey } of pool.waiting.waitingProjects()) {
          if (byKey[0] !== undefined) this.placement.meets(byKey[0].item, this.nowMs);
        }
        if (projectCount === 1) pools.widened(pool);
      }
    }
    pools.waits(waiting);
  }

  private setWake(waiting: WaitingRequest): void {
    const { arrivedAtMs, deadlineMs, fallbackAtMs, measures } = waiting;
    const { own, shared } = measures;
    const later = (atMs: number | null): number =>
      atMs !== null && atMs > this.nowMs ? atMs : Infinity;
    waiting.wakeAtMs = Math.min(
      deadlineMs,
      fallbackAtMs ?? Infinity,
      later(own.keptUntilMs),
      later(shared.keptUntilMs),
      later(arrivedAtMs + patienceMs),
    );
    this.heap.put(waiting);
  }
}

function measuresOf(needs: Record<Ownership, TokenNeed>): WaitingRequest['measures'] {
  const unasked = { longFrom: null, keptUntilMs: null };
  return { own: { tokens: needs.own, ...unasked }, shared: { tokens: needs.shared, ...unasked } };
}

const tierKey = (request: RoutedRequest): string =>
  `${request.project.id}|${request.endpoint.tier}`;
