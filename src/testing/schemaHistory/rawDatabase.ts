/** A database past the store: what tests migrate step by step, fill, and look into. */
import { DatabaseSync } from 'node:sqlite';
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely';
import type { LogEvent } from 'kysely';
import { silentLogger } from '../../lib/log.ts';
import { createPostgresPool } from '../../store/postgres/postgresPool.ts';
import { nodeSqliteDialect } from '../../store/sqlite/nodeSqliteDialect.ts';
import type { Tables } from '../../store/tables.ts';
import type { Dialect } from '../../store/transaction.ts';
import type { AnyDatabase } from './fillTables.ts';

export interface RawDatabase {
  dialect: Dialect;
  db: Kysely<Tables>;
  /** The same, for tables that no type describes. */
  any: AnyDatabase;
  /** Runs a text of several statements. */
  script: (text: string) => Promise<void>;
  close: () => Promise<void>;
}

export interface RawOptions {
  /** As `openStore` takes it. */
  url: string;
  /** Hears of every statement once it has run. */
  log?: (event: LogEvent) => void;
}

export function openRaw({ url, log }: RawOptions): RawDatabase {
  const isPostgres = url.startsWith('postgres');
  return isPostgres ? overPostgres(url, log) : overSqlite(url.replace(/^sqlite:/, ''), log);
}

type Log = RawOptions['log'];

function overSqlite(file: string, log: Log): RawDatabase {
  const database = new DatabaseSync(file, { timeout: 5_000 });
  const dialect = nodeSqliteDialect({ database, begin: 'immediate' });
  const db = new Kysely<Tables>({ dialect, ...(log === undefined ? {} : { log }) });
  const script = (text: string): Promise<void> => {
    database.exec(text);
    return Promise.resolve();
  };
  return { dialect: 'sqlite', ...views(db), script };
}

function overPostgres(connectionString: string, log: Log): RawDatabase {
  const pool = createPostgresPool({ connectionString, log: silentLogger });
  const dialect = new PostgresDialect({ pool });
  const db = new Kysely<Tables>({ dialect, ...(log === undefined ? {} : { log }) });
  const script = async (text: string): Promise<void> => {
    await db.executeQuery(CompiledQuery.raw(text));
  };
  return { dialect: 'postgres', ...views(db), script };
}

function views(db: Kysely<Tables>): Pick<RawDatabase, 'db' | 'any' | 'close'> {
  return { db, any: db as unknown as AnyDatabase, close: () => db.destroy() };
}
