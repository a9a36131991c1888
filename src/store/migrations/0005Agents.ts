/**
 * Agents that people change: versions, how running requests are treated when an agent is stopped,
 * and the indexes that pages of long lists read by.
 */
import { sql } from 'kysely';
import type { Migration } from './migration.ts';

export const agents: Migration = {
  version: 5,
  name: 'agents',
  async up({ db, integer }) {
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
  },
};
