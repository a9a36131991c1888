/** The audit log, and the keys under which a call may be repeated. */
import type { Migration, MigrationSchema } from './migration.ts';

export const frame: Migration = {
  version: 2,
  name: 'frame',
  async up(schema) {
    await createAuditEvents(schema);
    await createIdempotencyKeys(schema);
  },
};

/** No foreign keys: a note outlives what it is about. */
async function createAuditEvents({ db, dialect, createTable, integer }: MigrationSchema) {
  await createTable('audit_events')
    .addColumn('id', integer, (column) =>
      dialect === 'sqlite'
        ? column.primaryKey().autoIncrement()
        : column.primaryKey().generatedAlwaysAsIdentity(),
    )
    .addColumn('at_ms', integer, (column) => column.notNull())
    .addColumn('actor', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('target_kind', 'text', (column) => column.notNull())
    .addColumn('target_id', 'text', (column) => column.notNull())
    .addColumn('project_id', 'text')
    .addColumn('request_id', 'text')
    .addColumn('address', 'text')
    .addColumn('changes', 'text', (column) => column.notNull())
    .execute();
  for (const column of ['project_id', 'actor', 'target_id', 'action']) {
    await db.schema
      .createIndex(`audit_events_by_${column}`)
      .on('audit_events')
      .columns([column, 'id'])
      .execute();
  }
  await db.schema
    .createIndex('audit_events_by_time')
    .on('audit_events')
    .columns(['at_ms', 'id'])
    .execute();
}

async function createIdempotencyKeys({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('idempotency_keys')
    .addColumn('caller', 'text', (column) => column.notNull())
    .addColumn('key', 'text', (column) => column.notNull())
    .addColumn('claim_id', 'text', (column) => column.notNull())
    .addColumn('request_sha256', 'text', (column) => column.notNull())
    .addColumn('claimed_at_ms', integer, (column) => column.notNull())
    .addColumn('expires_at_ms', integer, (column) => column.notNull())
    .addColumn('changed', integer, (column) => column.notNull())
    .addColumn('status', integer)
    .addColumn('sealed_body', 'text')
    .addPrimaryKeyConstraint('idempotency_keys_pk', ['caller', 'key'])
    .execute();
  await db.schema
    .createIndex('idempotency_keys_by_expiry')
    .on('idempotency_keys')
    .column('expires_at_ms')
    .execute();
}
