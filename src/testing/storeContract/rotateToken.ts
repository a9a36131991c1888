/** One rotation by itself. */
import assert from 'node:assert/strict';
import type { RotateInput, RotateOutcome } from '../../store/contract/enrolmentStore.ts';
import type { Store } from '../../store/store.ts';

export async function rotateToken(store: Store, input: RotateInput): Promise<RotateOutcome> {
  const [outcome] = await store.rotateTokens([input]);
  assert.ok(outcome !== undefined);
  return outcome;
}
