/** What `methods.ts` adds to every method, on SQLite in memory. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Kysely } from 'kysely';
import { auditNote, joinKeyRow } from '../testing/database/storeRows.ts';
import { methods, runInTransaction } from './methods.ts';
import { migrate } from './migrate.ts';
import { appendChanges } from './directory/changes.ts';
import { writeJoinKey } from './agents/joinKeys.ts';
import { nodeSqliteDialect } from './sqlite/nodeSqliteDialect.ts';
import type { Tables } from './tables.ts';

async function memory(): Promise<Kysely<Tables>> {
  const database = new DatabaseSync(':memory:');
  database.exec('pragma foreign_keys = off');
  const dialect = nodeSqliteDialect({ database, begin: 'immediate' });
  const db = new Kysely<Tables>({ dialect });
  await migrate(db, 'sqlite');
  return db;
}

void test('a change that was refused half-way leaves what it had written (S7)', async (t) => {
  const db = await memory();
  t.after(() => db.destroy());
  t.mock.property(methods, 'insertJoinKey', {
    access: 'change',
    async run(tx, { row }) {
      await writeJoinKey(tx, { ...row, projectId: null });
      await appendChanges(tx, [{ kind: 'project', id: 'proj_a' }]);
      return { ok: false, reason: 'unknown_project' };
    },
  });
  const call = {
    name: 'insertJoinKey',
    args: [{ row: joinKeyRow(), audit: auditNote() }],
  } as const;
  const refused = await runInTransaction({ db, dialect: 'sqlite', call });
  const value = { ok: false, reason: 'unknown_project' };
  assert.deepEqual(refused, { value, changed: false });
  for (const table of ['join_keys', 'audit_events', 'changes'] as const) {
    assert.deepEqual(await db.selectFrom(table).selectAll().execute(), [], table);
  }
});
