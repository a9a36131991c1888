import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isId } from '../../lib/ids.ts';
import { systemRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { createRequestIds } from './requestIds.ts';

test('two requests with one id', () => {
  const newRequestId = createRequestIds({ random: systemRandom, clock: new FakeClock() });
  const ids = Array.from({ length: 2000 }, newRequestId);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => isId(id, 'req')));
});

test('ids that land all over the index of what is stored under them', () => {
  const clock = new FakeClock();
  const newRequestId = createRequestIds({ random: systemRandom, clock });
  const ids = Array.from({ length: 200 }, () => {
    clock.advance(1);
    return newRequestId();
  });
  assert.deepEqual(ids.toSorted(), ids);
});
