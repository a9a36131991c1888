import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '../lib/clock.ts';
import { FakeClock } from './fakeClock.ts';

test('timers fire in the order in which they are due and see their own time', () => {
  const clock = new FakeClock(1000);
  const seen: string[] = [];
  const note = (name: string) => () => void seen.push(`${name}@${clock.monotonic()}`);
  clock.setTimer(30, note('c'));
  clock.setTimer(10, () => {
    note('a')();
    clock.setTimer(5, note('b'));
  });
  clock.setTimer(30, note('d'));
  clock.setTimer(20, note('never')).cancel();
  clock.advance(30);
  assert.deepEqual(seen, ['a@10', 'b@15', 'c@30', 'd@30']);
  assert.equal(clock.now(), 1030);
  assert.equal(clock.pendingTimers, 0);
});

test('a wait ends when its time has come or its signal aborts', async () => {
  const clock = new FakeClock();
  const abort = new AbortController();
  const waits = [sleep(clock, 50), sleep(clock, 5000, abort.signal)];
  await clock.advanceAsync(60);
  abort.abort();
  assert.deepEqual(await Promise.all(waits), ['elapsed', 'aborted']);
});

test('a frozen process fires what is due once, late', () => {
  const clock = new FakeClock();
  const seen: number[] = [];
  const again = (): void => {
    seen.push(clock.monotonic());
    clock.setTimer(5, again);
  };
  clock.setTimer(5, again);
  clock.freeze(1000);
  assert.deepEqual(seen, [1000]);
});
