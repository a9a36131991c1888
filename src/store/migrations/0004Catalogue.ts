/**
 * Endpoints and models that people change: versions, the operator's approvals of digests, what is
 * said of tiers, the map of near regions, and the indexes that pages and measurements read by.
 */
import { sql } from 'kysely';
import type { Migration, MigrationSchema } from './migration.ts';

export const catalogue: Migration = {
  version: 4,
  name: 'catalogue',
  async up(schema) {
    await addVersions(schema);
    await createModelApprovals(schema);
    await createPlatformTexts(schema);
    await createIndexes(schema);
  },
};

async function addVersions({ db, integer }: MigrationSchema): Promise<void> {
  for (const table of ['endpoints', 'models']) {
    await db.schema
      .alterTable(table)
      .addColumn('version', integer, (column) => column.notNull().defaultTo(1))
      .execute();
    await db.schema
      .alterTable(table)
      .addColumn('updated_at_ms', integer, (column) => column.notNull().defaultTo(0))
      .execute();
    await sql`update ${sql.table(table)} set updated_at_ms = created_at_ms`.execute(db);
  }
}

async function createModelApprovals({ createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('model_approvals')
    .addColumn('sha256', 'text', (column) => column.primaryKey().notNull())
    .addColumn('note', 'text', (column) => column.notNull())
    .addColumn('approved_by', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .execute();
}

/** What the operator says of each tier, and the one map of near regions. */
async function createPlatformTexts({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('tier_features')
    .addColumn('tier', 'text', (column) => column.primaryKey().notNull())
    .addColumn('features', 'text', (column) => column.notNull())
    .addColumn('version', integer, (column) => column.notNull())
    .addColumn('updated_at_ms', integer, (column) => column.notNull())
    .execute();
  await createTable('region_maps')
    .addColumn('id', 'text', (column) =>
      column
        .primaryKey()
        .notNull()
        .check(sql`id = 'near'`),
    )
    .addColumn('near_groups', 'text', (column) => column.notNull())
    .addColumn('version', integer, (column) => column.notNull())
    .addColumn('updated_at_ms', integer, (column) => column.notNull())
    .execute();
  await sql`insert into region_maps (id, near_groups, version, updated_at_ms)
    values ('near', '[]', 1, 0)`.execute(db);
}

async function createIndexes({ db }: MigrationSchema): Promise<void> {
  for (const table of ['endpoints', 'models', 'join_keys']) {
    await db.schema
      .createIndex(`${table}_by_age`)
      .on(table)
      .columns(['project_id', 'created_at_ms', 'id'])
      .execute();
  }
  await db.schema.createIndex('models_by_sha256').on('models').column('sha256').execute();
  await db.schema
    .createIndex('usage_records_by_start')
    .on('usage_records')
    .column('started_at_ms')
    .execute();
  await db.schema
    .createIndex('join_keys_by_expiry')
    .on('join_keys')
    .column('expires_at_ms')
    .execute();
  // Bound agents are few, and an endpoint has to find its own among very many.
  await sql`create index agents_bound on agents (project_id)
    where bound_endpoint_ids is not null`.execute(db);
}
