/**
 * How a request ends: one outcome, one record, one resolved promise, and the client's last byte.
 * The way there is `requestRun.ts`.
 *
 * Invariants
 * R1 `conclude` runs once.
 */
import { maxMediaPromptTokens } from '../../domain/limits.ts';
import { freeBytes } from '../../lib/memory/freeBytes.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
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
import { mayResume, Resumable } from '../resuming/resumable.ts';
import { agentHeaders, leftHeaders } from './answerHeaders.ts';
import { AnswerParts } from './answerParts.ts';
import type { Attempt } from './attempt.ts';
import { ratesOf } from './rateHeaders.ts';
import { errorEvent } from './refusals.ts';
import type { Ending, RunContext, RunPhase } from './runContext.ts';
import { countedUsage, writtenUsage, type ClampedUsage } from './usageClamp.ts';
import { usageRecord } from './usageRecord.ts';

const doneEvent = 'data: [DONE]\n\n';
const nothing: Buffer = Buffer.alloc(0);

export abstract class RequestEnd {
  readonly request: Omit<InferenceRequest, 'body'>;
  readonly sink: ClientSink;
  /** What happened to it, for its receipt. */
  readonly trail = new RequestTrail();
  readonly result: Promise<SubmitResult>;
  protected readonly context: RunContext;
  /** Epoch ms. */
  readonly startedAtMs: number;
  private resolve: (result: SubmitResult) => void = () => {};
  protected phase: RunPhase;
  /** Kept until nothing is tried again. */
  protected body: Buffer;
  readonly bodyBytes: number;
  /** `none`: nothing was written to the sink. `cut`: it was destroyed. */
  protected answered: 'none' | 'begun' | 'cut' = 'none';
  /** The last one that was made. */
  protected attempt: Attempt | undefined;
  protected queueMs = 0;
  protected ttftMs: number | null = null;
  /** Null: a stream that breaks stays broken. */
  protected readonly resumable: Resumable | null;
  /** What attempts before the last one wrote of the answer. */
  protected readonly parts = new AnswerParts();
  /** What it came to, where no engine said so any more. */
  protected seen: ClampedUsage | undefined;

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
  }

  /** Told once, when nothing more will happen to the sink. */
  protected abstract over(record: UsageRecord): void;

  /**
   * Says that an answer broke: a stream gets an error event now and its end later, anything else
   * can only be cut.
   */
  protected breakOff(attempt: Attempt, refusal: Refusal): () => void {
    if (!attempt.isEventStream) {
      this.answered = 'cut';
      this.sink.destroy();
      return () => {};
    }
    this.sink.write(errorEvent(refusal, { isTorn: attempt.tornEvent }));
    return () => this.endStream();
  }

  protected endStream(): void {
    this.sink.write(Buffer.from(doneEvent));
    this.sink.end();
  }

  protected concludeStream(outcome: Outcome, finish: () => void): void {
    this.conclude({ outcome, status: 200, refusal: null, end: undefined, finish });
  }

  protected refuse(end: Omit<Ending, 'end' | 'finish'>): void {
    this.conclude({ ...end, end: undefined, finish: () => {} });
  }

  /** R1: the one end. The client's last byte waits for the journal, and for nothing else. */
  protected conclude(ending: Ending): void {
    if (this.phase.is === 'concluding' || this.phase.is === 'over') return;
    this.phase = { is: 'concluding' };
    this.dropBody();
    this.resumable?.release();
    const { refusal } = ending;
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
      this.over(record);
      const answered = this.answered !== 'none';
      const tried = !answered && refusal !== null ? this.attempt : undefined;
      const agentHeaders = tried === undefined ? {} : { agentHeaders: this.agentHeaders(tried) };
      this.resolve({
        outcome: ending.outcome,
        answered,
        refusal,
        ...agentHeaders,
        ...ratesOf(ending),
      });
    });
  }

  /** For its receipt, while it is in the house. */
  soFar(): EndedRequest {
    const record = this.record({ outcome: 'interrupted', status: 0 });
    const { phase, context } = this;
    const waitsMs = phase.is === 'waiting' ? context.clock.monotonic() - phase.sinceMs : 0;
    return this.trail.endedWith({ ...record, queueMs: record.queueMs + waitsMs }, this);
  }

  /** Nothing is tried again. What the link has yet to send stays with it. */
  protected dropBody(): void {
    const { body, attempt } = this;
    this.body = nothing;
    if (attempt === undefined || attempt.bodyIsSpent) freeBytes(body);
  }

  protected agentHeaders({ dispatch }: Attempt): Record<string, string> {
    return agentHeaders(this.context.agent(dispatch.agentId), this.request.project);
  }

  /** Headers that say what is left of its limits and budgets; none before somebody serves. */
  left(): Record<string, string> {
    const { attempt, context, request } = this;
    if (attempt === undefined) return {};
    const used = context.budgets.nearEnd(request.project.id, request.apiKey.id);
    return leftHeaders(attempt.dispatch.rates, used);
  }

  /** What its client has of an answer whose engine was stopped before it counted. */
  protected readUsage(ending: { outcome: Outcome; end?: Ending['end'] }): ClampedUsage | undefined {
    const { attempt, parts } = this;
    const { outcome, end } = ending;
    const isLeft = outcome === 'client_closed' || outcome === 'client_too_slow';
    const isStopped = outcome === 'completed' && end?.outcome === 'cancelled';
    if (attempt === undefined || !(isLeft || isStopped)) return undefined;
    const tokensPerChunk = this.tokensPerChunk(attempt);
    const { maxTokens: most } = this.request;
    return writtenUsage(end, { attempt, before: parts.tokens, tokensPerChunk, most });
  }

  protected tokensPerChunk({ dispatch }: Attempt): number {
    return this.context.chunkTokens.of(dispatch, this.request.project.id);
  }

  /** An image is an address in the body, or shorter there than what it comes to. */
  protected get mediaTokens(): number {
    const { abilities, model } = this.request;
    const hasMedia = abilities.some((one) => one === 'image' || one === 'audio');
    return hasMedia ? (model.contextLength ?? maxMediaPromptTokens) : 0;
  }

  /** What the agent says that was used, within what was relayed. */
  protected usageOf(end: EndMessage | undefined, attempt = this.attempt): ClampedUsage | undefined {
    const { bodyBytes, mediaTokens } = this;
    return countedUsage(end, { attempt, bodyBytes, mediaTokens });
  }

  protected record(ending: { outcome: Outcome; status: number; end?: Ending['end'] }): UsageRecord {
    const { startedAtMs, ttftMs, queueMs, attempt, request } = this;
    const { outcome, status } = ending;
    const latencyMs = this.context.clock.monotonic() - request.arrivedAtMs;
    const usage = this.usageOf(ending.end) ?? this.seen ?? this.readUsage(ending);
    const times = { startedAtMs, ttftMs, latencyMs, queueMs };
    const come = { outcome, status, ...times, usage, attempt, parts: this.parts };
    return usageRecord(request, come);
  }
}
