import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isId } from '../lib/ids.ts';
import { systemRandom } from '../lib/random.ts';
import { createRequestIds } from './requestIds.ts';

test('two requests with one id', () => {
  const newRequestId = createRequestIds(systemRandom);
  const ids = Array.from({ length: 2000 }, newRequestId);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => isId(id, 'req')));
});
