import assert from 'node:assert/strict';
import { test } from 'node:test';
import { costText, timeCostMicros, tokensCostMicros } from './price.ts';
import { defaultTiers } from '../tiers/tiers.ts';

test('a million tokens cost something else than the table says, or cached ones the same', () => {
  const { price } = defaultTiers.gpu_nvidia_shared;
  const cost = (input: number, cached: number, output: number): string =>
    costText(tokensCostMicros(price, { input, cached, output }));
  assert.equal(cost(600_000, 0, 400_000), '1.250000');
  assert.equal(cost(600_000, 400_000, 400_000), '0.875000');
  assert.equal(cost(0, 0, 0), '0.000000');
  assert.equal(cost(1, 1, 0), '0.000000');
  const free = tokensCostMicros(defaultTiers.free.price, { input: 1e6, cached: 0, output: 1e6 });
  assert.equal(free, 0);
});

test('a month of an own agent costs something else than 20', () => {
  const { price } = defaultTiers.self_hosted;
  assert.equal(costText(timeCostMicros(price, 730 * 3600)), '20.000000');
  assert.equal(costText(timeCostMicros(price, 3600)), '0.027397');
  assert.equal(tokensCostMicros(price, { input: 1e6, cached: 0, output: 1e6 }), 0);
  assert.equal(timeCostMicros(defaultTiers.free.price, 3600), 0);
});
