import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Span } from '../../lib/tracing/span.ts';
import { parseTraceparent, type TraceContext } from '../../lib/tracing/traceContext.ts';
import { refuses, streams } from '../../testing/links/fakeAgent.ts';
import { RouterHarness } from '../../testing/router/routerHarness.ts';

const trace: TraceContext = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  parentSpanId: '00f067aa0ba902b7',
  spanId: 'aaaaaaaaaaaaaaaa',
  sampled: true,
  recorded: true,
};

const made: RouterHarness[] = [];
after(async () => {
  for (const one of made) await one.router.stop();
});

async function harness(spans: Span[]): Promise<RouterHarness> {
  const one = new RouterHarness({ tracing: { record: (more) => spans.push(...more) } });
  made.push(one);
  await one.router.start();
  return one;
}

test('a trace that lacks a step, or whose engine is told of another span', async () => {
  const spans: Span[] = [];
  const one = await harness(spans);
  const broken = await one.agent({ script: refuses('engine_failed') });
  const { result } = one.submit({ trace, maxTokens: 9 });
  const good = await one.agent({ script: streams('a', 'b') });
  await result;
  assert.deepEqual(
    spans.map(({ name, kind, error }) => `${kind} ${name} ${error ?? 'well'}`),
    [
      'server chat main well',
      'internal queue well',
      'client chat small engine_failed',
      'internal queue well',
      'client chat small well',
    ],
  );
  const [request, , failed, , served] = spans;
  assert.equal(request?.parentSpanId, trace.parentSpanId);
  for (const span of spans.slice(1)) assert.equal(span.parentSpanId, trace.spanId);
  assert.equal(new Set(spans.map((span) => span.spanId)).size, spans.length);
  const told = [broken, good].map(({ agent }) => agent.requests[0]?.message.traceparent);
  assert.deepEqual(
    told.map((text) => parseTraceparent(text)?.spanId),
    [failed?.spanId, served?.spanId],
  );
  for (const span of spans) {
    const isInside = span.startMs >= (request?.startMs ?? 0) && span.endMs >= span.startMs;
    assert.ok(isInside && span.endMs <= (request?.endMs ?? 0) + 1, `${span.name} lies outside`);
  }
  const attributes = served?.attributes ?? {};
  assert.equal(attributes['gen_ai.operation.name'], 'chat');
  assert.equal(attributes['gen_ai.request.max_tokens'], 9);
  assert.deepEqual(
    ['input', 'output'].map((one) => attributes[`gen_ai.usage.${one}_tokens`]),
    [5, 3],
  );
  assert.equal(served?.events[0]?.name, 'gen_ai.first_token');
  assert.equal(failed?.attributes['error.type'], 'engine_failed');
});

test('a request that is refused leaves no word of why', async () => {
  const spans: Span[] = [];
  const one = await harness(spans);
  await one.submit({ trace }).result;
  assert.equal(spans[0]?.attributes['error.type'], 'no_agent_available');
  assert.deepEqual(
    spans.map(({ name }) => name),
    ['chat main', 'queue'],
  );
});

test('a request that nobody records costs spans, or ends the trace of its caller', async () => {
  const spans: Span[] = [];
  const one = await harness(spans);
  const { agent } = await one.agent({ script: streams('a') });
  const foreign = { ...trace, spanId: '00f067aa0ba902b7', recorded: false };
  await one.submit({ trace: foreign }).result;
  await one.submit().result;
  assert.deepEqual(spans, []);
  assert.deepEqual(
    agent.requests.map(({ message }) => message.traceparent),
    ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', undefined],
  );
});
