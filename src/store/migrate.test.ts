/** Migrations on SQLite in memory; both databases run the real ones in the contract suite. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Kysely, sql } from 'kysely';
import { migrate, migrations } from './migrate.ts';
import type { Migration } from './migrations/migration.ts';
import { nodeSqliteDialect } from './sqlite/nodeSqliteDialect.ts';
import type { Tables } from './tables.ts';

function memory(): Kysely<Tables> {
  const database = new DatabaseSync(':memory:');
  return new Kysely({ dialect: nodeSqliteDialect({ database, begin: 'immediate' }) });
}

const tables = async (db: Kysely<Tables>): Promise<string[]> => {
  const query = sql<{ name: string }>`select name from sqlite_master where type = 'table'`;
  return (await query.execute(db)).rows.map(({ name }) => name).toSorted();
};

const creates = (version: number, table: string): Migration => ({
  version,
  name: table,
  up: async ({ createTable, integer }) =>
    createTable(table)
      .addColumn('id', integer, (column) => column.primaryKey())
      .execute(),
});

void test('versions have a gap or stand in the wrong order', () => {
  assert.deepEqual(
    migrations.map(({ version }) => version),
    migrations.map((_each, at) => at + 1),
  );
});

void test('a migration that fails leaves the ones before it (M2)', async () => {
  const db = memory();
  const fails: Migration = {
    version: 2,
    name: 'fails',
    up: () => Promise.reject(new Error('half-way')),
  };
  await assert.rejects(migrate(db, 'sqlite', [creates(1, 'a'), fails]), /half-way/);
  assert.deepEqual(await tables(db), []);
  assert.deepEqual(await migrate(db, 'sqlite', [creates(1, 'a')]), [1]);
  await db.destroy();
});

void test('a migration runs twice', async () => {
  const db = memory();
  assert.deepEqual(await migrate(db, 'sqlite', [creates(1, 'a')]), [1]);
  assert.deepEqual(await migrate(db, 'sqlite', [creates(1, 'a')]), []);
  const known = [creates(1, 'a'), creates(2, 'b'), creates(3, 'c')];
  assert.deepEqual(await migrate(db, 'sqlite', known), [2, 3]);
  assert.deepEqual(await tables(db), ['a', 'b', 'c', 'migrations']);
  await db.destroy();
});

void test('a deleted project leaves rows that hold it back', async () => {
  const db = memory();
  await migrate(db, 'sqlite');
  // What `deleteProject` deletes by name, or refuses to run for (endpoints).
  const handled = new Set(['endpoints', 'models', 'agents', 'api_keys', 'join_keys']);
  const holding: string[] = [];
  for (const table of await tables(db)) {
    const query = sql<{ table: string; from: string; on_delete: string }>`
      select "table", "from", on_delete from pragma_foreign_key_list(${table})`;
    for (const key of (await query.execute(db)).rows) {
      const goes = key.on_delete === 'CASCADE' || key.on_delete === 'SET NULL';
      const inProject = key.table === 'projects' || handled.has(key.table);
      if (inProject && !goes && !handled.has(table)) holding.push(`${table}.${key.from}`);
    }
  }
  assert.deepEqual(holding, []);
  await db.destroy();
});

void test('a database of a newer program is touched (M3)', async () => {
  const db = memory();
  await migrate(db, 'sqlite', [creates(1, 'a'), creates(2, 'b')]);
  await assert.rejects(migrate(db, 'sqlite', [creates(1, 'a')]), {
    name: 'StoreError',
    kind: 'too_new',
  });
  assert.deepEqual(await tables(db), ['a', 'b', 'migrations']);
  await db.destroy();
});

void test('a migration leaves references that lead nowhere', async () => {
  const db = memory();
  const dangling: Migration = {
    version: 1,
    name: 'dangling',
    async up({ db: schema }) {
      await sql`create table parent (id integer primary key)`.execute(schema);
      await sql`create table child (parent_id integer references parent (id))`.execute(schema);
      await sql`insert into child values (1)`.execute(schema);
    },
  };
  await assert.rejects(migrate(db, 'sqlite', [dangling]), /dangling references/);
  assert.deepEqual(await tables(db), []);
  // References bind again after it.
  await migrate(db, 'sqlite');
  await assert.rejects(
    sql`insert into sessions values ('a', 'nobody', 1, 2, 'password')`.execute(db),
  );
  await db.destroy();
});
