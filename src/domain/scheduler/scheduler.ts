/**
 * The scheduler: one pure state machine. Events go in with their time, commands come out; it has no
 * I/O, no clock and no randomness of its own. The router and the simulator drive the same object.
 *
 * Parts: `agentIndex` (who is there), `instancePools` (open instances, and who waits for them),
 * `waitingQueue` (deadlines, bounds), `turns` (who is next), `slotFiller` (free slots to who is
 * next), `limitBook` (what projects may use), `choice` (which instance), `verdict` (why not):
 * `docs/internals/scheduling.md`.
 *
 * Invariants
 * R1 An accepted request gets one `dispatch` at a time and at most one `reject`, never both;
 *    each claim's slot is released exactly once.
 * R2 A claim is made only where `agentExclusion` passes and the agent's process is linked.
 * R5 In-flight counts change at claim and release only; their sum is the number of claims.
 * W1 After every event no waiting request, of the first `maxPassedOver` of its project, could be
 *    claimed by an open instance within the limits of its project: nobody waits for nothing.
 * L1 A claim is a slot and what limits set aside for it, taken and given back in one turn each.
 */
import { arrivalRefusal, quotaRefusal, stoppedRequests, stopVerdict } from './admission.ts';
import { chooseInstance, type Choice, type Chooser } from './choice.ts';
import { ClaimBook } from './claimBook.ts';
import { chooseBeside, dispatchOf, isFree, newClaim } from './dispatchOf.ts';
import type { FailureBook, Moving } from '../failures/failureBook.ts';
import { HedgeBudget } from '../failures/hedgeBudget.ts';
import type { FleetChanges } from './fleetChanges.ts';
import type { InstancePools } from './instancePools.ts';
import type { Rates } from '../quotas/limitAccount.ts';
import type { LimitBook } from '../quotas/limitBook.ts';
import { maxRetries } from '../limits.ts';
import { servingTier, type RoutedRequest } from '../agents/matching.ts';
import { ownOutput, type Learned, type Placement } from '../placing/placement.ts';
import type { FleetEvent, SchedulerCommand, SchedulerEvent, Verdict } from './schedulerEvents.ts';
import type { Claim, WaitingRequest } from './schedulerState.ts';
import type { SchedulerOptions } from './schedulerConfig.ts';
import { schedulerAudit, type SchedulerAudit } from './schedulerAudit.ts';
import { schedulerParts } from './schedulerParts.ts';
import { SlotFiller } from './slotFiller.ts';
import { deadlineVerdict, hopeless, somebodyElse, triedBy, type Fleet } from './verdict.ts';
import type { Turns } from '../waiting/turns.ts';
import type { WaitingQueue } from '../waiting/waitingQueue.ts';

export class Scheduler {
  private readonly placement: Placement;
  private readonly pools: InstancePools;
  readonly fleet: Fleet;
  readonly queue: WaitingQueue;
  readonly turns: Turns;
  protected readonly limits: LimitBook;
  private readonly failures: FailureBook;
  private readonly changes: FleetChanges;
  private readonly hedges = new HedgeBudget();
  private readonly claims = new ClaimBook();
  private readonly chooser: Chooser;
  private readonly filler: SlotFiller;
  private timerAtMs: number | null = null;
  private nowMs = 0;
  private commands: SchedulerCommand[] = [];

  constructor(options: SchedulerOptions) {
    const parts = schedulerParts(options);
    this.placement = parts.placement;
    this.pools = parts.pools;
    this.limits = parts.limits;
    this.fleet = parts.fleet;
    this.failures = parts.failures;
    this.chooser = parts.chooser;
    this.queue = parts.queue;
    this.turns = parts.turns;
    this.changes = parts.changes;
    this.filler = new SlotFiller(parts, (waiting, choice) => this.claim(waiting, choice));
  }

