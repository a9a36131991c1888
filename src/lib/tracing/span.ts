/** What is kept of one step of a request, and where steps go. */
import { parseTraceparent, type TraceContext } from './traceContext.ts';

export interface Span {
  traceId: string;
  spanId: string;
  parentSpanId: string | null;
  name: string;
  /** Whom it is between: ours with a caller, with somebody we call, or nobody. */
  kind: 'server' | 'client' | 'internal';
  /** Epoch ms, with digits behind the point. */
  startMs: number;
  endMs: number;
  /** Undefined values are left out. */
  attributes: Readonly<Record<string, string | number | boolean | undefined>>;
  events: readonly { name: string; atMs: number }[];
  /** The word for what went wrong; null: nothing did. */
  error: string | null;
}

/** Where requests get their traces from and leave their spans. */
export interface Tracing {
  /** Called once per request with its header `traceparent`. Null: it belongs to no trace. */
  begin(traceparent: string | string[] | undefined): TraceContext | null;
  /** Takes spans of a recorded trace, or drops them. Nobody waits for it. */
  record(spans: readonly Span[]): void;
}

/** Records nothing. A trace that somebody else has begun goes on to those whom we ask. */
export const noTracing: Tracing = {
  begin(traceparent) {
    if (traceparent === undefined) return null;
    const parent = parseTraceparent(traceparent);
    if (parent === undefined) return null;
    const { traceId, spanId, sampled } = parent;
    return { traceId, parentSpanId: spanId, spanId, sampled, recorded: false };
  },
  record() {},
};
