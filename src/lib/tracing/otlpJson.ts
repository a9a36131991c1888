/**
 * Spans as OTLP has them over HTTP in JSON: the body of `POST /v1/traces`. Ids are hex, times are
 * nanoseconds in text, whole numbers are text.
 */
import type { Span } from './span.ts';

export interface Scope {
  name: string;
  version: string;
}

const kinds = { internal: 1, server: 2, client: 3 } as const;
const statusError = 2;
/** The trace flag "sampled". */
const sampledFlag = 1;

/** `resource`: who says all this, e.g. `service.name`. */
export function otlpJson(
  spans: readonly Span[],
  about: { resource: Readonly<Record<string, string>>; scope: Scope },
): string {
  const { resource, scope } = about;
  const scopeSpans = [{ scope, spans: spans.map(spanJson) }];
  return JSON.stringify({
    resourceSpans: [{ resource: { attributes: attributesJson(resource) }, scopeSpans }],
  });
}

function spanJson(span: Span): Record<string, unknown> {
  const { traceId, spanId, parentSpanId, name, error } = span;
  return {
    traceId,
    spanId,
    ...(parentSpanId === null ? {} : { parentSpanId }),
    flags: sampledFlag,
    name,
    kind: kinds[span.kind],
    startTimeUnixNano: nanoText(span.startMs),
    endTimeUnixNano: nanoText(Math.max(span.startMs, span.endMs)),
    attributes: attributesJson(span.attributes),
    events: span.events.map((event) => ({ name: event.name, timeUnixNano: nanoText(event.atMs) })),
    ...(error === null ? {} : { status: { code: statusError, message: error } }),
  };
}

function attributesJson(attributes: Span['attributes']): { key: string; value: unknown }[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: valueJson(value) }],
  );
}

function valueJson(value: string | number | boolean): Record<string, unknown> {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** Epoch ms have not enough digits for nanoseconds: they are whole microseconds. */
const nanoText = (ms: number): string => `${Math.round(ms * 1000)}000`;
