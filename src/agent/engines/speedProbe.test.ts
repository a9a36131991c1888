import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import type { EngineSink } from './engine.ts';
import { probeSpeed } from './speedProbe.ts';

const text = (content: string): Parameters<EngineSink['write']>[0] => ({
  choices: [{ index: 0, delta: { content }, finish_reason: null }],
});
const signal = new AbortController().signal;

test('the speed of an engine is that of its first token, or of chunks that are none', async () => {
  const clock = new FakeClock();
  const speed = await probeSpeed(
    (request, sink) => {
      assert.equal(request.stream, true);
      clock.advance(30);
      sink.write({ choices: [{ index: 0, delta: { role: 'assistant', content: '' } }] });
      clock.advance(10);
      for (let n = 0; n < 5; n += 1) {
        sink.write(text('one'));
        clock.advance(8);
      }
      return Promise.resolve({ kind: 'completed' });
    },
    { instance: 'inst_1', clock, signal },
  );
  assert.deepEqual(speed, { firstByteMs: 40, perTokenMs: 8 });
  assert.equal(clock.pendingTimers, 0);
});

test('an engine that hangs, fails or says one word keeps its model from being served', async () => {
  const clock = new FakeClock();
  const hangs = probeSpeed(
    (_request, _sink, stop) =>
      new Promise((resolve) => {
        stop.addEventListener('abort', () => resolve({ kind: 'cancelled' }));
      }),
    { instance: 'inst_1', clock, signal },
  );
  await clock.advanceAsync(5_000);
  assert.equal(await hangs, undefined);
  const of = { instance: 'inst_1', clock, signal };
  assert.equal(await probeSpeed(() => Promise.reject(new Error('bug')), of), undefined);
  const oneWord = probeSpeed((_request, sink) => {
    sink.write(text('one'));
    return Promise.resolve({ kind: 'completed' });
  }, of);
  assert.equal(await oneWord, undefined);
  assert.equal(clock.pendingTimers, 0);
});

test('a proxy that gathers an answer makes its engine one of no time for each token', async () => {
  const clock = new FakeClock();
  const gathered = probeSpeed(
    (_request, sink) => {
      clock.advance(1200);
      for (let n = 0; n < 12; n += 1) sink.write(text('one'));
      return Promise.resolve({ kind: 'completed' });
    },
    { instance: 'inst_1', clock, signal },
  );
  assert.equal(await gathered, undefined);
});
