/**
 * One transaction as queries see it: written once, run on both dialects.
 *
 * X1 A method of the store is one call of `run` with one of these; it commits whole or not at all.
 * X2 Locks are taken in one order, rows of things first and `change_head` last, so that two
 *    transactions on PostgreSQL cannot wait for each other.
 */
import type { SelectQueryBuilder, Transaction } from 'kysely';
import type { AuditChanges } from './contract/auditStore.ts';
import type { Tables } from './tables.ts';

export type Dialect = 'sqlite' | 'postgres';

export interface Tx {
  db: Transaction<Tables>;
  dialect: Dialect;
  /** Set by `appendChanges`: listeners are told after the commit. */
  changed: boolean;
  /** Fields that the audit note of a change tells, as `noteChanges` found them. */
  noted: Record<string, AuditChanges[string]>;
  /** Set by `noteNothing`: a change that came twice has no second note. */
  unchanged: boolean;
}

/**
 * Locks the selected rows until the end of the transaction. SQLite has one writer at a time, whose
 * transaction holds the whole file from its first statement, and knows no row locks.
 */
export function forUpdate<Query extends SelectQueryBuilder<Tables, keyof Tables, unknown>>(
  tx: Tx,
  query: Query,
): Query {
  return tx.dialect === 'postgres' ? (query.forUpdate() as Query) : query;
}
