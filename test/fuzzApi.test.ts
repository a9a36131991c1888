/** The short version of `npm run proofs -- fuzz-api`, on SQLite. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bringSchemathesis } from '../src/testing/http/schemathesis.ts';
import { prove } from './proofs/fuzz-api.ts';

const skip = bringSchemathesis() ?? false;

test(
  'a call of a fuzzer gets a 5xx, or an answer that openapi.json does not name',
  {
    skip,
  },
  async () => {
    const little = ['--examples', '4', '--phases', 'examples,fuzzing', '--seed', '1'];
    const outcome = await prove([...little, '--database', 'sqlite']);
    assert.ok(outcome.passed, JSON.stringify(outcome, null, 2));
    assert.ok((outcome['calls'] as number) > 500);
  },
);
