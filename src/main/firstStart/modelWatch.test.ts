import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { watchModel } from './modelWatch.ts';
import type { ModelOutcome } from './modelWatch.ts';

function watched(granted: () => boolean = () => true) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const watch = watchModel({ granted, clock, stopped: stop.signal });
  let outcome: ModelOutcome | undefined;
  void watch.outcome.then((settled) => (outcome = settled));
  const settled = async (): Promise<ModelOutcome | undefined> => {
    await new Promise((resolve) => setImmediate(resolve));
    return outcome;
  };
  return { clock, stop, watch, settled };
}

test('a model that is announced before the router knows of it', async () => {
  let granted = false;
  const { clock, watch, settled } = watched(() => granted);
  watch.event({ kind: 'ready', model: 'tiny' });
  clock.advance(1_000);
  assert.equal(await settled(), undefined);
  granted = true;
  clock.advance(100);
  assert.deepEqual(await settled(), { kind: 'ready', model: 'tiny' });
});

test('a failure without what was tried', async () => {
  const { watch, settled } = watched();
  const tried = ['model cache: nothing', 'hub: no route'];
  watch.event({ kind: 'failed', model: 'tiny', message: 'No source.', tried });
  const reason = 'No source.\n  model cache: nothing\n  hub: no route';
  assert.deepEqual(await settled(), { kind: 'without', reason, fault: 'unfetched' });
});

test('a file that the engine does not take, told as one that could not be had', async () => {
  const { watch, settled } = watched();
  const reason = 'llama.cpp cannot load tiny: no.';
  watch.event({ kind: 'failed', model: 'tiny', message: reason, tried: [] });
  assert.deepEqual(await settled(), { kind: 'without', reason, fault: 'unloadable' });
});

test('a start that waits for ever on an agent that says nothing or cannot link', async () => {
  const { clock, watch, settled } = watched();
  clock.advance(170_000);
  watch.event({ kind: 'fetching', model: 'm', receivedBytes: 1, ...nothingKnown });
  clock.advance(170_000);
  assert.equal(await settled(), undefined, 'a slow download is no silence');
  watch.event({ kind: 'unlinked', message: 'connection refused' });
  clock.advance(20_000);
  const outcome = await settled();
  assert.ok(outcome?.kind === 'without');
  assert.match(outcome.reason, /said nothing for 180 s\.\nconnection refused/);
});

const nothingKnown = { totalBytes: null, bytesPerSecond: null };

test('an agent that was refused, or has ended, and is waited for', async () => {
  const refused = watched();
  refused.watch.event({ kind: 'refused', message: 'The agent was removed.' });
  refused.watch.ended();
  assert.deepEqual(await refused.settled(), { kind: 'without', reason: 'The agent was removed.' });
  const ended = watched();
  ended.watch.ended();
  assert.deepEqual(await ended.settled(), {
    kind: 'without',
    reason: 'The shared agent has ended.',
  });
});

test('an agent that ends again and again, and is waited for', async () => {
  const { clock, watch, settled } = watched();
  const message = 'the shared agent was killed; it is started again in 1.0 s';
  watch.event({ kind: 'ended', message });
  clock.advance(1_000);
  watch.event({ kind: 'loading', model: 'tiny', fraction: 0.5 });
  assert.equal(await settled(), undefined, 'once is an accident');
  watch.event({ kind: 'ended', message });
  assert.deepEqual(await settled(), { kind: 'without', reason: message });
  const unable = watched();
  unable.watch.event({ kind: 'unable', message: 'The model cache /x cannot be used.' });
  assert.deepEqual(await unable.settled(), {
    kind: 'without',
    reason: 'The model cache /x cannot be used.',
  });
});

test('a stop during the wait that is not heard', async () => {
  const { stop, settled } = watched();
  stop.abort();
  assert.deepEqual(await settled(), { kind: 'stopped' });
  const late = watchModel({
    granted: () => true,
    clock: new FakeClock(),
    stopped: AbortSignal.abort(),
  });
  assert.deepEqual(await late.outcome, { kind: 'stopped' });
});
