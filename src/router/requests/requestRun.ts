/**
 * One accepted request, from its arrival to its one outcome.
 *
 *     waiting ──dispatch──▶ running ──answered──▶ concluding ──▶ over
 *        ▲                     │  └──stopped by us──▶ settling ──▶ concluding
 *        └──broken before the first byte, or resumable──┘
 *     waiting ──refused by the scheduler──▶ concluding
 *
 * `settling` waits for the trailers of an engine that we stopped, for a bounded time, so that the
 * record has its usage. `concluding` waits for the journal, which alone stands between an outcome
 * and the client's last byte.
 *
 * Invariants
 * R1 `conclude` runs once: one outcome, one record, one resolved promise (`requestEnd.ts`).
 * R3 After the client has a byte of one attempt, no other attempt is made but one that continues
 *    what the client has.
 * R8 An attempt that was given up is reset before the next one is opened.
 * R4 From its arrival to the first byte nothing is awaited: a dispatch opens its stream in the turn
 *    of the scheduler, and nobody waits for the `begin` line in the journal.
 */
import type { Health } from '../../domain/failures/failureBook.ts';
import type { Dispatch, Reject } from '../../domain/scheduler/schedulerEvents.ts';
import type { ResetCode } from '../../protocol/link.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { HeadMessage } from '../../protocol/messages/head.ts';
import type { AgentLink } from '../links/agentLink.ts';
import { settleTimeoutMs } from '../limits.ts';
import type { ClientSink, InferenceRequest, Refusal, UsageRecord } from '../ports.ts';
import { noStep, type Continuation } from '../resuming/resumable.ts';
import { healthOfAnswer, healthOfBreak, healthOfTimeout } from './agentHealth.ts';
import type { Answered, Attempt, AttemptOwner, Overdue } from './attempt.ts';
import {
  clientClosedStatus,
  brokenBy,
  keyRevoked,
  notContinued,
  refused,
  shuttingDown,
  timedOut,
  wentQuiet,
  withStatus,
  type Refused,
} from './refusals.ts';
import { newAttempt, startAttempt } from './newAttempt.ts';
import { Rival } from './rival.ts';
import { RequestEnd } from './requestEnd.ts';
import { rateHeaders } from './rateHeaders.ts';
import type { Ending, Failed, RunContext } from './runContext.ts';
import { seenUsage } from './usageClamp.ts';
import { outcomeOf, refusedUsage } from './usageRecord.ts';

export class RequestRun extends RequestEnd implements AttemptOwner {
  /** What the present attempt, or the next one, goes on with; null: nothing was delivered yet. */
  private continuation: Continuation | null = null;
  private readonly rival: Rival;

  constructor(options: { request: InferenceRequest; sink: ClientSink; context: RunContext }) {
    super(options);
    const { sink, context } = this;
    this.rival = new Rival((event) => context.tell(event));
    sink.onClientClosed = () => this.onClientClosed();
    sink.onDrain = () => this.onDrain();
  }

  protected override over(record: UsageRecord): void {
    this.context.onOver(this, record);
  }

  // From the scheduler

  onDispatch(dispatch: Dispatch): void {
    const { phase, context } = this;
    if (dispatch.hedge) return this.onHedge(dispatch);
    if (phase.is !== 'waiting') return;
    const link = context.linkFor(dispatch);
    if (link === undefined) {
      const { claim } = dispatch;
      const neverRan = true;
      return context.tell({ type: 'failed', claim, slotFree: true, blameless: true, neverRan });
    }
    const nowMs = context.clock.monotonic();
    const isFirst = this.attempt === undefined;
    this.queueMs += nowMs - phase.sinceMs;
    const attempt = this.newAttempt(dispatch, { link, nowMs });
    this.attempt = attempt;
    this.trail.dispatched(dispatch, nowMs);
    if (isFirst) context.journal.begin(this.record({ outcome: 'interrupted', status: 500 }));
    this.phase = { is: 'running', attempt };
    this.start(attempt);
  }

