/**
 * The spans of one request that is over, in the words of OpenTelemetry's conventions for generative
 * AI: the request itself, each time that it waited, and each agent that was asked. All of it is
 * read from what the receipt is made of, so that a request that is not recorded costs nothing.
 *
 * Nothing of a body, a key or an answer is in a span.
 */
import type { AgentEntry } from '../../domain/directory.ts';
import type { Span } from '../../lib/tracing/span.ts';
import { spanIdAfter, traceparentText, type TraceContext } from '../../lib/tracing/traceContext.ts';
import type { RequestTrail, TrailAttempt } from '../receipts/requestTrail.ts';
import type { InferenceRequest, UsageRecord } from '../ports.ts';

/** Distances of ids from the request's own: attempts, hedges beyond them, then waits. */
const firstHedge = 0x40_00_00;
const firstWait = 0x80_00_00;

export interface TracedRequest {
  trace: TraceContext;
  request: Omit<InferenceRequest, 'body'>;
  trail: Pick<RequestTrail, 'attempts' | 'resumed'>;
  record: UsageRecord;
  agent: (agentId: string) => AgentEntry | undefined;
}

/**
 * What the agent of an attempt is told, and its engine: which span asks.
 * A trace that others record and we do not goes on as it came.
 */
export function attemptTraceparent(
  trace: TraceContext | null | undefined,
  dispatch: Asked,
): string | undefined {
  if (trace === null || trace === undefined) return undefined;
  const { traceId, sampled, recorded } = trace;
  const spanId = recorded ? attemptSpanId(trace, dispatch) : trace.spanId;
  return traceparentText({ traceId, spanId, sampled });
}

/** Which of a request's attempts it is, from 0; a hedge has the number of the one that is late. */
type Asked = Pick<TrailAttempt['dispatch'], 'attempt' | 'hedge'>;

function attemptSpanId(trace: TraceContext, { attempt, hedge }: Asked): string {
  return spanIdAfter(trace.spanId, attempt + 1 + (hedge ? firstHedge : 0));
}

/** In the order in which they began. Times are epoch ms. */
export function requestSpans(traced: TracedRequest): Span[] {
  const { request, trail, record } = traced;
  // The record has the time of day of the arrival; everything else is a span from there.
  const offsetMs = record.startedAtMs - request.arrivedAtMs;
  const endedAtMs = record.startedAtMs + record.latencyMs;
  const spans = [requestSpan(traced, endedAtMs)];
  let freeAtMs = record.startedAtMs;
  const attempts = trail.attempts.toSorted((one, other) => one.atMs - other.atMs);
  for (const [at, one] of attempts.entries()) {
    const startMs = one.atMs + offsetMs;
    // For a hedge it did not wait: somebody had it.
    const wait = { number: at, startMs: freeAtMs, endMs: startMs };
    if (!one.dispatch.hedge) spans.push(waitSpan(traced, wait));
    const endMs = one.endedAtMs === null ? endedAtMs : one.endedAtMs + offsetMs;
    spans.push(attemptSpan(traced, one, { startMs, endMs, offsetMs }));
    freeAtMs = Math.max(freeAtMs, endMs);
  }
  if (trail.attempts.at(-1)?.end === record.outcome || record.outcome === 'completed') return spans;
  // It waited once more, or only, and was not served.
  const number = trail.attempts.length;
  return [...spans, waitSpan(traced, { number, startMs: freeAtMs, endMs: endedAtMs })];
}

