import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guardedLookup } from './addressGuard.ts';

test('a name that resolves to this machine is connected to', async () => {
  const outcome = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    guardedLookup('localhost', {}, (error) => resolve(error));
  });
  assert.equal(outcome?.code, 'XIM_ADDRESS_NOT_ALLOWED');
});