  /** Its first byte is late, and somebody else was free. */
  private onHedge(dispatch: Dispatch): void {
    const { context, phase } = this;
    const link = context.linkFor(dispatch);
    if (link === undefined || phase.is !== 'running' || this.answered !== 'none') {
      return context.tell({ type: 'drop', claim: dispatch.claim, slotFree: true, neverRan: true });
    }
    const nowMs = context.clock.monotonic();
    const attempt = this.newAttempt(dispatch, { link, nowMs });
    this.rival.enter(attempt);
    this.trail.hedged(dispatch, nowMs);
    this.start(attempt);
  }

  private newAttempt(dispatch: Dispatch, how: { link: AgentLink; nowMs: number }): Attempt {
    const { context, continuation, resumable: keeper } = this;
    return newAttempt(context, { dispatch, owner: this, continuation, keeper, ...how });
  }

  private start(attempt: Attempt): void {
    const { context, startedAtMs, request, body } = this;
    context.onAttempt(attempt, request);
    startAttempt(attempt, { context, startedAtMs, request, body });
  }

  onReject({ verdict, rates }: Reject): void {
    if (this.phase.is !== 'waiting') return;
    const { clock } = this.context;
    this.queueMs += clock.monotonic() - this.phase.sinceMs;
    this.trail.verdict = verdict;
    const { endpoint } = this.request;
    if ('hit' in verdict) this.context.meter.limited(verdict.hit.limit, verdict.tier);
    const refusal = refused(verdict, { endpoint, nowMs: clock.now() });
    if (this.answered === 'begun') return this.giveUp(refusal);
    this.refuse(rates === null ? refusal : { ...refusal, rateHeaders: rateHeaders(rates) });
  }

  // From the attempt

  onBegun(attempt: Attempt, head: HeadMessage): void {
    if (!this.isRunning(attempt)) return;
    this.answered = 'begun';
    const nowMs = this.context.clock.monotonic();
    const lost = this.rival.lose(nowMs);
    if (lost !== null) this.trail.beaten(lost.claim, 'hedged', nowMs);
    this.ttftMs = nowMs - this.request.arrivedAtMs;
    this.trail.firstByte(nowMs);
    // Unless it may have to be continued, the body has served.
    if (!attempt.isEventStream || this.resumable?.begin(this.body) !== true) this.dropBody();
    this.context.journal.hurry();
    const type = { 'content-type': head.contentType };
    this.sink.head(head.status, { ...type, ...this.agentHeaders(attempt), ...this.left() });
  }

  /** Told after the bytes: what the scheduler learns from them need not hold them up. */
  onFirstBytes(attempt: Attempt): void {
    if (!this.isRunning(attempt)) return;
    if (attempt.continuation !== null) this.wentOn();
    this.context.tell({ type: 'first_byte', claim: attempt.claim });
  }

  /** Somebody continues the answer, and has given something of it. */
  private wentOn(): void {
    this.trail.firstByte(this.context.clock.monotonic());
    this.trail.resumed = this.resumable?.resumed ?? 0;
  }

  /** A stop string was completed that began in what another agent had written. */
  onStopped(attempt: Attempt): void {
    if (!this.isRunning(attempt)) return;
    // It may have been in the first bytes, of which nothing is told any more.
    this.wentOn();
    const finish = (end: EndMessage | undefined): void => {
      const usage = this.usageOf(end) ?? this.readUsage({ outcome: 'completed', end });
      const chunk = usage === undefined ? undefined : attempt.continuation?.stream.usageOf(usage);
      if (chunk !== undefined) this.sink.write(chunk);
      attempt.finish();
    };
    const ending = { outcome: 'completed', status: 200, refusal: null } as const;
    this.settle(attempt, { ...ending, code: 'cancelled', finish });
  }

