/**
 * Locks of PostgreSQL that stand for no row, held until the end of the transaction. SQLite has one
 * writer at a time and needs none.
 *
 * X2 goes on: these come before any lock of a row.
 */
import { sql } from 'kysely';
import type { Tx } from './transaction.ts';

/** Any numbers will do, as long as they are the same in every version of the program. */
export const advisoryLocks = {
  migrations: 7_849_203_611,
  /** Bindings between endpoints and agents. */
  bindings: 7_849_203_612,
  /** What belongs to the platform and is bounded in number. */
  platform: 7_849_203_613,
  /** Which projects shared agents may serve. */
  sharing: 7_849_203_614,
} as const;

/** Waits for the lock. */
export async function takeAdvisoryLock(
  { db, dialect }: Pick<Tx, 'db' | 'dialect'>,
  lock: keyof typeof advisoryLocks,
): Promise<void> {
  if (dialect === 'sqlite') return;
  await sql`select pg_advisory_xact_lock(${sql.lit(advisoryLocks[lock])})`.execute(db);
}
