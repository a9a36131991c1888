/** The record of a request that has ended, or that stands for it if nothing more is heard of it. */
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { HeadMessage } from '../../protocol/messages/head.ts';
import type { InferenceRequest, Outcome, UsageRecord } from '../ports.ts';
import type { AnswerParts } from './answerParts.ts';
import type { Attempt } from './attempt.ts';
import type { ClampedUsage } from './usageClamp.ts';

/** What a request has come to. Times as in the record. */
export interface RequestEnd {
  outcome: Outcome;
  status: number;
  startedAtMs: number;
  ttftMs: number | null;
  latencyMs: number;
  queueMs: number;
  /** As its engine counted, within what was relayed; undefined: it did not count. */
  usage: ClampedUsage | undefined;
  /** The last attempt that was made; undefined: nobody was chosen. */
  attempt: Attempt | undefined;
  parts: AnswerParts;
}

/** Member by member: spread into it, a record costs 1 KiB more and all that reads it is slower. */
export function usageRecord(request: Omit<InferenceRequest, 'body'>, end: RequestEnd): UsageRecord {
  const { attempt, usage, parts } = end;
  return {
    requestId: request.requestId,
    projectId: request.project.id,
    endpointId: request.endpoint.id,
    endpointSlug: request.endpoint.slug,
    apiKeyId: request.apiKey.id,
    modelId: request.model.id,
    agentId: attempt?.dispatch.agentId ?? null,
    tier: attempt?.dispatch.tier ?? request.endpoint.tier,
    inputTokens: usage?.input ?? null,
    cachedTokens: usage?.cached ?? null,
    outputTokens: usage?.output ?? null,
    stream: request.stream,
    usageClamped: usage?.clamped ?? false,
    shared: attempt?.dispatch.shared ?? false,
    costMicros: attempt === undefined || usage === undefined ? 0 : parts.costMicros(attempt, usage),
    outcome: end.outcome,
    status: end.status,
    startedAtMs: end.startedAtMs,
    ttftMs: end.ttftMs,
    latencyMs: end.latencyMs,
    queueMs: end.queueMs,
  };
}

/** How a request ended whose answer came to its end. */
export function outcomeOf(head: HeadMessage, end: EndMessage | undefined): Outcome {
  if (head.status >= 400) return 'engine_refused';
  return end?.outcome === 'engine_error' ? 'stream_error' : 'completed';
}

/** An engine that refuses a request and says nothing of tokens has used none. */
export const refusedUsage = { input: 0, output: 0 };
