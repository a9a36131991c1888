import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goDuration, rateHeaders } from './rateHeaders.ts';

test('a span that Go cannot read', () => {
  const spans: [number, string][] = [
    [0, '0s'],
    [-3, '0s'],
    [0.2, '1ms'],
    [120, '120ms'],
    [1000, '1s'],
    [1500, '1.5s'],
    [59_999.5, '1m0s'],
    [90_061, '1m30.061s'],
    [360_000, '6m0s'],
    [3_602_000, '1h0m2s'],
  ];
  for (const [ms, text] of spans) assert.equal(goDuration(ms), text);
});

test('a limit that does not bind is shown, or one that binds is not', () => {
  const rate = { limit: 64, remaining: 95, resetMs: 938 };
  assert.deepEqual(rateHeaders({ requests: rate, tokens: null }), {
    'x-ratelimit-limit-requests': '64',
    'x-ratelimit-remaining-requests': '95',
    'x-ratelimit-reset-requests': '938ms',
  });
});
