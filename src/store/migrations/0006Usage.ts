/** What requests cost, usage by the hour, for how long private agents were linked, and budgets. */
import { sql } from 'kysely';
import type { Migration, MigrationSchema } from './migration.ts';

export const usage: Migration = {
  version: 6,
  name: 'usage',
  async up(schema) {
    await addCosts(schema);
    await createHours(schema);
    await fillHours(schema);
    await createAgentHours(schema);
    await createBudgets(schema);
  },
};

/** Earlier requests had no price. Whether a shared agent served is known while that one is. */
async function addCosts({ db, integer }: MigrationSchema): Promise<void> {
  for (const column of ['shared', 'cost_micros']) {
    await db.schema
      .alterTable('usage_records')
      .addColumn(column, integer, (one) => one.notNull().defaultTo(0))
      .execute();
  }
  await sql`update usage_records set shared = 1
    where agent_id in (select id from agents where project_id is null)`.execute(db);
}

async function createHours({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('usage_hours')
    .addColumn('project_id', 'text', (column) => column.notNull())
    .addColumn('hour_ms', integer, (column) => column.notNull())
    .addColumn('endpoint_id', 'text', (column) => column.notNull())
    .addColumn('model_id', 'text', (column) => column.notNull())
    .addColumn('api_key_id', 'text', (column) => column.notNull())
    .addColumn('agent_id', 'text', (column) => column.notNull())
    .addColumn('tier', 'text', (column) => column.notNull())
    .addColumn('endpoint_slug', 'text', (column) => column.notNull())
    .addColumn('requests', integer, (column) => column.notNull())
    .addColumn('succeeded', integer, (column) => column.notNull())
    .addColumn('input_tokens', integer, (column) => column.notNull())
    .addColumn('cached_tokens', integer, (column) => column.notNull())
    .addColumn('output_tokens', integer, (column) => column.notNull())
    .addColumn('cost_micros', integer, (column) => column.notNull())
    .addPrimaryKeyConstraint('usage_hours_by_key', [
      'project_id',
      'hour_ms',
      'endpoint_id',
      'model_id',
      'api_key_id',
      'agent_id',
      'tier',
    ])
    .execute();
  // Days of keys, and months of everybody, are summed once, when a server starts.
  await db.schema.createIndex('usage_hours_by_hour').on('usage_hours').column('hour_ms').execute();
}

async function fillHours({ db }: MigrationSchema): Promise<void> {
  const hour = sql`started_at_ms - started_at_ms % 3600000`;
  const agent = sql`case when shared = 1 then 'shared' else coalesce(agent_id, '') end`;
  await sql`insert into usage_hours (project_id, hour_ms, endpoint_id, model_id, api_key_id,
      agent_id, tier, endpoint_slug, requests, succeeded, input_tokens, cached_tokens,
      output_tokens, cost_micros)
    select project_id, ${hour}, endpoint_id, model_id, api_key_id, ${agent}, tier,
      max(endpoint_slug), count(*), sum(case when outcome = 'completed' then 1 else 0 end),
      coalesce(sum(input_tokens), 0), coalesce(sum(cached_tokens), 0),
      coalesce(sum(output_tokens), 0), 0
    from usage_records
    group by project_id, ${hour}, endpoint_id, model_id, api_key_id, ${agent}, tier`.execute(db);
}

async function createAgentHours({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('agent_hours')
    .addColumn('agent_id', 'text', (column) => column.notNull())
    .addColumn('hour_ms', integer, (column) => column.notNull())
    .addColumn('project_id', 'text', (column) => column.notNull())
    .addColumn('up_ms', integer, (column) => column.notNull())
    .addColumn('counted_from_ms', integer, (column) => column.notNull())
    .addColumn('counted_to_ms', integer, (column) => column.notNull())
    .addColumn('price_micros', integer, (column) => column.notNull())
    .addPrimaryKeyConstraint('agent_hours_by_agent', ['agent_id', 'hour_ms'])
    .execute();
  await db.schema
    .createIndex('agent_hours_by_project')
    .on('agent_hours')
    .columns(['project_id', 'hour_ms'])
    .execute();
}

/** A budget's id is that of its project or key; an empty `api_key_id`: of the whole project. */
async function createBudgets({ db, createTable, integer }: MigrationSchema): Promise<void> {
  await createTable('budgets')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('project_id', 'text', (column) =>
      column.notNull().references('projects.id').onDelete('cascade'),
    )
    .addColumn('api_key_id', 'text', (column) => column.notNull())
    .addColumn('amount_micros', integer, (column) => column.notNull())
    .addColumn('hard_stop', integer, (column) => column.notNull())
    .addColumn('version', integer, (column) => column.notNull())
    .addColumn('updated_at_ms', integer, (column) => column.notNull())
    .execute();
  await db.schema
    .createIndex('budgets_by_project')
    .on('budgets')
    .columns(['project_id', 'api_key_id'])
    .unique()
    .execute();
  await createTable('budget_marks')
    .addColumn('budget_id', 'text', (column) =>
      column.notNull().references('budgets.id').onDelete('cascade'),
    )
    .addColumn('month_ms', integer, (column) => column.notNull())
    .addColumn('mark', integer, (column) => column.notNull())
    .addColumn('at_ms', integer, (column) => column.notNull())
    .addPrimaryKeyConstraint('budget_marks_by_budget', ['budget_id', 'month_ms', 'mark'])
    .execute();
}
