import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBackoff } from './backoff.ts';
import { seededRandom } from './random.ts';

const at = (value: number) => ({ float: () => value, bytes: () => Buffer.alloc(0) });
const delays = (value: number) => {
  const backoff = createBackoff({ random: at(value), firstMs: 500, longestMs: 30_000 });
  return Array.from({ length: 9 }, () => backoff.nextMs());
};

test('a thousand agents do not come back in step', () => {
  assert.deepEqual(delays(0), Array(9).fill(500));
  assert.deepEqual(delays(1), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  const firsts = Array.from({ length: 1000 }, (_, seed) =>
    createBackoff({ random: seededRandom(seed), firstMs: 500, longestMs: 30_000 }).nextMs(),
  );
  assert.ok(new Set(firsts.map((ms) => Math.floor(ms / 50))).size >= 10);
});

test('the delay never leaves its bounds, however many attempts fail', () => {
  const backoff = createBackoff({ random: seededRandom(1), firstMs: 500, longestMs: 30_000 });
  for (let n = 0; n < 5000; n += 1) {
    const ms = backoff.nextMs();
    assert.ok(ms >= 500 && ms <= 30_000, String(ms));
  }
  assert.equal(backoff.attempts, 5000);
  backoff.reset();
  assert.ok(backoff.nextMs() <= 1000);
});
