/** The driver itself, on SQLite's own limits. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Kysely, sql } from 'kysely';
import { usageRow } from '../../testing/database/storeRows.ts';
import { preparedStatementsMax } from '../limits.ts';
import { migrate } from '../migrate.ts';
import { runInTransaction } from '../methods.ts';
import { StoreError } from '../storeError.ts';
import type { Tables } from '../tables.ts';
import { nodeSqliteDialect } from './nodeSqliteDialect.ts';
import { toStoreError } from './sqliteErrors.ts';
import { openForWriting } from './sqliteFile.ts';

async function withDatabase(
  check: (db: Kysely<Tables>, file: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'xim-sqlite-'));
  const file = path.join(directory, 'xim.db');
  const database = openForWriting(file);
  const db = new Kysely<Tables>({ dialect: nodeSqliteDialect({ database, begin: 'immediate' }) });
  try {
    await migrate(db, 'sqlite');
    await check(db, file);
  } finally {
    await db.destroy();
    rmSync(directory, { recursive: true, force: true });
  }
}

const count = async (db: Kysely<Tables>): Promise<number> =>
  (await db.selectFrom('usage_records').select('request_id').execute()).length;

void test('a full disk leaves half a batch, or no way on after room was made', () =>
  withDatabase(async (db, file) => {
    // SQLite's own bound on the file raises the error that a full disk does.
    await sql`pragma max_page_count = 120`.execute(db);
    const args = [Array.from({ length: 3_000 }, (_none, at) => usageRow(at))];
    const call = { name: 'recordUsage', args } as const;
    await assert.rejects(runInTransaction({ db, dialect: 'sqlite', call }), (error) => {
      const known = toStoreError(error, file);
      assert.ok(known instanceof StoreError);
      assert.equal(known.kind, 'disk_full');
      return true;
    });
    assert.equal(await count(db), 0);
    await sql`pragma max_page_count = 100000`.execute(db);
    await runInTransaction({ db, dialect: 'sqlite', call });
    assert.equal(await count(db), 3_000);
  }));

void test('statements that are never used again pile up, or a dropped one is not made again', () =>
  withDatabase(async (db) => {
    for (let at = 0; at < preparedStatementsMax + 50; at += 1) {
      const { rows } = await sql<{ n: number }>`select ${sql.lit(at)} as n`.execute(db);
      assert.deepEqual(
        rows.map(({ n }) => n),
        [at],
      );
    }
    const { rows } = await sql<{ n: number }>`select 0 as n`.execute(db);
    assert.equal(rows[0]?.n, 0);
  }));

void test('text in a column of numbers is kept as text', () =>
  withDatabase(async (db) => {
    const row = { revision: 'many' as unknown as number, kind: 'agent', entity_id: 'a' } as const;
    await assert.rejects(db.insertInto('changes').values(row).execute());
  }));
