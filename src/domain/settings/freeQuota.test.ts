import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quotaExcess, type Holdings } from './freeQuota.ts';

const none: Holdings = { tiers: [], models: 0 };
const two: Holdings = { tiers: ['free', 'free'], models: 2 };

test('a project on free has a third endpoint or model', () => {
  assert.equal(quotaExcess({ before: none, after: two }), null);
  const endpoints = { before: two, after: { ...two, tiers: [...two.tiers, 'free'] as const } };
  assert.deepEqual(quotaExcess(endpoints), { quota: 'endpoints', limit: 2, wanted: 3 });
  const models = { before: two, after: { ...two, models: 3 } };
  assert.deepEqual(quotaExcess(models), { quota: 'models', limit: 2, wanted: 3 });
});

test('an endpoint on another tier does not lift both bounds', () => {
  const tiers = ['free', 'free', 'self_hosted'] as const;
  assert.equal(quotaExcess({ before: two, after: { tiers, models: 9 } }), null);
});

test('the last endpoint that lifts the bounds goes while they would be broken', () => {
  const lifted: Holdings = { tiers: ['free', 'free', 'self_hosted'], models: 2 };
  assert.equal(quotaExcess({ before: lifted, after: two }), null);
  const moved = { before: lifted, after: { ...lifted, tiers: ['free', 'free', 'free'] as const } };
  assert.equal(quotaExcess(moved)?.quota, 'endpoints');
  const more: Holdings = { ...lifted, models: 3 };
  assert.equal(quotaExcess({ before: more, after: { ...two, models: 3 } })?.quota, 'models');
});

test('a project that is over a bound from earlier cannot go down', () => {
  const over: Holdings = { tiers: ['free', 'free', 'free', 'free'], models: 5 };
  const down = { before: over, after: { tiers: ['free', 'free', 'free'] as const, models: 5 } };
  assert.equal(quotaExcess(down), null);
  const up = { before: over, after: { ...over, models: 6 } };
  assert.equal(quotaExcess(up)?.quota, 'models');
});
