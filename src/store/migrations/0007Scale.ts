/** Indexes for what is asked of very many rows and is true of few. */
import { sql } from 'kysely';
import type { Migration } from './migration.ts';

export const scale: Migration = {
  version: 7,
  name: 'scale',
  async up({ db }) {
    // A project counts the keys that live; those that it has revoked gather over the years.
    await sql`create index api_keys_living on api_keys (project_id) where revoked = 0`.execute(db);
    // The sweep looks each minute for agents that enrolled and never came.
    await sql`create index agents_pending on agents (state_since_ms)
      where state = 'enrolled' and first_linked_at_ms is null`.execute(db);
    // Requests that failed are looked for among very many that did not.
    await sql`create index usage_hours_failed on usage_hours (project_id, hour_ms)
      where requests > succeeded`.execute(db);
    // A part of a name is looked for in the index: the rows themselves, with the facts of each
    // machine, are read of those that have it.
    await sql`drop index agents_living_by_age`.execute(db);
    await sql`create index agents_living_by_age on agents (project_id, created_at_ms, id, name)
      where state <> 'dead'`.execute(db);
    // One key, or one agent, among hundreds that are used every hour.
    for (const column of ['api_key_id', 'agent_id']) {
      await db.schema
        .createIndex(`usage_hours_by_${column}`)
        .on('usage_hours')
        .columns(['project_id', column, 'hour_ms'])
        .execute();
    }
  },
};
