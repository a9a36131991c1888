import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceGaps } from './serviceGaps.ts';

test('a gap that counts service from before or after both waited', () => {
  const gaps = new ServiceGaps(3);
  gaps.served('a', { uncached: 10_000 });
  gaps.waits('a');
  gaps.served('a', { output: 500 });
  gaps.waits('b');
  // Both wait: a gets 100 + 0.25 · 40 + 2 · 5, then b 300.
  gaps.served('a', { uncached: 100, cached: 40, output: 5 });
  gaps.served('b', { uncached: 300 });
  gaps.waitsNot('b');
  gaps.served('a', { uncached: 70_000 });
  assert.deepEqual([gaps.gapOf('a'), gaps.gapOf('b'), gaps.gapOf('c')], [300, 300, 0]);
});

test('a stretch that begins anew and goes on with the old one', () => {
  const gaps = new ServiceGaps(2);
  for (const tenant of ['a', 'b', 'b']) gaps.waits(tenant);
  gaps.served('a', { uncached: 50 });
  gaps.waitsNot('b');
  // b waits with its other request all the time, a does not.
  gaps.waitsNot('a');
  gaps.served('a', { uncached: 9_000 });
  gaps.waits('a');
  gaps.served('b', { uncached: 60 });
  assert.deepEqual([gaps.gapOf('a'), gaps.gapOf('b')], [60, 60]);
});

test('a gap of tenants that are too many to count, given as none', () => {
  const gaps = new ServiceGaps(100_000);
  gaps.waits('a');
  gaps.waits('b');
  gaps.served('a', { output: 1 });
  gaps.served('b', { output: 1 });
  assert.equal(gaps.gapOf('a'), null);
});
