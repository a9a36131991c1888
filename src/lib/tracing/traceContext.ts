/** Which trace a request belongs to, as W3C Trace Context says it in the header `traceparent`. */

export interface TraceContext {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits: the span of whoever asked; null: the trace begins here. */
  parentSpanId: string | null;
  /** Of the request's own span. */
  spanId: string;
  /** What those whom we ask are told: whether anybody keeps spans of it. */
  sampled: boolean;
  /** We do. */
  recorded: boolean;
}

export interface Traceparent {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

/** The fields that every version has; version 00 has no others. */
const pattern = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const longest = 512;

/** Undefined for what is none: the trace begins anew then. */
export function parseTraceparent(text: unknown): Traceparent | undefined {
  if (typeof text !== 'string' || text.length > longest) return undefined;
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = match;
  if (version === '00' && more !== undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 };
}

export function traceparentText({ traceId, spanId, sampled }: Traceparent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** Spans of one request have neighbouring ids, so that nothing has to be drawn or kept for them. */
export function spanIdAfter(spanId: string, distance: number): string {
  const last = (parseInt(spanId.slice(-6), 16) + distance) % 0x1_00_00_00;
  return spanId.slice(0, -6) + last.toString(16).padStart(6, '0');
}
