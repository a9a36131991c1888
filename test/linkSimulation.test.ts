/** The short version of `npm run proofs -- link-simulation`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinkSimulation } from '../src/testing/linkSimulation/linkSimulation.ts';
import { findMutation, mutations } from '../src/testing/linkSimulation/mutations.ts';
import { simulate } from './proofs/link-simulation.ts';

test('R1 to R6 or A1 break in a fleet in which everything else does', async () => {
  const { passed, failed, missing } = await simulate({ from: 1, seeds: 100 });
  assert.deepEqual({ failed, missing }, { failed: [], missing: [] });
  assert.ok(passed);
});

test('a seed that has failed fails in another way when it is repeated', async () => {
  const first = await new LinkSimulation(7).run();
  assert.deepEqual(await new LinkSimulation(7).run(), first);
});

for (const mutation of mutations) {
  test(`the simulation does not see that ${mutation.bug}`, async () => {
    const found = await findMutation(mutation, 60);
    assert.ok(found !== null, `not found: ${mutation.breaks.join(' ')}`);
  });
}
