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
 * R1 `conclude` runs once: one outcome, one record, one resolved promise.
 * R3 After the client has a byte of one attempt, no other attempt is made but one that continues
 *    what the client has.
 * R8 An attempt that was given up is reset before the next one is opened.
 * R4 From its arrival to the first byte nothing is awaited: a dispatch opens its stream in the turn
 *    of the scheduler, and nobody waits for the `begin` line in the journal.
 */
import type { Dispatch, Reject } from '../../domain/scheduler/schedulerEvents.ts';
import { freeBytes } from '../../lib/memory/freeBytes.ts';
import type { ResetCode } from '../../protocol/link.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { HeadMessage } from '../../protocol/messages/head.ts';
import { settleTimeoutMs } from '../limits.ts';
import type {
  ClientSink,
  InferenceRequest,
  Outcome,
  Refusal,
  SubmitResult,
  UsageRecord,
} from '../ports.ts';
import type { EndedRequest } from '../receipts/receiptCodec.ts';
import { RequestTrail } from '../receipts/requestTrail.ts';
import { mayResume, noStep, Resumable, type Continuation } from '../resuming/resumable.ts';
import { agentHeaders, leftHeaders } from './answerHeaders.ts';
import { healthOfAnswer, healthOfBreak } from './agentHealth.ts';
import { Attempt, type Answered, type AttemptOwner, type Overdue } from './attempt.ts';
import {
  clientClosedStatus,
  errorEvent,
  keyRevoked,
  notContinued,
  refused,
  shuttingDown,
  timedOut,
  withStatus,
  type Refused,
} from './refusals.ts';
import { openMessage } from './openMessage.ts';
import { rateHeaders, ratesOf } from './rateHeaders.ts';
import { clampUsage, joinUsage, type ClampedUsage } from './usageClamp.ts';
import type { Ending, Failed, RunContext, RunPhase } from './runContext.ts';
import { outcomeOf, refusedUsage, usageRecord } from './usageRecord.ts';

const doneEvent = 'data: [DONE]\n\n';
const nothing: Buffer = Buffer.alloc(0);

export class RequestRun implements AttemptOwner {
  readonly request: Omit<InferenceRequest, 'body'>;
  readonly sink: ClientSink;
  /** What happened to it, for its receipt. */
  readonly trail = new RequestTrail();
  readonly result: Promise<SubmitResult>;
  private readonly context: RunContext;
  /** Epoch ms. */
  readonly startedAtMs: number;
  private resolve: (result: SubmitResult) => void = () => {};
  private phase: RunPhase;
  /** Kept until nothing is tried again. */
  private body: Buffer;
  readonly bodyBytes: number;
  /** `none`: nothing was written to the sink. `cut`: it was destroyed. */
  private answered: 'none' | 'begun' | 'cut' = 'none';
  /** The last one that was made. */
  private attempt: Attempt | undefined;
  private queueMs = 0;
  private ttftMs: number | null = null;
  /** Null: a stream that breaks stays broken. */
  private readonly resumable: Resumable | null;
  /** What the present attempt, or the next one, goes on with; null: nothing was delivered yet. */
  private continuation: Continuation | null = null;

  constructor(options: { request: InferenceRequest; sink: ClientSink; context: RunContext }) {
    const { sink, context } = options;
    const { body, ...request } = options.request;
    const { clock } = context;
    const nowMs = clock.monotonic();
    this.request = request;
    this.sink = sink;
    this.context = context;
    this.body = body;
    this.bodyBytes = body.length;
    this.startedAtMs = Math.round(clock.now() - (nowMs - request.arrivedAtMs));
    const { includeUsage } = request;
    const keeps = { includeUsage, inAll: context.kept };
    this.resumable = mayResume(request) ? new Resumable(keeps) : null;
    this.phase = { is: 'waiting', sinceMs: nowMs };
    this.result = new Promise((resolve) => (this.resolve = resolve));
    sink.onClientClosed = () => this.onClientClosed();
    sink.onDrain = () => this.onDrain();
  }

  // From the scheduler