  /** Takes one event and says what is to be done, in order. Times never go back. */
  handle(event: SchedulerEvent): SchedulerCommand[] {
    this.nowMs = Math.max(this.nowMs, event.atMs);
    this.commands = [];
    this.limits.advance(this.nowMs);
    this.queue.advance(this.nowMs);
    this.turns.advance(this.nowMs);
    this.filler.advance(this.nowMs);
    this.filler.fillAll(this.failures.advance(this.nowMs));
    this.filler.fillAll(this.pools.advance(this.nowMs));
    this.apply(event);
    this.claimReady();
    while (this.filler.fillIfGone() || this.pools.isWider || this.queue.isUnsettled) {
      this.filler.fillAll(this.pools.takeWider());
      this.filler.fillAll(this.turns.openToUrgent());
      this.claimReady();
    }
    this.armTimer();
    return this.commands;
  }

  /** Requests that wait and that run. */
  counts(): { waiting: number; waitingBytes: number; running: number } {
    const { size: waiting, bytes: waitingBytes } = this.queue;
    return { waiting, waitingBytes, running: this.claims.running };
  }

  /** The same for one endpoint. */
  endpointCounts(endpointId: string): { waiting: number; running: number } {
    const running = this.claims.runningOf(endpointId);
    return { waiting: this.queue.ofEndpoint(endpointId), running };
  }

  /** What an agent's running process has: claims that hold its slots, and slots that it grants. */
  agentLoad(agentId: string): { inFlight: number; slots: number } {
    return this.fleet.agents.loadOf(agentId);
  }

  /** Claims that hold a slot of one engine instance. */
  inFlight(where: { agentId: string; nonce: string; instance: string }): number {
    return this.fleet.agents.inFlight(where);
  }

  /** Agents that are not clear after a failure, and how often one was put into the box. */
  penalties(): { agents: number; total: number } {
    return { agents: this.failures.penalties.size, total: this.failures.penalties.total };
  }

  /** What was learned, as figures. */
  learned(): Learned {
    return { ...this.placement.gauges(), room: this.pools.room() };
  }

  /** Whether somebody else is free to go on with what a claim serves. */
  couldMove(claimId: number, moving: Moving): boolean {
    const claim = this.claims.serving(claimId);
    return claim !== undefined && this.failures.couldMove(claim, moving);
  }

  /** R5, L1, W1 for tests: every sum counted twice, every waiting request tried again. */
  audit(): SchedulerAudit {
    const { limits, queue } = this;
    const claimable = [...queue.all()].filter((one) => this.choose(one) !== null);
    const [claims, agents] = [this.claims.all(), this.fleet.agents.all()];
    return schedulerAudit({ claims, agents, limits, queue, claimable });
  }

  private apply(event: SchedulerEvent): void {
    switch (event.type) {
      case 'arrive':
        return this.arrive(event.request);
      case 'endpoint':
        return this.reroute(event);
      case 'regions':
        return void (this.chooser.regions.map = event.map);
      case 'key_tokens':
        return this.limits.addToDays(event);
      case 'budget':
        return this.noteBudget(event);
      case 'first_byte':
        return this.noteFirstByte(event.claim);
      case 'hedge':
        return this.hedge(event.claim);
      case 'drop':
        return this.drop(event);
      case 'failed':
        return this.fail(event);
      case 'end':
        return this.end(event);
      case 'release':
        return this.release(event);
      case 'hang_up':
        return this.hangUp(event);
      case 'tick':
        return this.tick();
      default:
        return this.applyFleet(event);
    }
  }

  private applyFleet(event: FleetEvent): void {
    const { instances, opened } = this.changes.apply(event, this.nowMs);
    // What these two say changes nobody's standing.
    const changesStanding = event.type !== 'rtt' && event.type !== 'models';
    if (changesStanding) this.failures.others.lookAnew();
    this.filler.fillAll(instances);
    // Those who have waited there before have their turn before those to whom it opens.
    if (changesStanding) this.filler.fillSpared();
    this.claimInOrder(opened.filter((one) => this.queue.get(one.request.id) === one));
  }

  // Requests

  private arrive(request: RoutedRequest): void {
    const { fleet, limits, queue, nowMs } = this;
    const waiting = queue.newcomer(request, nowMs);
    const byKey = quotaRefusal(fleet, { waiting, limits });
    if (byKey === null && this.tryClaim(waiting)) return;
    const refusal = byKey ?? arrivalRefusal(fleet, { waiting, limits, queue, nowMs });
    if (refusal === null) queue.add(waiting);
    else this.reject(waiting, refusal.verdict, refusal.rates);
  }

