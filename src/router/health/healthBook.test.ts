import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HealthSample } from '../../domain/agents/agentHealth.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import type { HeartbeatMessage } from '../../protocol/messages/agentControl.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { settle } from '../../testing/router/routerHarness.ts';
import {
  healthBatch,
  healthSamplesPerDay,
  healthSpanMs,
  healthTickMs,
  maxEngineNumbers,
  maxPendingHealthSamples,
} from '../limits.ts';
import { HealthBook } from './healthBook.ts';
import { healthNumbers } from './healthNumbers.ts';

function bench(record?: (batch: readonly HealthSample[]) => Promise<void>) {
  const clock = new FakeClock();
  const samples: HealthSample[] = [];
  const batches: number[] = [];
  const keep = (batch: readonly HealthSample[]): Promise<void> => {
    samples.push(...batch);
    batches.push(batch.length);
    return Promise.resolve();
  };
  const sink = { record: record ?? keep };
  const book = new HealthBook({ sink, clock, random: seededRandom(1), log: silentLogger });
  book.start();
  /** Time passes in steps of a tick. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= healthTickMs) {
      clock.advance(healthTickMs);
      await settle(3);
    }
  };
  return { book, clock, samples, batches, pass };
}

function beat(over: Partial<HeartbeatMessage> = {}): HeartbeatMessage {
  return { type: 'heartbeat', models: [], engines: [], ...over };
}

const loaded = (running: number): HeartbeatMessage =>
  beat({ load: { slots: 8, running, waiting: 0 } });

test('what an agent said is shown after its link is gone, or a span without a word', async () => {
  const { book, clock, samples, pass } = bench();
  book.take('a', loaded(2));
  assert.equal(book.latest('a')?.heartbeat.load?.running, 2);
  assert.equal(book.latest('a')?.receivedAtMs, clock.now());
  book.forget('a');
  assert.equal(book.latest('a'), undefined);
  assert.equal(book.latest('b'), undefined);
  await pass(3 * healthSpanMs);
  assert.equal(samples.length, 1, 'what it said still counts');
});

test('a span of heartbeats becomes the last of them, or one sample each', async () => {
  const { book, samples, pass } = bench();
  for (let minute = 0; minute < 20; minute += 1) {
    book.take('a', loaded(minute % 2 === 0 ? 1 : 3));
    await pass(60_000);
  }
  assert.ok(samples.length === 4 || samples.length === 5, String(samples.length));
  for (const sample of samples.slice(1)) {
    assert.ok(sample.inFlight !== null && sample.inFlight > 1.5 && sample.inFlight < 2.5);
    assert.deepEqual([sample.slots, sample.kvCacheUse], [8, null]);
  }
});

test('a great many agents fill a disk, or write all at once', async () => {
  const { book, samples, batches, pass } = bench();
  const agents = 20_000;
  const message = loaded(1);
  const one = async (): Promise<void> => {
    for (let at = 0; at < agents; at += 1) book.take(`agent-${at}`, message);
    await pass(480_000);
  };
  const before = process.memoryUsage().heapUsed;
  for (let round = 0; round < 3; round += 1) await one();
  const bytesEach = (process.memoryUsage().heapUsed - before) / agents;
  assert.ok(bytesEach < 4_000, `${bytesEach} bytes an agent`);
  const perDay = samples.length * 60;
  assert.ok(perDay < healthSamplesPerDay * 1.1, `${perDay} samples a day`);
  assert.ok(samples.length > agents, 'everybody has some');
  assert.ok(Math.max(...batches) <= healthBatch);
  const moments = Map.groupBy(samples, ({ atMs }) => atMs);
  const most = Math.max(...[...moments.values()].map((of) => of.length));
  assert.ok(most < 800, `${most} samples in one moment`);
});

test('a store that is away makes samples wait for it without end, or ends the server', async () => {
  let refused = 0;
  const refusing = bench(() => {
    refused += 1;
    return Promise.reject(new Error('away'));
  });
  refusing.book.take('a', loaded(1));
  await refusing.pass(2 * healthSpanMs);
  assert.equal(refused, 1);
  const hanging = bench(() => new Promise(() => {}));
  for (let round = 0; round < 2; round += 1) {
    for (let at = 0; at < 0.75 * maxPendingHealthSamples; at += 1)
      hanging.book.take(`a${at}`, loaded(1));
    await hanging.pass(2 * healthSpanMs);
  }
  assert.equal(hanging.book.waiting, maxPendingHealthSamples);
});

test('an agent’s numbers break a page, or fill the memory', () => {
  const { book } = bench();
  const metrics = Object.fromEntries(Array.from({ length: 5_000 }, (_none, at) => [`m${at}`, at]));
  const huge = Number.MAX_VALUE;
  const engine = { instance: 'e', running: 1, tokensPerSecond: huge, metrics };
  const message = beat({ engines: [engine, { ...engine, instance: 'f' }] });
  book.take('a', message);
  const kept = book.latest('a')?.heartbeat.engines[0]?.metrics ?? {};
  assert.equal(Object.keys(kept).length, maxEngineNumbers);
  assert.equal(healthNumbers(message).tokensPerSecond, Number.MAX_VALUE);
});

test('what nobody says is 0, or a queue that is somebody else’s is left out', () => {
  const nothing = healthNumbers(beat());
  assert.equal(nothing.tokensPerSecond, null);
  assert.equal(nothing.temperatureC, null);
  const numbers = healthNumbers(
    beat({
      load: { slots: 4, running: 2, waiting: 1 },
      temperatureC: 60,
      accelerators: [
        { name: 'one', utilization: 1, temperatureC: 71, memoryUsedBytes: 3 },
        { name: 'two', utilization: 0.5, memoryUsedBytes: 4 },
      ],
      engines: [
        { instance: 'a', running: 1, queued: 5, kvCacheUse: 0.25, tokensPerSecond: 10 },
        { instance: 'b', running: 1, kvCacheUse: 0.75, tokensPerSecond: 20 },
      ],
    }),
  );
  const { inFlight, slots, waiting, tokensPerSecond, kvCacheUse, acceleratorUse } = numbers;
  assert.deepEqual([inFlight, slots, waiting], [2, 4, 6]);
  assert.deepEqual([tokensPerSecond, kvCacheUse, acceleratorUse], [30, 0.75, 0.75]);
  assert.deepEqual([numbers.temperatureC, numbers.acceleratorMemoryUsedBytes], [71, 7]);
});
