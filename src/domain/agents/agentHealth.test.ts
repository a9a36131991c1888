import assert from 'node:assert/strict';
import test from 'node:test';
import { healthMeasureNames, HealthSum, type HealthNumbers } from './agentHealth.ts';

const unknown = Object.fromEntries(healthMeasureNames.map((name) => [name, null]));
const numbers = (over: Partial<HealthNumbers>): HealthNumbers =>
  ({ ...unknown, ...over }) as HealthNumbers;

test('a peak, or the least that was left, vanishes in a mean', () => {
  const sum = new HealthSum();
  sum.add(numbers({ inFlight: 1, temperatureC: 40, diskFreeBytes: 10, slots: 4 }));
  sum.add(numbers({ inFlight: 3, temperatureC: 90, diskFreeBytes: 2, slots: 8 }));
  sum.add(numbers({ inFlight: 5, temperatureC: 50, diskFreeBytes: 7 }));
  assert.equal(sum.size, 3);
  const { inFlight, temperatureC, diskFreeBytes, slots } = sum.take();
  assert.deepEqual([inFlight, temperatureC, diskFreeBytes, slots], [3, 90, 2, 8]);
});

test('what was never said becomes 0, or counts into the next span', () => {
  const sum = new HealthSum();
  sum.add(numbers({ temperatureC: -5, tokensPerSecond: 10 }));
  sum.add(numbers({ temperatureC: -9 }));
  const first = sum.take();
  assert.deepEqual([first.temperatureC, first.tokensPerSecond, first.waiting], [-5, 10, null]);
  assert.equal(sum.size, 0);
  assert.deepEqual(sum.take(), unknown);
});