  /** What waits is judged anew by the new settings; what runs, when it has to be tried again. */
  private reroute(event: Extract<SchedulerEvent, { type: 'endpoint' }>): void {
    const { endpoint, project, model } = event;
    this.failures.others.endRound();
    const renew = (waiting: WaitingRequest): void => {
      const { request } = waiting;
      // A request for the model that the endpoint had before waits for that one.
      const same = request.model.id === model.id;
      const renewed = { ...request, endpoint, project, model: same ? model : request.model };
      this.queue.renew(waiting, renewed, this.nowMs);
    };
    for (const { waiting } of this.claims.servingAll()) {
      if (waiting.request.endpoint.id === endpoint.id) renew(waiting);
    }
    const waiting = this.queue.waitingFor(endpoint.id);
    for (const one of waiting) {
      this.queue.remove(one);
      renew(one);
    }
    for (const one of waiting) this.seatAgain(one);
  }

  private seatAgain(waiting: WaitingRequest): void {
    if (this.tryClaim(waiting)) return;
    const verdict = hopeless(this.fleet, { waiting, nowMs: this.nowMs });
    if (verdict === null) this.queue.add(waiting);
    else this.reject(waiting, verdict);
  }

  private noteBudget({ id, stop }: Extract<SchedulerEvent, { type: 'budget' }>): void {
    const { fleet, limits, queue } = this;
    limits.setStop(id, stop);
    for (const { waiting, verdict } of stoppedRequests(fleet, { limits, queue })) {
      queue.remove(waiting);
      this.reject(waiting, verdict);
    }
  }

  private fail(event: Extract<SchedulerEvent, { type: 'failed' }>): void {
    const claim = this.claims.serving(event.claim);
    if (claim === undefined) return;
    const { waiting } = claim;
    const slotFree = isFree(claim, event);
    this.claims.detach(claim, 'nothing');
    this.queue.noteWanted(claim);
    const written = Math.max(0, (event.resume?.delivered ?? 0) - (waiting.delivered ?? 0));
    const blameless = event.blameless === true;
    this.placement.failed(claim, { written, blameless, nowMs: this.nowMs });
    const key = triedBy(claim);
    if (event.resume !== undefined) this.queue.begin(waiting, { ...event.resume, tried: [key] });
    else if (blameless && waiting.turnedDown < maxRetries) waiting.turnedDown += 1;
    else waiting.tried.push(key);
    this.limits.failed(claim, { broke: event.resume !== undefined });
    // It was taken away from an agent: until then it did not wait.
    if (!event.slotFree) this.queue.waitAnew(waiting);
    this.failures.judge(claim, event.health);
    // The freed slot goes to the queue only after the retry, which stands at its head.
    if (slotFree) this.free(claim, event.neverRan);
    this.retry(waiting);
    this.afterClaim(claim);
    this.filler.fillIfGone();
  }

  /** A second claim for a request whose first byte is late. */
  private hedge(claimId: number): void {
    const claim = this.claims.serving(claimId);
    if (claim === undefined || claim.twin !== null || claim.placed.work.phase !== 'prefill') return;
    if (!this.hedges.isOpen) return;
    const { waiting } = claim;
    const choice = chooseBeside(claim, (one) => this.choose(one));
    // It does not wait: no limit may hold it back for later (L3).
    this.limits.held.forget(waiting);
    if (choice === null || this.queue.wants(choice.instance)) return;
    this.hedges.spend();
    this.claim(waiting, choice, claim);
  }

  /** R1: of two claims one goes, and the request depends on the other. */
  private drop(event: Extract<SchedulerEvent, { type: 'drop' }>): void {
    const claim = this.claims.serving(event.claim);
    const other = claim?.twin ?? null;
    if (claim === undefined || other === null) return;
    const { waiting } = claim;
    const slotFree = isFree(claim, event);
    this.claims.drop(claim, other);
    this.limits.isLeft(other, claim);
    if (event.slotFree) waiting.tried.push(triedBy(claim));
    this.failures.judge(claim, event.health);
    if (slotFree) this.free(claim, event.neverRan);
    this.afterClaim(claim);
    this.filler.fillIfGone();
  }