  onAnswered(attempt: Attempt, { head, end }: Answered): void {
    if (!this.isRunning(attempt)) return;
    if (attempt.isUnfinished(end)) {
      if (end !== undefined) this.context.acknowledge(attempt.link, end.requestId);
      return this.onBroken(attempt, { code: 'refused', detail: 'it did not continue the answer' });
    }
    if (this.answered === 'none') this.onBegun(attempt, head);
    this.context.chunkTokens.learn(attempt.dispatch, this.request.project.id, end);
    const usage = this.usageOf(end) ?? (head.status >= 400 ? refusedUsage : undefined);
    const health = healthOfAnswer(head, end);
    this.context.tell({ type: 'end', claim: attempt.claim, slotFree: true, usage, health });
    const finish = (): void => attempt.finish();
    const outcome = outcomeOf(head, end);
    this.conclude({ outcome, status: head.status, refusal: null, end, finish });
  }

  onBroken(attempt: Attempt, failure: { code: ResetCode; detail: string }): void {
    if (this.phase.is === 'running' && this.rival.isThere) {
      return this.outlive(attempt, { main: this.phase.attempt, code: failure.code });
    }
    if (!this.isRunning(attempt)) return;
    const { claim } = attempt;
    const nowMs = this.context.clock.monotonic();
    this.trail.ended(failure.code, nowMs);
    const health = healthOfBreak(failure.code);
    const isUnanswered = this.answered === 'none';
    const when = isUnanswered ? 'before_first_byte' : 'after_first_byte';
    this.context.meter.attemptFailed(failure.code, when);
    const blameless = failure.code === 'not_granted' || failure.code === 'unknown_instance';
    const neverRan = attempt.neverRan(failure.code);
    const failed = { type: 'failed', claim, slotFree: true, blameless, neverRan, health } as const;
    if (isUnanswered) {
      this.phase = { is: 'waiting', sinceMs: nowMs };
      return this.context.tell(failed);
    }
    if (this.goOn(attempt, { failed, nowMs, why: failure.code })) return;
    this.context.tell({ type: 'end', claim, slotFree: true, health });
    this.concludeStream('stream_error', this.breakOff(attempt, brokenBy(failure.code)));
  }

  /** One of two has failed before the first byte, and the other one goes on. */
  private outlive(failed: Attempt, { main, code }: { main: Attempt; code: ResetCode }): void {
    const how = { main, health: healthOfBreak(code), neverRan: failed.neverRan(code) };
    const left = this.rival.outlive(failed, how) ?? main;
    this.context.meter.attemptFailed(code, 'before_first_byte');
    this.trail.beaten(failed.claim, code, this.context.clock.monotonic());
    this.goOnWith(left);
  }

  /**
   * Lets somebody else continue a stream that broke, or brings it to its end where only that is
   * missing. False: it can only be told that it broke.
   */
  private goOn(attempt: Attempt, how: { failed: Failed; nowMs: number; why: string }): boolean {
    const { failed, nowMs, why } = how;
    const step = this.resumable?.next(this.tokensPerChunk(attempt)) ?? noStep;
    if (step.kind === 'none') return false;
    // Before the scheduler is told: the next one may be dispatched at once.
    this.trail.ended(why, nowMs);
    if (!failed.slotFree) attempt.reset('idle', nowMs);
    if (step.kind === 'complete') {
      const { claim, slotFree, health } = failed;
      const bodyBytes = this.bodyBytes + this.mediaTokens;
      const usage = seenUsage(step.used, { attempt, bodyBytes, most: this.request.maxTokens });
      this.seen = usage;
      // What nobody counted teaches nothing.
      const told = slotFree && step.used.told !== null ? { usage } : {};
      this.context.tell({ type: 'end', claim, slotFree, health, ...told });
      this.sink.write(step.bytes);
      this.sink.write(step.used.chunkOf(usage));
      this.concludeStream('completed', () => this.endStream());
      return true;
    }
    const { abilities, isNewBreak, sentTokens: delivered } = step;
    this.continuation = step;
    this.parts.wrote(attempt, step.sentTokens);
    this.phase = { is: 'waiting', sinceMs: nowMs };
    this.context.tell({ ...failed, ...(isNewBreak && { resume: { abilities, delivered } }) });
    return true;
  }

