import assert from 'node:assert/strict';
import test from 'node:test';
import { longestPenaltyMs, penaltyMemoryMs, shortestPenaltyMs } from './limits.ts';
import { PenaltyBox } from './penaltyBox.ts';
import { TokenTimes } from './tokenTimes.ts';

const one = { id: 'one' };
const other = { id: 'other' };

test('an agent that fails again and again is asked as often as before', () => {
  const box = new PenaltyBox<object>();
  let nowMs = 0;
  const times: number[] = [];
  for (let n = 0; n < 8; n += 1) {
    box.failed(one, nowMs);
    assert.equal(box.standing(one, nowMs), 'boxed');
    times.push(box.nextWakeMs() - nowMs);
    nowMs = box.nextWakeMs();
    assert.deepEqual(box.advance(nowMs), [one]);
    assert.equal(box.standing(one, nowMs), 'proving');
  }
  assert.deepEqual(
    times.slice(0, 4),
    [1, 2, 4, 8].map((n) => n * shortestPenaltyMs),
  );
  assert.equal(times.at(-1), longestPenaltyMs);
  assert.equal(box.standing(other, nowMs), 'clear');
});

test('nobody can see who is spared, or for how long', () => {
  const box = new PenaltyBox<object>();
  assert.equal(box.of(undefined, 0), null);
  assert.equal(box.of(one, 0), null);
  box.failed(one, 0);
  assert.deepEqual(box.of(one, 100), { standing: 'boxed', leftMs: shortestPenaltyMs - 100 });
  box.advance(shortestPenaltyMs);
  assert.deepEqual(box.of(one, shortestPenaltyMs + 1), { standing: 'proving', leftMs: 0 });
  box.clear(one);
  assert.equal(box.of(one, shortestPenaltyMs + 2), null);
});

test('a burst of failures that began before the first was known counts as many', () => {
  const box = new PenaltyBox<object>();
  for (let n = 0; n < 20; n += 1) box.failed(one, n);
  assert.equal(box.nextWakeMs(), shortestPenaltyMs);
});

test('an agent that works again is still spared, or begins where it stopped', () => {
  const box = new PenaltyBox<object>();
  box.failed(one, 0);
  box.failed(one, 5000);
  assert.equal(box.clear(one), true);
  assert.equal(box.clear(one), false);
  assert.equal(box.standing(one, 5001), 'clear');
  assert.equal(box.nextWakeMs(), Infinity);
  box.failed(one, 6000);
  assert.equal(box.nextWakeMs(), 6000 + shortestPenaltyMs);
});

test('a failure of last week counts today', () => {
  const box = new PenaltyBox<object>();
  box.failed(one, 0);
  const laterMs = shortestPenaltyMs + penaltyMemoryMs;
  assert.equal(box.standing(one, laterMs), 'clear');
  box.failed(one, laterMs);
  assert.equal(box.nextWakeMs(), laterMs + shortestPenaltyMs);
});

test('a slow engine is taken for one that has stalled', () => {
  const times = new TokenTimes();
  assert.equal(times.stallMs, 15_000);
  for (let n = 0; n < 300; n += 1) times.note(n % 100 === 0 ? 2000 : 40);
  assert.equal(times.stallMs, 15_000);
  for (let n = 0; n < 300; n += 1) times.note(2000);
  assert.equal(times.stallMs, 40_000);
});
