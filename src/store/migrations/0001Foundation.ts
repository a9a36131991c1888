/**
 * The first tables: people, projects and what belongs to them, join keys and agents, usage,
 * settings, and the numbered changes that feed the directory.
 */
import { sql } from 'kysely';
import type { Migration, MigrationSchema } from './migration.ts';

export const foundation: Migration = {
  version: 1,
  name: 'foundation',
  async up(schema) {
    await createPeople(schema);
    await createProjects(schema);
    await createModelsAndEndpoints(schema);
    await createApiKeys(schema);
    await createJoinKeys(schema);
    await createAgents(schema);
    await createAgentEvents(schema);
    await createUsage(schema);
    await createChanges(schema);
  },
};

async function createPeople({ createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('users')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('email', 'text', (column) => column.notNull().unique())
    .addColumn('password_hash', 'text', (column) => column.notNull())
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('must_change_password', integer, (column) => column.notNull())
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .execute();
  await createTable('sessions')
    .addColumn('token_sha256', 'text', (column) => column.primaryKey().notNull())
    .addColumn('user_id', 'text', (column) =>
      column.notNull().references('users.id').onDelete('cascade'),
    )
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .addColumn('expires_at_ms', integer, (column) => column.notNull())
    .execute();
}

async function createProjects({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('projects')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('slug', 'text', (column) => column.notNull().unique())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('shared_access', integer, (column) => column.notNull())
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .execute();
  await createTable('settings')
    .addColumn('name', 'text', (column) => column.primaryKey().notNull())
    .addColumn('value', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createIndex('sessions_by_user')
    .on('sessions')
    .columns(['user_id', 'expires_at_ms'])
    .execute();
}

async function createModelsAndEndpoints(schema: MigrationSchema): Promise<void> {
  const { createTable, integer } = schema;
  await createTable('models')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('project_id', 'text', (column) => column.references('projects.id'))
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('source', 'text', (column) => column.notNull())
    .addColumn('format', 'text', (column) => column.notNull())
    .addColumn('task', 'text', (column) => column.notNull())
    .addColumn('size_bytes', integer)
    .addColumn('sha256', 'text')
    .addColumn('context_length', integer)
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .execute();
  await createTable('endpoints')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('project_id', 'text', (column) => column.notNull().references('projects.id'))
    .addColumn('slug', 'text', (column) => column.notNull())
    .addColumn('model_id', 'text', (column) => column.notNull().references('models.id'))
    .addColumn('tier', 'text', (column) => column.notNull())
    .addColumn('active', integer, (column) => column.notNull())
    .addColumn('fallback_enabled', integer, (column) => column.notNull())
    .addColumn('fallback_after_ms', integer, (column) => column.notNull())
    .addColumn('fallback_tier', 'text')
    .addColumn('region', 'text')
    .addColumn('exclusive', integer, (column) => column.notNull())
    .addColumn('minimum_isolation', 'text')
    .addColumn('resume', integer, (column) => column.notNull())
    .addColumn('queue_timeout_ms', integer, (column) => column.notNull())
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .addUniqueConstraint('endpoints_slug', ['project_id', 'slug'])
    .execute();
  await createForeignKeyIndex(schema, { table: 'models', column: 'project_id' });
  await createForeignKeyIndex(schema, { table: 'endpoints', column: 'model_id' });
}

async function createApiKeys(schema: MigrationSchema): Promise<void> {
  const { createTable, integer } = schema;
  await createTable('api_keys')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('project_id', 'text', (column) => column.notNull().references('projects.id'))
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('sha256', 'text', (column) => column.notNull().unique())
    .addColumn('last_four', 'text', (column) => column.notNull())
    .addColumn('scopes', 'text', (column) => column.notNull())
    .addColumn('endpoint_id', 'text', (column) => column.references('endpoints.id'))
    .addColumn('expires_at_ms', integer)
    .addColumn('ip_allow_list', 'text', (column) => column.notNull())
    .addColumn('revoked', integer, (column) => column.notNull())
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .execute();
  await createForeignKeyIndex(schema, { table: 'api_keys', column: 'project_id' });
  await createForeignKeyIndex(schema, { table: 'api_keys', column: 'endpoint_id' });
}

async function createJoinKeys(schema: MigrationSchema): Promise<void> {
  const { createTable, integer } = schema;
  await createTable('join_keys')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('project_id', 'text', (column) => column.references('projects.id'))
    .addColumn('secret_sha256', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('region', 'text', (column) => column.notNull())
    .addColumn('supported_tiers', 'text')
    .addColumn('storage_limit_bytes', integer)
    .addColumn('max_uses', integer, (column) => column.notNull())
    .addColumn('uses', integer, (column) => column.notNull())
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    .addColumn('expires_at_ms', integer, (column) => column.notNull())
    .addColumn('revoked_at_ms', integer)
    .addColumn('created_by', 'text', (column) => column.notNull())
    // C1 holds even against a mistake in our own code.
    .addCheckConstraint('join_keys_uses', sql`uses >= 0 and uses <= max_uses`)
    .execute();
  await createForeignKeyIndex(schema, { table: 'join_keys', column: 'project_id' });
}

async function createAgents(schema: MigrationSchema): Promise<void> {
  const { createTable, integer } = schema;
  await createTable('agents')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('worker_id', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('description', 'text', (column) => column.notNull())
    .addColumn('project_id', 'text', (column) => column.references('projects.id'))
    .addColumn('join_key_id', 'text', (column) => column.notNull())
    .addColumn('public_key', 'text', (column) => column.notNull())
    .addColumn('region', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('state_since_ms', integer, (column) => column.notNull())
    .addColumn('suspended_reason', 'text')
    .addColumn('generation', integer, (column) => column.notNull())
    .addColumn('token_hash', 'text', (column) => column.notNull())
    .addColumn('previous_token_hash', 'text')
    .addColumn('supported_tiers', 'text')
    .addColumn('effective_tiers', 'text', (column) => column.notNull())
    .addColumn('max_concurrent_requests', integer, (column) => column.notNull())
    .addColumn('bound_endpoint_ids', 'text')
    .addColumn('storage_limit_bytes', integer)
    .addColumn('facts', 'text', (column) => column.notNull())
    .addColumn('first_linked_at_ms', integer)
    .addColumn('last_seen_at_ms', integer)
    .addColumn('created_at_ms', integer, (column) => column.notNull())
    // One key pair with one join key is one agent: what makes a retry a retry.
    .addUniqueConstraint('agents_enrollment', ['join_key_id', 'public_key'])
    .execute();
  await createForeignKeyIndex(schema, { table: 'agents', column: 'project_id' });
  await sql`create unique index agents_living_name
    on agents (coalesce(project_id, ''), name) where state <> 'dead'`.execute(schema.db);
}

async function createAgentEvents({ db, dialect, createTable, integer }: MigrationSchema) {
  await createTable('agent_events')
    .addColumn('id', integer, (column) =>
      dialect === 'sqlite'
        ? column.primaryKey().autoIncrement()
        : column.primaryKey().generatedAlwaysAsIdentity(),
    )
    .addColumn('agent_id', 'text', (column) =>
      column.notNull().references('agents.id').onDelete('cascade'),
    )
    .addColumn('at_ms', integer, (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('actor', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createIndex('agent_events_by_agent')
    .on('agent_events')
    .columns(['agent_id', 'id'])
    .execute();
}

async function createUsage({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('usage_records')
    .addColumn('request_id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('project_id', 'text', (column) => column.notNull())
    .addColumn('endpoint_id', 'text', (column) => column.notNull())
    .addColumn('endpoint_slug', 'text', (column) => column.notNull())
    .addColumn('api_key_id', 'text', (column) => column.notNull())
    .addColumn('model_id', 'text', (column) => column.notNull())
    .addColumn('agent_id', 'text')
    .addColumn('tier', 'text', (column) => column.notNull())
    .addColumn('started_at_ms', integer, (column) => column.notNull())
    .addColumn('input_tokens', integer)
    .addColumn('cached_tokens', integer)
    .addColumn('output_tokens', integer)
    .addColumn('ttft_ms', integer)
    .addColumn('latency_ms', integer, (column) => column.notNull())
    .addColumn('queue_ms', integer, (column) => column.notNull())
    .addColumn('status', integer, (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('stream', integer, (column) => column.notNull())
    .addColumn('usage_clamped', integer, (column) => column.notNull())
    .execute();
  await db.schema
    .createIndex('usage_records_by_project')
    .on('usage_records')
    .columns(['project_id', 'started_at_ms', 'request_id'])
    .execute();
}

async function createChanges({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('changes')
    .addColumn('revision', integer, (column) => column.primaryKey().notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('entity_id', 'text', (column) => column.notNull())
    .execute();
  await createTable('change_head')
    .addColumn('id', integer, (column) =>
      column
        .primaryKey()
        .notNull()
        .check(sql`id = 1`),
    )
    .addColumn('revision', integer, (column) => column.notNull())
    .execute();
  await sql`insert into change_head (id, revision) values (1, 0)`.execute(db);
}

/** Neither database indexes a reference by itself; lists and deletions look rows up by it. */
async function createForeignKeyIndex(
  { db }: MigrationSchema,
  { table, column }: { table: string; column: string },
): Promise<void> {
  await db.schema.createIndex(`${table}_by_${column}`).on(table).column(column).execute();
}