  /** Nobody continues the answer, or it is not wanted any more. */
  private giveUp({ outcome, refusal }: Refused): void {
    const { attempt } = this;
    if (refusal === null || attempt === undefined) {
      return this.refuse({ outcome, status: clientClosedStatus, refusal });
    }
    const isOurs = outcome === 'revoked' || outcome === 'shutting_down';
    const finish = this.breakOff(attempt, isOurs ? refusal : notContinued(refusal));
    this.concludeStream(isOurs ? outcome : 'stream_error', finish);
  }

  onSettled(
    attempt: Attempt,
    { end, neverRan }: { end: EndMessage | undefined; neverRan: boolean },
  ): void {
    const { claim } = attempt;
    this.context.tell({ type: 'release', claim, usage: this.usageOf(end, attempt), neverRan });
    const { phase } = this;
    if (phase.is === 'settling' && phase.attempt === attempt) {
      this.conclude({ ...phase.ending, end });
    } else if (end !== undefined) this.context.acknowledge(attempt.link, end.requestId);
  }

  onClosed(attempt: Attempt): void {
    this.context.onAttemptClosed(attempt);
  }

  // From outside

  get isOver(): boolean {
    return this.phase.is === 'concluding' || this.phase.is === 'over';
  }

  get isWaiting(): boolean {
    return this.phase.is === 'waiting';
  }

  /** The API key was revoked or replaced, or has expired. */
  revoke(): void {
    this.stop({ outcome: 'revoked', refusal: keyRevoked, code: 'cancelled' });
  }

  /** The server stops and will not wait for this request. */
  shutDown(): void {
    this.stop({ outcome: 'shutting_down', refusal: shuttingDown, code: 'cancelled' });
  }

  /** Called by the sweep. */
  sweep(nowMs: number): void {
    const { phase } = this;
    if (phase.is === 'settling' && nowMs - phase.sinceMs >= settleTimeoutMs) {
      return this.conclude(phase.ending);
    }
    if (phase.is !== 'running') return;
    if (this.answered === 'begun' && this.resumable?.isLost === true) this.dropBody();
    const { attempt } = phase;
    const overdue = attempt.overdue(nowMs);
    if (this.context.hedging && this.answered === 'none') this.rival.want(attempt, nowMs);
    if (overdue !== null) this.onOverdue(attempt, { overdue, nowMs });
  }

  private onOverdue(attempt: Attempt, what: { overdue: Overdue; nowMs: number }): void {
    const { overdue, nowMs } = what;
    if (overdue === 'late') return this.moveOn(attempt, nowMs);
    if (overdue === 'stalled') return this.onStalled(attempt, nowMs);
    if (overdue === 'client_too_slow') return this.cut('client_too_slow', 'too_slow');
    if (overdue === 'request_timeout') {
      const refusal = timedOut(attempt.tier);
      const health = healthOfTimeout(attempt);
      return this.stop({ outcome: 'timeout', refusal, code: 'cancelled', health });
    }
    const refusal = wentQuiet(attempt.tier);
    this.stop({ outcome: 'stream_error', refusal, code: 'idle', health: 'bad' });
  }

  /** R3: nothing came, and somebody else may be quicker. While nobody is there it is left alone. */
  private moveOn(attempt: Attempt, nowMs: number): void {
    const { claim } = attempt;
    const moving = { abilities: [], isNewBreak: false };
    if (this.rival.isThere || !this.context.couldMove(claim, moving)) return;
    this.phase = { is: 'waiting', sinceMs: nowMs };
    this.trail.ended('late', nowMs);
    this.context.meter.attemptFailed('idle', 'before_first_byte');
    attempt.reset('idle', nowMs);
    this.context.tell({ type: 'failed', claim, slotFree: false, health: 'bad' });
  }

