import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { silentLogger } from '../log.ts';
import { seededRandom } from '../random.ts';
import { otlpJson } from './otlpJson.ts';
import { createSampler, samplerNames } from './sampler.ts';
import { noTracing, type Span } from './span.ts';
import { SpanQueue, type Sent } from './spanQueue.ts';
import { parseTraceparent, spanIdAfter, traceparentText } from './traceContext.ts';
import { Tracer } from './tracer.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const good = `00-${traceId}-${spanId}-01`;

const span: Span = {
  traceId,
  spanId,
  parentSpanId: null,
  name: 'chat main',
  kind: 'server',
  startMs: 1_700_000_000_000.25,
  endMs: 1_700_000_000_001.5,
  attributes: { text: 'x', whole: 3, part: 0.5, yes: true, left_out: undefined },
  events: [{ name: 'e', atMs: 1_700_000_000_001 }],
  error: null,
};

test('a header that is none begins a trace, or one that is good is not followed', () => {
  const parent = parseTraceparent(good);
  assert.deepEqual(parent, { traceId, spanId, sampled: true });
  assert.equal(parent && traceparentText(parent), good);
  assert.equal(parseTraceparent(good.replace(/01$/, '00'))?.sampled, false);
  // A later version may say more.
  assert.equal(parseTraceparent(`cc${good.slice(2)}-what-else`)?.traceId, traceId);
  const bad = [
    undefined,
    '',
    [good, good],
    `ff${good.slice(2)}`,
    `${good}-more`,
    good.toUpperCase(),
    good.replace(traceId, '0'.repeat(32)),
    good.replace(spanId, '0'.repeat(16)),
    good.slice(0, -1),
    `cc${good.slice(2)}-${'x'.repeat(600)}`,
  ];
  for (const text of bad) assert.equal(parseTraceparent(text), undefined, String(text));
});

test('ids of spans that are the same, or of another length', () => {
  const ids = Array.from({ length: 300 }, (_, at) => spanIdAfter('00f067aa0bffff00', at));
  assert.equal(new Set(ids).size, 300);
  for (const id of ids) assert.match(id, /^00f067aa0b[0-9a-f]{6}$/);
});

test('a sampler that records another share than was asked for, or not what the caller said', () => {
  const random = seededRandom(1);
  const ids = Array.from({ length: 4000 }, () => random.bytes(16).toString('hex'));
  const share = (name: (typeof samplerNames)[number], parent?: boolean): number => {
    const sampler = createSampler(name, 0.25);
    const said = parent === undefined ? undefined : { traceId, spanId, sampled: parent };
    return ids.filter((id) => sampler(id, said)).length / ids.length;
  };
  assert.equal(share('always_on', false), 1);
  assert.equal(share('always_off', true), 0);
  assert.ok(Math.abs(share('traceidratio', true) - 0.25) < 0.03);
  assert.ok(Math.abs(share('parentbased_traceidratio') - 0.25) < 0.03);
  for (const name of samplerNames.filter((one) => one.startsWith('parentbased'))) {
    assert.deepEqual([share(name, true), share(name, false)], [1, 0], name);
  }
});

test('a trace of somebody else that ends here because we record nothing', () => {
  const passed = noTracing.begin(good);
  assert.deepEqual(passed, {
    traceId,
    parentSpanId: spanId,
    spanId,
    sampled: true,
    recorded: false,
  });
  assert.equal(noTracing.begin(undefined), null);
  assert.equal(noTracing.begin('nonsense'), null);
});

test('a request that is not recorded and whose engine records it all the same', () => {
  const offered: Span[] = [];
  const tracer = new Tracer({
    random: seededRandom(1),
    sampler: createSampler('parentbased_always_off', 1),
    queue: { offer: (spans) => offered.push(...spans) },
  });
  const own = tracer.begin(undefined);
  assert.deepEqual([own.sampled, own.recorded, own.parentSpanId], [false, false, null]);
  const followed = tracer.begin(good);
  assert.deepEqual([followed.traceId, followed.parentSpanId], [traceId, spanId]);
  assert.equal(followed.recorded, true);
  assert.notEqual(followed.spanId, spanId);
});

