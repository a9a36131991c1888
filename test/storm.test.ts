/** The short version of `npm run proofs -- storm`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prove } from './proofs/storm.ts';

test('a slot, a record or a byte that is lost while everything fails at once', async () => {
  const outcome = await prove(['--requests', '500', '--seed', '1']);
  assert.ok(outcome.passed, JSON.stringify(outcome, null, 2));
  assert.ok((outcome.complete ?? 0) > 100);
});