  onDispatch(dispatch: Dispatch): void {
    if (this.phase.is !== 'waiting') return;
    const { context } = this;
    const nowMs = context.clock.monotonic();
    const link = context.linkFor(dispatch);
    const { claim } = dispatch;
    if (link === undefined) {
      return context.tell({ type: 'failed', claim, slotFree: true, blameless: true });
    }
    const isFirst = this.attempt === undefined;
    this.queueMs += nowMs - this.phase.sinceMs;
    const { time, limits } = context;
    const tier = context.tiers[dispatch.tier];
    const { continuation, resumable: keeper } = this;
    const going = { continuation, keeper, nowMs };
    const attempt = new Attempt({ dispatch, tier, link, owner: this, time, limits, ...going });
    this.attempt = attempt;
    this.trail.dispatched(dispatch, nowMs);
    if (isFirst) context.journal.begin(this.record({ outcome: 'interrupted', status: 500 }));
    this.phase = { is: 'running', attempt };
    context.onAttempt(attempt, this.request);
    const body = continuation?.body ?? this.body;
    const { startedAtMs } = this;
    const cacheSalt = context.cacheSalt(this.request.project.id);
    const facts = { dispatch, bodyBytes: body.length, startedAtMs, cacheSalt };
    attempt.start(openMessage(this.request, facts), body);
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
    const { clock } = this.context;
    this.answered = 'begun';
    const nowMs = clock.monotonic();
    this.ttftMs = nowMs - this.request.arrivedAtMs;
    this.trail.firstByte(nowMs);
    // Unless it may have to be continued, the body has served.
    if (!attempt.isEventStream || this.resumable?.begin(this.body) !== true) this.dropBody();
    this.context.journal.hurry();
    this.sink.head(head.status, this.headers(attempt, head));
  }

  /** Told after the bytes: what the scheduler learns from them need not hold them up. */
  onFirstBytes(attempt: Attempt): void {
    if (!this.isRunning(attempt)) return;
    this.context.tell({ type: 'first_byte', claim: attempt.claim });
  }

  onContinued(attempt: Attempt): void {
    if (!this.isRunning(attempt)) return;
    this.trail.firstByte(this.context.clock.monotonic());
    this.onFirstBytes(attempt);
  }