test('two traces with one id', () => {
  const sampler = createSampler('always_on', 1);
  const tracer = new Tracer({ random: seededRandom(1), sampler, queue: { offer: () => {} } });
  const begun = Array.from({ length: 1000 }, () => tracer.begin(undefined));
  assert.equal(new Set(begun.map((one) => one.traceId)).size, 1000);
  assert.equal(new Set(begun.map((one) => one.spanId)).size, 1000);
  for (const one of begun)
    assert.match(`${one.traceId}-${one.spanId}`, /^[0-9a-f]{32}-[0-9a-f]{16}$/);
});

test('a body that a collector cannot read', () => {
  const text = otlpJson([span, { ...span, parentSpanId: spanId, kind: 'client', error: 'broke' }], {
    resource: { 'service.name': 'xim' },
    scope: { name: 'xim', version: '1' },
  });
  const { resourceSpans } = JSON.parse(text) as { resourceSpans: unknown[] };
  const times = {
    startTimeUnixNano: '1700000000000250000',
    endTimeUnixNano: '1700000000001500000',
    attributes: [
      { key: 'text', value: { stringValue: 'x' } },
      { key: 'whole', value: { intValue: '3' } },
      { key: 'part', value: { doubleValue: 0.5 } },
      { key: 'yes', value: { boolValue: true } },
    ],
    events: [{ name: 'e', timeUnixNano: '1700000000001000000' }],
  };
  const names = { traceId, spanId, flags: 1, name: 'chat main' };
  const broke = { code: 2, message: 'broke' };
  assert.deepEqual(resourceSpans, [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'xim' } }] },
      scopeSpans: [
        {
          scope: { name: 'xim', version: '1' },
          spans: [
            { ...names, kind: 2, ...times },
            { ...names, parentSpanId: spanId, kind: 3, ...times, status: broke },
          ],
        },
      ],
    },
  ]);
});

function queueOf(send: (spans: readonly Span[]) => Promise<Sent>): {
  clock: FakeClock;
  queue: SpanQueue;
} {
  const clock = new FakeClock();
  const bounds = { maxSpans: 10, batchSpans: 4, delayMs: 1000 };
  const random = seededRandom(1);
  return { clock, queue: new SpanQueue({ bounds, send, clock, random, log: silentLogger }) };
}

test('a collector that hangs makes the memory grow', async () => {
  let answer = (_sent: Sent): void => {};
  const { clock, queue } = queueOf(() => new Promise((resolve) => (answer = resolve)));
  for (let at = 0; at < 50; at += 1) queue.offer([span]);
  await clock.advanceAsync(1000);
  for (let at = 0; at < 50; at += 1) queue.offer([span]);
  assert.deepEqual(queue.counts, { exported: 0, dropped: 90, failed: 0, waiting: 6 });
  answer('taken');
  await clock.advanceAsync(0);
  assert.equal(queue.counts.exported, 4);
  queue.offer([span, span]);
  assert.equal(queue.counts.dropped, 90, 'there is room again');
});

test('a collector that is away for a moment loses spans, or is asked for ever', async () => {
  const said: Sent[] = ['later', 'later', 'taken'];
  let calls = 0;
  const { clock, queue } = queueOf(() => {
    calls += 1;
    return Promise.resolve(said.shift() ?? 'later');
  });
  queue.offer([span, span]);
  await clock.advanceAsync(300_000);
  assert.deepEqual(queue.counts, { exported: 2, dropped: 0, failed: 0, waiting: 0 });
  queue.offer([span]);
  await clock.advanceAsync(600_000);
  assert.deepEqual(queue.counts, { exported: 2, dropped: 0, failed: 1, waiting: 0 });
  assert.equal(calls, 3 + 5);
  assert.equal(clock.pendingTimers, 0, 'nothing is to do and something is armed');
});

test('the last spans before the end are lost', async () => {
  const sent: number[] = [];
  const { queue } = queueOf((spans) => {
    sent.push(spans.length);
    return Promise.resolve('taken');
  });
  for (let at = 0; at < 6; at += 1) queue.offer([span]);
  await queue.stop();
  assert.deepEqual(sent, [4, 2]);
  queue.offer([span]);
  assert.equal(queue.counts.dropped, 1);
});
