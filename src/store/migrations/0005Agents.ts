/**
 * Agents that people change: versions, how running requests are treated when an agent is stopped,
 * the indexes that pages of long lists read by; and samples of their health.
 */
import { sql } from 'kysely';
import type { Migration, MigrationSchema } from './migration.ts';

export const agents: Migration = {
  version: 5,
  name: 'agents',
  async up(schema) {
    await extendAgents(schema);
    await createHealth(schema);
  },
};

async function extendAgents({ db, integer }: MigrationSchema): Promise<void> {
  await db.schema
    .alterTable('agents')
    .addColumn('version', integer, (column) => column.notNull().defaultTo(1))
    .execute();
  await db.schema
    .alterTable('agents')
    .addColumn('stop_mode', 'text', (column) => column.notNull().defaultTo('cut'))
    .execute();
  // The dead are listed behind the living, and there may be many of either.
  await sql`create index agents_living_by_age on agents (project_id, created_at_ms, id)
    where state <> 'dead'`.execute(db);
  await sql`create index agents_dead_by_age on agents (project_id, created_at_ms, id)
    where state = 'dead'`.execute(db);
}

const measures = [
  'in_flight',
  'slots',
  'waiting',
  'tokens_per_second',
  'prompt_tokens_per_second',
  'kv_cache_use',
  'accelerator_use',
  'accelerator_memory_used_bytes',
  'accelerator_memory_total_bytes',
  'temperature_c',
  'disk_free_bytes',
  'disk_total_bytes',
  'memory_available_bytes',
  'memory_total_bytes',
];

/** No reference to agents: a sample of one that is gone ends with its day. */
async function createHealth({ db, dialect, createTable, integer, real }: MigrationSchema) {
  let table = createTable('agent_health')
    .addColumn('agent_id', 'text', (column) => column.notNull())
    .addColumn('at_ms', integer, (column) => column.notNull())
    .addPrimaryKeyConstraint('agent_health_by_agent', ['agent_id', 'at_ms']);
  for (const measure of measures) table = table.addColumn(measure, real);
  // There are millions of rows: on SQLite the key alone would otherwise be stored twice.
  if (dialect === 'sqlite') table = table.modifyEnd(sql`, without rowid`);
  await table.execute();
  await db.schema.createIndex('agent_health_by_time').on('agent_health').column('at_ms').execute();
}