function requestSpan({ trace, request, trail, record }: TracedRequest, endMs: number): Span {
  const { outcome, ttftMs } = record;
  const events = ttftMs === null ? [] : [{ name: firstByte, atMs: record.startedAtMs + ttftMs }];
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    name: `${operationOf(request.path)} ${request.endpoint.slug}`,
    kind: 'server',
    startMs: record.startedAtMs,
    endMs,
    attributes: {
      ...genAi(request),
      'gen_ai.request.model': request.endpoint.slug,
      'gen_ai.response.model': request.endpoint.slug,
      ...usageOf(record),
      'http.request.method': 'POST',
      'http.response.status_code': record.status,
      'error.type': outcome === 'completed' ? undefined : outcome,
      'xim.request.id': record.requestId,
      'xim.outcome': outcome,
      'xim.project.id': record.projectId,
      'xim.tier': record.tier,
      'xim.stream': request.stream,
      'xim.queue.seconds': record.queueMs / 1000,
      'xim.attempts': trail.attempts.length,
      'xim.resumed': trail.resumed > 0 ? trail.resumed : undefined,
      ...firstByteOf(ttftMs),
    },
    events,
    error: outcome === 'completed' ? null : outcome,
  };
}

function waitSpan(
  { trace }: TracedRequest,
  wait: { number: number; startMs: number; endMs: number },
): Span {
  const { number, startMs, endMs } = wait;
  return {
    traceId: trace.traceId,
    spanId: spanIdAfter(trace.spanId, firstWait + number),
    parentSpanId: trace.spanId,
    name: 'queue',
    kind: 'internal',
    startMs,
    endMs,
    attributes: {},
    events: [],
    error: null,
  };
}

function attemptSpan(
  { trace, request, record, agent }: TracedRequest,
  attempt: TrailAttempt,
  times: { startMs: number; endMs: number; offsetMs: number },
): Span {
  const { dispatch, firstByteAtMs, end } = attempt;
  const isServed = end === 'served';
  // Another agent was quicker: nothing went wrong with this one.
  const error = isServed || end === 'hedged' ? null : end;
  const ttftMs = firstByteAtMs === null ? null : firstByteAtMs - attempt.atMs;
  const at = firstByteAtMs === null ? null : firstByteAtMs + times.offsetMs;
  const { predicted } = dispatch;
  return {
    traceId: trace.traceId,
    spanId: attemptSpanId(trace, dispatch),
    parentSpanId: trace.spanId,
    name: `${operationOf(request.path)} ${request.model.name}`,
    kind: 'client',
    startMs: times.startMs,
    endMs: times.endMs,
    attributes: {
      ...genAi(request),
      'gen_ai.request.model': request.model.name,
      ...(isServed ? usageOf(record) : {}),
      'server.address': agent(dispatch.agentId)?.name ?? dispatch.agentId,
      'error.type': error ?? undefined,
      'xim.agent.id': dispatch.agentId,
      'xim.engine.instance': dispatch.instance,
      'xim.stage': dispatch.stage,
      'xim.tier': dispatch.tier,
      'xim.hedge': dispatch.hedge ? true : undefined,
      'xim.predicted_ttft.seconds': predicted === null ? undefined : predicted.ttftMs / 1000,
      ...firstByteOf(ttftMs),
    },
    events: at === null ? [] : [{ name: firstByte, atMs: at }],
    error,
  };
}

const firstByte = 'gen_ai.first_token';

const firstByteOf = (ttftMs: number | null): Span['attributes'] =>
  ttftMs === null ? {} : { 'gen_ai.response.time_to_first_chunk': ttftMs / 1000 };

/** The conventions' word for what was asked. */
function operationOf(path: string): string {
  if (path.endsWith('/completions')) return path.includes('/chat/') ? 'chat' : 'text_completion';
  return path.endsWith('/embeddings') ? 'embeddings' : (path.split('/').at(-1) ?? path);
}

function genAi({
  path,
  maxTokens,
}: Pick<InferenceRequest, 'path' | 'maxTokens'>): Span['attributes'] {
  return {
    'gen_ai.operation.name': operationOf(path),
    'gen_ai.provider.name': 'xim',
    'gen_ai.request.max_tokens': maxTokens ?? undefined,
  };
}

function usageOf({ inputTokens, cachedTokens, outputTokens }: UsageRecord): Span['attributes'] {
  return {
    'gen_ai.usage.input_tokens': inputTokens ?? undefined,
    'gen_ai.usage.cache_read.input_tokens': cachedTokens ?? undefined,
    'gen_ai.usage.output_tokens': outputTokens ?? undefined,
  };
}
