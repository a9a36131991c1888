import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { ClockJumps } from './clockJumps.ts';

const hourMs = 3_600_000;

test('a clock that is set forward makes everything look old', () => {
  const clock = new FakeClock();
  const jumps = new ClockJumps(clock);
  const stampMs = clock.now();
  clock.jumpWall(5 * hourMs);
  assert.ok(jumps.cautiousNow(hourMs) - stampMs < 1000);
  clock.advance(hourMs - 1);
  assert.ok(jumps.cautiousNow(hourMs) - stampMs < hourMs);
  clock.advance(1);
  assert.equal(jumps.cautiousNow(hourMs), clock.now(), 'whatever was then is an hour old');
  assert.equal(jumps.cautiousNow(2 * hourMs), clock.now() - 5 * hourMs);
});

test('a clock that is corrected a little, or set back, is not believed any more', () => {
  const clock = new FakeClock();
  const jumps = new ClockJumps(clock);
  for (let n = 0; n < 1000; n += 1) {
    clock.jumpWall(n % 2 === 0 ? 400 : -900_000);
    clock.advance(60_000);
    assert.equal(jumps.cautiousNow(hourMs), clock.now());
  }
});

test('a clock that jumps all the time fills the memory, or makes something old at once', () => {
  const clock = new FakeClock();
  const jumps = new ClockJumps(clock);
  const stampMs = clock.now();
  for (let n = 0; n < 500; n += 1) {
    clock.jumpWall(hourMs);
    clock.advance(1000);
    jumps.look();
  }
  assert.ok(jumps.cautiousNow(hourMs) - stampMs <= 500_000);
  assert.ok((Reflect.get(jumps, 'jumps') as unknown[]).length <= 64);
});
