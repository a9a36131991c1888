/** What an agent is told of a request that it is to serve. */
import type { Dispatch } from '../../domain/scheduler/schedulerEvents.ts';
import type { OpenMessage } from '../../protocol/messages/open.ts';
import type { InferenceRequest } from '../ports.ts';
import { attemptTraceparent } from '../tracing/requestSpans.ts';

export function openMessage(
  request: Omit<InferenceRequest, 'body'>,
  what: { dispatch: Dispatch; bodyBytes: number; startedAtMs: number; cacheSalt: string },
): OpenMessage {
  const { requestId, path, endpoint, stream, includeUsage, trace } = request;
  const { dispatch, bodyBytes, startedAtMs, cacheSalt } = what;
  return {
    requestId,
    path,
    stream,
    includeUsage,
    instance: dispatch.instance,
    model: endpoint.slug,
    created: Math.floor(startedAtMs / 1000),
    bodyBytes,
    cacheSalt,
    traceparent: attemptTraceparent(trace, dispatch),
  };
}
