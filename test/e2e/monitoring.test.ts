/** What is given to Prometheus and to a collector of traces is what they take. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { metricTables } from '../../src/main/monitoring/metricTables.ts';
import { startFakeEngine, type FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { endLeftovers, until } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../../src/testing/processes/serverProcess.ts';
import { systemBinary } from '../../src/testing/processes/systemBinary.ts';
import { readMetrics, valueOf, type Family } from '../../src/testing/router/readMetrics.ts';

interface WireSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  attributes: { key: string; value: { stringValue?: string } }[];
}

const promtool = systemBinary({ names: ['promtool'], debianPackage: 'prometheus' });
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const callerSpan = '00f067aa0ba902b7';
let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let server: ServerProcess;
const spans: WireSpan[] = [];
const sentTo: (string | undefined)[] = [];

/** Takes what OTLP over HTTP sends, as a collector does. */
const collector = createServer((request, response) => {
  let text = '';
  request.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  request.on('end', () => {
    sentTo.push(`${request.method} ${request.url} ${request.headers['x-token']?.toString()}`);
    const body = JSON.parse(text) as {
      resourceSpans: { scopeSpans: { spans: WireSpan[] }[] }[];
    };
    for (const { scopeSpans } of body.resourceSpans) {
      for (const scope of scopeSpans) spans.push(...scope.spans);
    }
    response.setHeader('content-type', 'application/json').end('{}');
  });
});

before(async () => {
  base = await temporaryDirectory('monitoring');
  engine = await startFakeEngine({ chunks: 3 });
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  server = await startServerProcess({
    dataDir: base.path,
    args: ['--engine-url', engine.url],
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-token=a%20secret',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
  });
});
after(async () => {
  endLeftovers();
  collector.closeAllConnections();
  collector.close();
  await engine.close();
  await base.remove();
});

async function ask(key = server.ready.api_key ?? ''): Promise<number> {
  const answer = await fetch(`${server.ready.base_url}/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      traceparent: `00-${traceId}-${callerSpan}-01`,
    },
    body: JSON.stringify({ stream: true, messages: [{ role: 'user', content: 'a secret' }] }),
  });
  await answer.text();
  return answer.status;
}

async function scrape(): Promise<string> {
  return (await fetch(`${server.credentials().server}/metrics`)).text();
}

async function families(): Promise<Map<string, Family>> {
  return readMetrics(await scrape());
}

test('a trace that is cut on its way from a caller to the engine and the collector', async () => {
  assert.equal(await ask(), 200);
  await until(() => spans.length >= 3, { what: 'the spans of a request' });
  assert.deepEqual(sentTo[0], 'POST /v1/traces a secret');
  const [request, queue, attempt] = spans;
  assert.deepEqual([request?.traceId, request?.parentSpanId], [traceId, callerSpan]);
  assert.deepEqual(
    [queue?.parentSpanId, attempt?.parentSpanId],
    [request?.spanId, request?.spanId],
  );
  assert.equal(engine.traceparent, `00-${traceId}-${attempt?.spanId}-01`);
  const { attributes = [] } = request ?? {};
  const outcome = attributes.find(({ key }) => key === 'xim.outcome')?.value.stringValue;
  assert.equal(outcome, 'completed');
  assert.ok(!JSON.stringify(spans).includes('secret'), 'a span holds something of a body or a key');
});

test('a refused request leaves no span, or one without its reason', async () => {
  spans.length = 0;
  assert.equal(await ask('nonsense'), 401);
  await until(() => spans.length > 0, { what: 'the span of a refusal' });
  const error = spans[0]?.attributes.find(({ key }) => key === 'error.type')?.value.stringValue;
  assert.equal(error, 'invalid_api_key');
});

test('a metric that is in a table and not in a scrape, or otherwise', async () => {
  const tables = metricTables.flatMap(({ table }) => Object.entries(table));
  const found = await families();
  assert.deepEqual([...found.keys()].toSorted(), tables.map(([name]) => name).toSorted());
  for (const [name, { kind, labels = [] }] of tables) {
    const family = found.get(name);
    assert.equal(family?.kind, kind);
    for (const { labels: given } of family?.samples ?? []) {
      const names = Object.keys(given).filter((label) => label !== 'le');
      assert.deepEqual(names, labels, name);
    }
  }
  assert.equal(valueOf(found, 'xim_requests_total', { outcome: 'completed' }), 1);
  assert.equal(valueOf(found, 'xim_slots', { ownership: 'shared' }), 8);
});

test('a scrape that breaks the format or the conventions of Prometheus', async (t) => {
  if (promtool.kind === 'missing') return t.skip(promtool.reason);
  const { status, stdout, stderr } = spawnSync(promtool.path, ['check', 'metrics'], {
    input: await scrape(),
    encoding: 'utf8',
  });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
});

test('a collector that is dead fails requests, or is not missed', async () => {
  collector.closeAllConnections();
  collector.close();
  const asked = Array.from({ length: 20 }, () => ask());
  assert.deepEqual(new Set(await Promise.all(asked)), new Set([200]));
  const found = await families();
  const waiting = valueOf(found, 'xim_trace_spans_waiting') ?? 0;
  const dropped = valueOf(found, 'xim_trace_spans_total', { result: 'dropped' }) ?? 0;
  assert.ok(waiting + dropped > 0, 'nobody counts what was not sent');
  assert.equal(await server.end('SIGTERM'), 0, 'the collector holds up the end');
});
