import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measuresOf, type TierSlice } from './tierMeasures.ts';

const slice = (over: Partial<TierSlice>): TierSlice => ({
  tier: 'free',
  requests: 0,
  succeeded: 0,
  outputTokens: 0,
  servingMs: 0,
  ttft: [],
  ...over,
});

test('a tier that served nothing shows figures', () => {
  const nothing = { successShare: null, ttftP50Ms: null, ttftP99Ms: null, tokensPerSecond: null };
  assert.deepEqual(measuresOf([]), { requests: 0, ...nothing });
  const failed = measuresOf([slice({ requests: 3 })]);
  assert.deepEqual(failed, { requests: 3, ...nothing, successShare: 0 });
});

test('quantiles of a day are not those of its requests', () => {
  const one = slice({
    requests: 99,
    succeeded: 99,
    ttft: [
      [200, 49],
      [10, 50],
    ],
  });
  const two = slice({ requests: 1, succeeded: 1, ttft: [[9_000, 1]] });
  const { ttftP50Ms, ttftP99Ms, requests } = measuresOf([one, two]);
  assert.deepEqual([requests, ttftP50Ms, ttftP99Ms], [100, 10, 200]);
});
