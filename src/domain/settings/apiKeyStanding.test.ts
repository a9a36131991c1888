import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiKeyStanding } from './apiKeyStanding.ts';

const [current, before, oldest] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [
  string,
  string,
  string,
];
const entry = {
  sha256: current,
  previous: { sha256: before, untilMs: 1_000 },
  expiresAtMs: 2_000,
  revoked: false,
};

test('a key opens the door after its end, or not before it', () => {
  const standing = (sha256: string, nowMs: number) => apiKeyStanding(entry, { sha256, nowMs });
  assert.equal(standing(current, 1_999), 'good');
  assert.equal(standing(current, 2_000), 'expired');
  assert.equal(standing(before, 999), 'good');
  assert.equal(standing(before, 1_000), 'replaced');
  assert.equal(standing(before, 2_000), 'expired');
  assert.equal(standing(oldest, 0), 'replaced');
});

test('a revoked key lives on in its grace', () => {
  const revoked = { ...entry, revoked: true };
  for (const sha256 of [current, before]) {
    assert.equal(apiKeyStanding(revoked, { sha256, nowMs: 0 }), 'revoked');
  }
});

test('a key that was never rotated or limited ends', () => {
  const plain = { ...entry, previous: null, expiresAtMs: null };
  assert.equal(apiKeyStanding(plain, { sha256: current, nowMs: Number.MAX_VALUE }), 'good');
  assert.equal(apiKeyStanding(plain, { sha256: before, nowMs: 0 }), 'replaced');
});