  private retry(waiting: WaitingRequest): void {
    this.queue.moveToHead(waiting, this.nowMs);
    const [attempts, most] = [waiting.tried.length, waiting.maxRetries];
    if (attempts <= most && this.tryClaim(waiting)) return;
    if (attempts > most || !somebodyElse(this.fleet, waiting)) {
      const waitedMs = this.nowMs - waiting.arrivedAtMs;
      this.reject(waiting, { kind: 'upstream_error', attempts, waitedMs });
      return this.filler.fillAll(this.failures.forgive(waiting));
    }
    const { fleet, limits, nowMs } = this;
    const stopped = stopVerdict(fleet, { waiting, limits });
    if (stopped === null && waiting.deadlineMs > nowMs) {
      this.queue.add(waiting);
      return this.filler.fillAll(this.turns.openToOld(waiting));
    }
    this.reject(waiting, stopped ?? deadlineVerdict(fleet, { waiting, nowMs }));
  }

  private end(event: Extract<SchedulerEvent, { type: 'end' }>): void {
    const claim = this.claims.serving(event.claim);
    if (claim === undefined) return;
    const slotFree = isFree(claim, event);
    this.claims.detach(claim, 'reserved');
    // This one has not answered: what earlier attempts took was not for nothing.
    if (claim.placed.work.firstByteAtMs === null) this.placement.unanswered(claim.waiting);
    this.placement.left(claim.waiting, this.nowMs);
    const isBad = event.health === 'bad' || event.health === 'silent';
    const cleared = this.failures.judge(claim, event.health);
    const forgiven = isBad ? this.failures.forgive(claim.waiting) : [];
    if (slotFree) this.release(event);
    this.filler.fillAll([...cleared, ...forgiven]);
    if (isBad) this.filler.fillIfGone();
  }

  /** R1: the second release of a claim finds nothing. */
  private release(event: Omit<Extract<SchedulerEvent, { type: 'release' }>, 'type'>): void {
    const claim = this.claims.get(event.claim);
    if (claim === undefined) return;
    claim.neverRan ||= event.neverRan === true;
    // An order to stop may be the end of its link: what it is stopped for is told after it.
    if (claim.phase !== 'over') return void (claim.phase = 'closed');
    // Tokens of an attempt that failed were never the client's.
    if (event.usage !== undefined && claim.spent !== 'nothing') claim.spent = event.usage;
    this.free(claim);
    this.afterClaim(claim);
  }

  /** A slot may have become free. */
  private afterClaim({ instance }: Claim): void {
    this.filler.fill(instance);
    // One that proves itself, or has another model by now, may take the next one, whatever it is.
    const mayAll = this.failures.penalties.size > 0 || instance.pools.length === 0;
    for (const one of mayAll ? instance.agent.instances.values() : []) {
      if (one !== instance) this.filler.fill(one);
    }
    this.changes.forgetIfIdle(instance.agent, this.nowMs);
  }

  private free(claim: Claim, neverRan = claim.neverRan): void {
    this.claims.delete(claim);
    this.limits.settle(claim);
    this.queue.noteWanted(claim);
    this.placement.ended(claim, this.nowMs);
    if (neverRan) this.placement.neverRan(claim);
    if (typeof claim.spent !== 'string') this.failures.noteAnswer(claim, ownOutput(claim.spent));
    this.pools.release(claim.instance, this.nowMs - claim.startedAtMs);
  }

  private noteFirstByte(claimId: number): void {
    const claim = this.claims.serving(claimId);
    if (claim === undefined) return;
    this.placement.firstByte(claim, this.nowMs);
    this.limits.firstByte(claim);
    this.pools.refresh(claim.instance);
    this.filler.fill(claim.instance);
  }

  private hangUp(event: Extract<SchedulerEvent, { type: 'hang_up' }>): void {
    const waiting = this.queue.get(event.requestId);
    if (waiting === undefined) return;
    this.queue.remove(waiting);
    const waitedMs = this.nowMs - waiting.arrivedAtMs;
    this.reject(waiting, { kind: event.outcome, waitedMs });
  }

