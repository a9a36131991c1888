/**
 * Brings a database to the tables that this program knows. Forward only.
 *
 * M1 One process migrates at a time: an advisory lock on PostgreSQL, an exclusive transaction on
 *    SQLite. Who waited finds the work done.
 * M2 All pending migrations commit together or not at all.
 * M3 A database that a newer program has migrated is refused untouched.
 */
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { advisoryLocks } from './advisoryLocks.ts';
import { foundation } from './migrations/0001Foundation.ts';
import { frame } from './migrations/0002Frame.ts';
import { people } from './migrations/0003People.ts';
import { catalogue } from './migrations/0004Catalogue.ts';
import { agents } from './migrations/0005Agents.ts';
import { usage } from './migrations/0006Usage.ts';
import { scale } from './migrations/0007Scale.ts';
import { migrationSchema } from './migrations/migration.ts';
import type { Migration } from './migrations/migration.ts';
import { StoreError } from './storeError.ts';
import type { Tables } from './tables.ts';
import type { Dialect } from './transaction.ts';

/** In order of version. */
export const migrations: readonly Migration[] = [
  foundation,
  frame,
  people,
  catalogue,
  agents,
  usage,
  scale,
];

/**
 * Runs what is missing and returns the versions that it ran. Throws `StoreError` of kind `too_new`
 * (M3) and whatever the database throws.
 */
export async function migrate(
  db: Kysely<Tables>,
  dialect: Dialect,
  known: readonly Migration[] = migrations,
): Promise<number[]> {
  return db.connection().execute(async (connection) => {
    await begin(connection, dialect);
    try {
      const applied = await applyPending(connection, { dialect, known });
      await checkForeignKeys(connection, dialect);
      await sql`commit`.execute(connection);
      return applied;
    } catch (error) {
      // The first error is the one to tell; a connection that is gone has rolled back by itself.
      await sql`rollback`.execute(connection).catch(() => undefined);
      throw error;
    } finally {
      if (dialect === 'sqlite') await sql`pragma foreign_keys = on`.execute(connection);
    }
  });
}

/**
 * On SQLite references are off meanwhile, because a table is altered there by building it anew, and
 * dropping the old one would delete what refers to it. The pragma must come before the
 * transaction.
 */
async function begin(connection: Kysely<Tables>, dialect: Dialect): Promise<void> {
  if (dialect === 'sqlite') {
    await sql`pragma foreign_keys = off`.execute(connection);
    await sql`begin exclusive`.execute(connection);
    return;
  }
  await sql`begin`.execute(connection);
  await sql`set local statement_timeout = 0`.execute(connection);
  await sql`select pg_advisory_xact_lock(${sql.lit(advisoryLocks.migrations)})`.execute(connection);
}

async function applyPending(
  connection: Kysely<Tables>,
  { dialect, known }: { dialect: Dialect; known: readonly Migration[] },
): Promise<number[]> {
  const schema = migrationSchema(connection as unknown as Kysely<unknown>, dialect);
  await schema
    .createTable('migrations')
    .ifNotExists()
    .addColumn('version', schema.integer, (column) => column.primaryKey().notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('applied_at', 'text', (column) => column.notNull())
    .execute();
  const present = await presentVersion(connection);
  const newest = known.at(-1)?.version ?? 0;
  if (present > newest) {
    throw new StoreError(
      'too_new',
      `the database was written by a newer version (schema ${present}; this one knows up to ` +
        `${newest}): start the newer version, or restore a backup from before the upgrade`,
    );
  }
  const pending = known.filter(({ version }) => version > present);
  for (const { version, name, up } of pending) {
    await up(schema);
    await connection
      .insertInto('migrations')
      .values({ version, name, applied_at: sql<string>`cast(current_timestamp as text)` })
      .execute();
  }
  return pending.map(({ version }) => version);
}

async function presentVersion(connection: Kysely<Tables>): Promise<number> {
  const row = await connection
    .selectFrom('migrations')
    .select((expression) => expression.fn.max('version').as('version'))
    .executeTakeFirst();
  return row?.version ?? 0;
}

async function checkForeignKeys(connection: Kysely<Tables>, dialect: Dialect): Promise<void> {
  if (dialect === 'postgres') return;
  const { rows } = await sql`pragma foreign_key_check`.execute(connection);
  if (rows.length > 0) throw new Error(`a migration left ${rows.length} dangling references`);
}
