import assert from 'node:assert/strict';
import test from 'node:test';
import { StoreError } from '../storeError.ts';
import { toStoreError } from './sqliteErrors.ts';

const sqlite = (errcode: number): Error =>
  Object.assign(new Error('of SQLite'), { code: 'ERR_SQLITE_ERROR', errcode });

test('a machine without memory, or a lock that hangs, is taken for a row that is refused', () => {
  for (const code of [7, 15]) {
    const error = toStoreError(sqlite(code), 'xim.db');
    assert.ok(error instanceof StoreError && error.kind === 'unavailable', `code ${code}`);
  }
  // A constraint, a number that no column takes: the database is well.
  for (const code of [19, 1299, 20, 18]) {
    assert.ok(!(toStoreError(sqlite(code), 'xim.db') instanceof StoreError), `code ${code}`);
  }
});
