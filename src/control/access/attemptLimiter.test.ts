import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { createAttemptLimiter } from './attemptLimiter.ts';

function limiterOf(burst: number, entries = 100) {
  const clock = new FakeClock();
  const limiter = createAttemptLimiter({ clock, burst, refillMs: 1000, entries });
  return { clock, limiter };
}

test('guesses go on after the burst', () => {
  const { limiter, clock } = limiterOf(3);
  assert.deepEqual([limiter.take('a'), limiter.take('a'), limiter.take('a')], [0, 0, 0]);
  assert.equal(limiter.take('a'), 1000);
  assert.equal(limiter.take('b'), 0, 'another key is not held back');
  clock.advance(999);
  assert.equal(limiter.take('a'), 1);
  clock.advance(1);
  assert.equal(limiter.take('a'), 0);
  assert.equal(limiter.take('a'), 1000);
});

test('a refused attempt makes the wait longer', () => {
  const { limiter } = limiterOf(1);
  limiter.take('a');
  for (let attempt = 0; attempt < 10; attempt += 1) assert.equal(limiter.take('a'), 1000);
});

test('attempts that succeed use the allowance up', () => {
  const { limiter } = limiterOf(2);
  for (let attempt = 0; attempt < 20; attempt += 1) {
    assert.equal(limiter.take('a'), 0);
    limiter.refund('a');
  }
  assert.equal(limiter.size(), 0, 'and nothing is kept of them');
});

test('a wall clock that was set back locks people out', () => {
  const { limiter, clock } = limiterOf(1);
  limiter.take('a');
  clock.jumpWall(-3_600_000);
  clock.advance(1000);
  assert.equal(limiter.take('a'), 0);
});

test('many addresses fill the memory', () => {
  const { limiter } = limiterOf(1, 10);
  for (let address = 0; address < 1000; address += 1) limiter.take(`192.0.2.${address}`);
  assert.equal(limiter.size(), 10);
  assert.equal(limiter.take('192.0.2.999'), 1000, 'the latest are remembered');
});