  /** The same in mid-stream: somebody else continues it, or it is left alone. */
  private onStalled(attempt: Attempt, nowMs: number): void {
    const { claim } = attempt;
    if (this.resumable === null) return;
    const moving = { abilities: ['continue'], isNewBreak: this.resumable.isNewBreak };
    if (!this.context.couldMove(claim, moving)) return;
    const failed = { type: 'failed', claim, slotFree: false, health: 'bad' } as const;
    if (!this.goOn(attempt, { failed, nowMs, why: 'stalled' })) return this.resumable.release();
    this.context.meter.attemptFailed('idle', 'after_first_byte');
  }

  private onClientClosed(): void {
    if (this.phase.is === 'waiting') {
      const { requestId } = this.request;
      const outcome = 'client_closed';
      return this.context.tell({ type: 'hang_up', requestId, outcome });
    }
    this.cut('client_closed', 'cancelled');
  }

  private onDrain(): void {
    if (this.phase.is === 'running') this.phase.attempt.onDrain();
  }

  /** Ends a request that waits or runs with a refusal, or an error event after its first byte. */
  private stop(why: {
    outcome: 'revoked' | 'shutting_down' | 'timeout' | 'stream_error';
    refusal: Refusal;
    code: ResetCode;
    health?: Health;
  }): void {
    const { outcome, refusal, code, health } = why;
    const { phase } = this;
    if (phase.is === 'waiting') {
      if (outcome !== 'revoked' && outcome !== 'shutting_down') return;
      const { requestId } = this.request;
      return this.context.tell({ type: 'hang_up', requestId, outcome });
    }
    if (phase.is !== 'running') return;
    const { attempt } = phase;
    if (this.answered === 'none') {
      const ending = withStatus(outcome, refusal);
      return this.settle(attempt, { ...ending, code, health, finish: () => {} });
    }
    const finish = this.breakOff(attempt, refusal);
    this.settle(attempt, { outcome, status: 200, refusal: null, code, health, finish });
  }

  /** Ends a running request whose client is gone, or is to go. */
  private cut(outcome: 'client_closed' | 'client_too_slow', code: ResetCode): void {
    if (this.phase.is !== 'running') return;
    const { attempt } = this.phase;
    if (outcome === 'client_too_slow') {
      this.answered = 'cut';
      this.sink.destroy();
    }
    const status = clientClosedStatus;
    this.settle(attempt, { outcome, status, refusal: null, code, finish: () => {} });
  }

  /** Stops the engine and waits a little for its trailers. */
  private settle(
    attempt: Attempt,
    ending: Omit<Ending, 'end'> & { code: ResetCode; health?: Health },
  ): void {
    const { code, health, ...rest } = ending;
    const sinceMs = this.context.clock.monotonic();
    this.rival.lose(sinceMs);
    this.phase = { is: 'settling', attempt, sinceMs, ending: { ...rest, end: undefined } };
    this.context.tell({ type: 'end', claim: attempt.claim, slotFree: false, health });
    attempt.reset(code, sinceMs);
  }

  private isRunning(attempt: Attempt): boolean {
    const { phase, rival } = this;
    if (phase.is !== 'running') return false;
    if (!rival.is(attempt)) return phase.attempt === attempt;
    const nowMs = this.context.clock.monotonic();
    rival.win(phase.attempt, nowMs);
    this.trail.beaten(phase.attempt.claim, 'hedged', nowMs);
    this.goOnWith(attempt);
    return true;
  }

  private goOnWith(attempt: Attempt): void {
    this.phase = { is: 'running', attempt };
    this.attempt = attempt;
  }
}