  private tick(): void {
    this.timerAtMs = null;
    const opened: WaitingRequest[] = [];
    for (let next = this.queue.due(this.nowMs); next !== null; next = this.queue.due(this.nowMs)) {
      if (next.deadlineMs <= this.nowMs) this.expire(next);
      else {
        this.queue.wake(next);
        opened.push(next);
      }
    }
    this.claimInOrder(opened);
  }

  private expire(waiting: WaitingRequest): void {
    // Asked while it still stands in its pools: they are kept for as long as it does.
    const verdict = deadlineVerdict(this.fleet, { waiting, nowMs: this.nowMs });
    this.queue.remove(waiting);
    this.reject(waiting, verdict);
  }

  /** L3: those that a limit held back and that it may let go now. */
  private claimReady(): void {
    const { held } = this.limits;
    for (let ready = held.takeReady(); ready.length > 0; ready = held.takeReady()) {
      this.claimInOrder(ready);
    }
  }

  /** Several may have been opened to shared agents by one event: their order stays the queue's. */
  private claimInOrder(opened: WaitingRequest[]): void {
    for (const waiting of opened.toSorted((one, other) => one.order - other.order)) {
      this.tryClaim(waiting);
    }
    for (const one of opened) this.filler.fillAll(this.turns.openToOld(one));
  }

  // Claims

  /** Overridden where another rule than the product's is held against it. */
  protected choose(waiting: WaitingRequest): Choice | null {
    const { nowMs, chooser } = this;
    return chooseInstance(this.pools, { waiting, nowMs, chooser });
  }

  /** Claims a slot for a request that has no turn: those who wait could not have it (W1). */
  private tryClaim(waiting: WaitingRequest): boolean {
    const choice = this.choose(waiting);
    if (choice === null) return false;
    this.queue.remove(waiting);
    this.claim(waiting, choice);
    return true;
  }

  private claim(waiting: WaitingRequest, choice: Choice, twin: Claim | null = null): void {
    const { nowMs } = this;
    const { instance, stage, decision } = choice;
    const { request } = waiting;
    const tier = servingTier(request, stage) ?? request.endpoint.tier;
    this.pools.claim(instance);
    const agent = instance.agent.entry;
    const reservation = this.limits.reserve(waiting, { agent, stage, twin });
    const placed = this.placement.claimed(waiting, { instance, tier, nowMs });
    this.pools.took(instance, { waiting, work: placed.work });
    const held = { instance, stage, placed, reservation, twin };
    const claim = newClaim({ id: this.claims.nextId(), waiting, startedAtMs: nowMs, ...held });
    this.claims.add(claim);
    this.queue.noteWanted(claim);
    this.limits.began(claim);
    if (twin !== null) twin.twin = claim;
    else {
      this.claims.begin(claim);
      if (waiting.tried.length === 0) this.hedges.dispatched();
    }
    const rates = this.limits.ratesOf(reservation, request);
    const waitedMs = nowMs - waiting.arrivedAtMs;
    const stallMs = this.failures.stallMs(instance);
    this.commands.push(dispatchOf(claim, { tier, decision, waitedMs, rates, stallMs }));
  }

  private reject(waiting: WaitingRequest, verdict: Verdict, rates: Rates | null = null): void {
    this.limits.release(waiting, { slotFree: !this.claims.has(waiting.left?.id ?? 0) });
    this.placement.unanswered(waiting);
    this.placement.left(waiting, this.nowMs);
    this.commands.push({ type: 'reject', requestId: waiting.request.id, verdict, rates });
  }

  private armTimer(): void {
    // Who opens while nobody waits is found open by the next who arrives.
    const opens = Math.min(this.pools.nextOpenMs(), this.failures.penalties.nextWakeMs());
    const opensAtMs = this.queue.size === 0 ? Infinity : opens;
    const wakeAtMs = Math.min(opensAtMs, this.queue.nextWakeMs(), this.limits.held.nextWakeMs());
    if (wakeAtMs === Infinity || (this.timerAtMs !== null && this.timerAtMs <= wakeAtMs)) return;
    this.timerAtMs = wakeAtMs;
    this.commands.push({ type: 'set_timer', atMs: wakeAtMs });
  }
}
