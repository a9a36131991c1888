/** What a migration is, and the words in which migrations describe tables for both dialects. */
import type { ColumnDataType, CreateTableBuilder, Kysely } from 'kysely';
import { sql } from 'kysely';
import type { Dialect } from '../transaction.ts';

/**
 * One step forward. Once released it never changes: a mistake is mended by the next one. It does
 * not import `tables.ts`, which says how things are today and not how they were.
 */
export interface Migration {
  /** 1, 2, 3 … without gaps. */
  version: number;
  name: string;
  up: (schema: MigrationSchema) => Promise<void>;
}

/** What a migration works with. */
export interface MigrationSchema {
  db: Kysely<unknown>;
  dialect: Dialect;
  /** The type of a 64-bit integer. */
  integer: ColumnDataType;
  /** The type of a 64-bit floating-point number. */
  real: ColumnDataType;
  /** A new table, strict about its types on SQLite as PostgreSQL always is. */
  createTable: <Name extends string>(name: Name) => CreateTableBuilder<Name>;
}

export function migrationSchema(db: Kysely<unknown>, dialect: Dialect): MigrationSchema {
  return {
    db,
    dialect,
    integer: dialect === 'sqlite' ? 'integer' : 'bigint',
    real: dialect === 'sqlite' ? 'real' : 'double precision',
    createTable(name) {
      const table = db.schema.createTable(name);
      return dialect === 'sqlite' ? table.modifyEnd(sql`strict`) : table;
    },
  };
}
