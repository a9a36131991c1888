/**
 * The tables as Kysely sees them, the same on SQLite and PostgreSQL.
 *
 * T1 Times are epoch ms and sizes are bytes, both in 64-bit integers that stay below 2⁵³.
 * T2 Truth is 0 or 1, because SQLite has nothing else.
 * T3 A list is JSON in a text column: nothing selects by what is inside, but for the few agents
 *    that are bound (`agents/bindings.ts`).
 */
import type { Selectable } from 'kysely';
import type { AgentTables } from './tables/agentTables.ts';
import type { CatalogueTables } from './tables/catalogueTables.ts';
import type { FrameTables } from './tables/frameTables.ts';
import type { PeopleTables } from './tables/peopleTables.ts';
import type { ProjectTables } from './tables/projectTables.ts';
import type { UsageTables } from './tables/usageTables.ts';

export interface Tables
  extends PeopleTables, ProjectTables, CatalogueTables, AgentTables, UsageTables, FrameTables {}

/** A row as it is read from a table. */
export type Row<Name extends keyof Tables> = Selectable<Tables[Name]>;