  /** A stop string was completed that began in what another agent had written. */
  onStopped(attempt: Attempt): void {
    if (!this.isRunning(attempt)) return;
    const finish = (end: EndMessage | undefined): void => {
      const usage = this.usageOf(end);
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
    const usage = this.usageOf(end) ?? (head.status >= 400 ? refusedUsage : undefined);
    const health = healthOfAnswer(head, end);
    this.context.tell({ type: 'end', claim: attempt.claim, slotFree: true, usage, health });
    const finish = (): void => attempt.finish();
    const outcome = outcomeOf(head, end);
    this.conclude({ outcome, status: head.status, refusal: null, end, finish });
  }

  onBroken(attempt: Attempt, failure: { code: ResetCode; detail: string }): void {
    if (!this.isRunning(attempt)) return;
    const { claim } = attempt;
    const nowMs = this.context.clock.monotonic();
    this.trail.ended(failure.code, nowMs);
    const health = healthOfBreak(failure.code);
    const isUnanswered = this.answered === 'none';
    const when = isUnanswered ? 'before_first_byte' : 'after_first_byte';
    this.context.meter.attemptFailed(failure.code, when);
    const blameless = failure.code === 'not_granted' || failure.code === 'unknown_instance';
    const failed = { type: 'failed', claim, slotFree: true, blameless, health } as const;
    if (isUnanswered) {
      this.phase = { is: 'waiting', sinceMs: nowMs };
      return this.context.tell(failed);
    }
    if (this.goOn(attempt, { failed, nowMs })) return;
    this.context.tell({ type: 'end', claim, slotFree: true, health });
    const lost = failure.code === 'link_closed' ? 'was lost' : 'failed';
    const message = `The agent ${lost} while it answered. The answer is not complete.`;
    const finish = this.breakOff(attempt, { name: 'upstream_error', message });
    this.conclude({ outcome: 'stream_error', status: 200, refusal: null, end: undefined, finish });
  }

  /**
   * Lets somebody else continue a stream that broke, or brings it to its end where only that is
   * missing. False: it can only be told that it broke.
   */
  private goOn(attempt: Attempt, how: { failed: Failed; nowMs: number }): boolean {
    const { failed, nowMs } = how;
    const step = this.resumable?.next() ?? noStep;
    if (step.kind === 'none') return false;
    if (!failed.slotFree) attempt.reset('idle', nowMs);
    if (step.kind === 'complete') {
      const { claim, slotFree, health } = failed;
      this.context.tell({ type: 'end', claim, slotFree, health });
      this.sink.write(step.bytes);
      const finish = (): void => this.endStream();
      const ending = { outcome: 'completed', status: 200, refusal: null, finish } as const;
      this.conclude({ ...ending, end: undefined });
      return true;
    }
    const { abilities, isNewBreak } = step;
    this.continuation = step;
    this.trail.resumed = this.resumable?.resumed ?? 0;
    this.phase = { is: 'waiting', sinceMs: nowMs };
    this.context.tell({ ...failed, ...(isNewBreak && { resume: { abilities } }) });
    return true;
  }

  /** Nobody continues the answer, or it is not wanted any more. */
  private giveUp({ outcome, refusal }: Refused): void {
    const { attempt } = this;
    if (refusal === null || attempt === undefined) {
      return this.refuse({ outcome, status: clientClosedStatus, refusal });
    }
    const isOurs = outcome === 'revoked' || outcome === 'shutting_down';
    const finish = this.breakOff(attempt, isOurs ? refusal : notContinued);
    const ending = { status: 200, refusal: null, end: undefined, finish };
    this.conclude({ outcome: isOurs ? outcome : 'stream_error', ...ending });
  }

  onSettled(attempt: Attempt, end: EndMessage | undefined): void {
    this.context.tell({ type: 'release', claim: attempt.claim, usage: this.usageOf(end, attempt) });
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
    const { attempt } = phase;
    const overdue = attempt.overdue(nowMs);
    if (overdue !== null) this.onOverdue(attempt, { overdue, nowMs });
  }

  private onOverdue(attempt: Attempt, what: { overdue: Overdue; nowMs: number }): void {
    const { overdue, nowMs } = what;
    const { slug: tier, requestTimeoutMs, idleStreamTimeoutMs } = attempt.tier;
    if (overdue === 'request_timeout') {
      const refusal = timedOut({ tier, requestTimeoutMs });
      return this.stop({ outcome: 'timeout', refusal, code: 'cancelled' });
    }
    if (overdue === 'client_too_slow') return this.cut('client_too_slow', 'too_slow');
    if (overdue === 'late') return this.moveOn(attempt, nowMs);
    if (overdue === 'stalled') return this.onStalled(attempt, nowMs);
    const seconds = idleStreamTimeoutMs / 1000;
    const message = `Nothing came for ${seconds} s, the idle stream timeout of the tier '${tier}'.`;
    this.stop({ outcome: 'stream_error', refusal: { name: 'timeout', message }, code: 'idle' });
  }

  /** R3: nothing came, and somebody else may be quicker. While nobody is there it is left alone. */
  private moveOn(attempt: Attempt, nowMs: number): void {
    const { claim } = attempt;
    if (!this.context.couldMove(claim)) return;
    this.phase = { is: 'waiting', sinceMs: nowMs };
    this.trail.ended('late', nowMs);
    this.context.meter.attemptFailed('idle', 'before_first_byte');
    attempt.reset('idle', nowMs);
    this.context.tell({ type: 'failed', claim, slotFree: false, health: 'bad' });
  }

  /** The same in mid-stream: somebody else continues it, or it is left alone. */
  private onStalled(attempt: Attempt, nowMs: number): void {
    const { claim } = attempt;
    if (this.resumable === null || !this.context.couldMove(claim, ['continue'])) return;
    const failed = { type: 'failed', claim, slotFree: false, health: 'bad' } as const;
    if (!this.goOn(attempt, { failed, nowMs })) return this.resumable.release();
    this.trail.ended('stalled', nowMs);
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
  }): void {
    const { outcome, refusal, code } = why;
    const { phase } = this;
    if (phase.is === 'waiting') {
      if (outcome !== 'revoked' && outcome !== 'shutting_down') return;
      const { requestId } = this.request;
      return this.context.tell({ type: 'hang_up', requestId, outcome });
    }
    if (phase.is !== 'running') return;
    const { attempt } = phase;
    if (this.answered === 'none') {
      return this.settle(attempt, { ...withStatus(outcome, refusal), code, finish: () => {} });
    }
    const finish = this.breakOff(attempt, refusal);
    this.settle(attempt, { outcome, status: 200, refusal: null, code, finish });
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
  private settle(attempt: Attempt, ending: Omit<Ending, 'end'> & { code: ResetCode }): void {
    const { code, ...rest } = ending;
    const sinceMs = this.context.clock.monotonic();
    this.phase = { is: 'settling', attempt, sinceMs, ending: { ...rest, end: undefined } };
    this.context.tell({ type: 'end', claim: attempt.claim, slotFree: false });
    attempt.reset(code, sinceMs);
  }

  /**
   * Says that an answer broke: a stream gets an error event now and its end later, anything else
   * can only be cut.
   */
  private breakOff(attempt: Attempt, refusal: Refusal): () => void {
    if (!attempt.isEventStream) {
      this.answered = 'cut';
      this.sink.destroy();
      return () => {};
    }
    this.sink.write(errorEvent(refusal, { isTorn: attempt.tornEvent }));
    return () => this.endStream();
  }

  private endStream(): void {
    this.sink.write(Buffer.from(doneEvent));
    this.sink.end();
  }

  private refuse(end: Omit<Ending, 'end' | 'finish'>): void {
    this.conclude({ ...end, end: undefined, finish: () => {} });
  }

  /** R1: the one end. The client's last byte waits for the journal, and for nothing else. */
  private conclude(ending: Ending): void {
    if (this.phase.is === 'concluding' || this.phase.is === 'over') return;
    this.phase = { is: 'concluding' };
    this.dropBody();
    this.resumable?.release();
    const { outcome, refusal } = ending;
    const record = this.record(ending);
    this.context.budgets.ended(record);
    this.context.journal.end(record, () => {
      this.phase = { is: 'over' };
      ending.finish(ending.end);
      this.trail.over(record, this.request.arrivedAtMs);
      this.context.receipts.over(this.trail.endedWith(record, this));
      if (ending.end !== undefined && this.attempt !== undefined) {
        this.context.acknowledge(this.attempt.link, ending.end.requestId);
      }
      this.sink.onClientClosed = undefined;
      this.sink.onDrain = undefined;
      this.context.onOver(this, record);
      const answered = this.answered !== 'none';
      const tried = !answered && refusal !== null ? this.attempt : undefined;
      const agentHeaders = tried === undefined ? {} : { agentHeaders: this.agentHeaders(tried) };
      this.resolve({ outcome, answered, refusal, ...agentHeaders, ...ratesOf(ending) });
    });
  }

  /** For its receipt, while it is in the house. */
  soFar(): EndedRequest {
    return this.trail.endedWith(this.record({ outcome: 'interrupted', status: 0 }), this);
  }

  /** Nothing is tried again. What the link has yet to send stays with it. */
  private dropBody(): void {
    const { body, attempt } = this;
    this.body = nothing;
    if (attempt === undefined || attempt.bodyIsSpent) freeBytes(body);
  }

  private isRunning(attempt: Attempt): boolean {
    return this.phase.is === 'running' && this.phase.attempt === attempt;
  }

  private headers(attempt: Attempt, head: HeadMessage): Record<string, string> {
    const { project, apiKey } = this.request;
    const used = this.context.budgets.nearEnd(project.id, apiKey.id);
    const left = leftHeaders(attempt.dispatch.rates, used);
    return { 'content-type': head.contentType, ...this.agentHeaders(attempt), ...left };
  }

  private agentHeaders({ dispatch }: Attempt): Record<string, string> {
    const projectId = this.request.project.id;
    return agentHeaders(this.context.agent(dispatch.agentId), { projectId });
  }

  /** What the agent says that was used, within what was relayed. */
  private usageOf(end: EndMessage | undefined, attempt = this.attempt): ClampedUsage | undefined {
    const usage = end?.usage;
    if (usage === undefined) return undefined;
    const { continuation = null, answerBytes = 0 } = attempt ?? {};
    const bodyBytes = continuation?.body.length ?? this.bodyBytes;
    const clamped = clampUsage(usage, { bodyBytes, answerBytes });
    return continuation === null ? clamped : joinUsage(clamped, continuation.counts);
  }

  private record(ending: { outcome: Outcome; status: number; end?: Ending['end'] }): UsageRecord {
    const { startedAtMs, ttftMs, queueMs, attempt, request } = this;
    const { outcome, status } = ending;
    const latencyMs = this.context.clock.monotonic() - request.arrivedAtMs;
    const times = { startedAtMs, ttftMs, latencyMs, queueMs };
    const usage = this.usageOf(ending.end);
    return usageRecord(request, { outcome, status, ...times, usage, attempt });
  }
}
