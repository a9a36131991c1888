/**
 * `npm run proofs -- otlp`: the spans of a request that is tried again and of one that is refused,
 * read by OpenTelemetry's own definitions (PyPI, `opentelemetry-proto`), strictly: a field that
 * they do not have fails.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { otlpJson } from '../../src/lib/tracing/otlpJson.ts';
import type { Span } from '../../src/lib/tracing/span.ts';
import type { TraceContext } from '../../src/lib/tracing/traceContext.ts';
import { refuses, streams } from '../../src/testing/links/fakeAgent.ts';
import { pythonPackage } from '../../src/testing/processes/pythonPackage.ts';
import { RouterHarness } from '../../src/testing/router/routerHarness.ts';

const version = '1.45.2';
const trace: TraceContext = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  parentSpanId: '00f067aa0ba902b7',
  spanId: 'aaaaaaaaaaaaaaaa',
  sampled: true,
  recorded: true,
};

/** OTLP's JSON has ids in hex, where Protobuf's own has base64: that is all that is changed. */
const reader = `
import base64, json, sys
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
body = json.load(sys.stdin)
for group in body["resourceSpans"]:
    for scope in group["scopeSpans"]:
        for span in scope["spans"]:
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in span:
                    span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
request = ParseDict(body, ExportTraceServiceRequest(), ignore_unknown_fields=False)
spans = [s for r in request.resource_spans for c in r.scope_spans for s in c.spans]
print(json.dumps([{
    "trace": s.trace_id.hex(), "id": s.span_id.hex(), "parent": s.parent_span_id.hex(),
    "name": s.name, "kind": s.kind, "error": s.status.message if s.status.code == 2 else None,
    "ms": (s.end_time_unix_nano - s.start_time_unix_nano) / 1e6,
    "attributes": len(s.attributes), "events": [e.name for e in s.events],
} for s in spans]))
`;

interface ReadSpan {
  trace: string;
  id: string;
  parent: string;
  name: string;
  error: string | null;
}

export async function prove(): Promise<{ passed: boolean } & Record<string, unknown>> {
  const python = pythonPackage('opentelemetry-proto', version);
  if (python.kind === 'missing') return { passed: false, why: python.reason };
  const spans = await someSpans();
  const text = otlpJson(spans, {
    resource: { 'service.name': 'xim' },
    scope: { name: 'xim', version: '0' },
  });
  const options = { input: text, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(
    path.join(python.folder, 'python'),
    ['-c', reader],
    options,
  );
  if (status !== 0) return { passed: false, why: stderr.trim().split('\n').at(-1) };
  const read = JSON.parse(stdout) as ReadSpan[];
  const same = read.every((one, at) => {
    const { traceId, spanId, parentSpanId, name, error } = spans[at] ?? {};
    const ids = one.trace === traceId && one.id === spanId && one.parent === (parentSpanId ?? '');
    return ids && one.name === name && one.error === error;
  });
  return { passed: same && read.length === spans.length && read.length >= 7, spans: read };
}

async function someSpans(): Promise<Span[]> {
  const spans: Span[] = [];
  const one = new RouterHarness({ tracing: { record: (more) => spans.push(...more) } });
  await one.router.start();
  await one.submit({ trace: { ...trace, parentSpanId: null } }).result;
  await one.agent({ script: refuses('engine_failed') });
  const { result } = one.submit({ trace, maxTokens: 9 });
  await one.agent({ script: streams('a', 'b') });
  await result;
  await one.router.stop();
  return spans;
}
