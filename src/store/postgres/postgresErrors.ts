/** Which errors of PostgreSQL and of its driver are the database's fault. */
import { DatabaseError } from 'pg';
import { StoreError } from '../storeError.ts';
import type { StoreErrorKind } from '../storeError.ts';

/** Whole SQLSTATE codes, then classes (their first two characters). */
const kindBySqlState: ReadonlyMap<string, StoreErrorKind> = new Map([
  ['25006', 'not_writable'], // read-only transaction: a standby
  ['42501', 'not_writable'], // insufficient privilege
  ['53100', 'disk_full'],
  ['55P03', 'unavailable'], // lock not available
  ['XX001', 'corrupt'],
  ['XX002', 'corrupt'],
  ['08', 'unavailable'], // connection
  ['28', 'unavailable'], // authorisation
  ['3D', 'unavailable'], // no such database
  ['40', 'unavailable'], // broken off for another one, after the last attempt
  ['53', 'unavailable'], // out of connections or memory
  ['57', 'unavailable'], // shut down, or a statement took too long
  ['58', 'unavailable'], // system error, I/O
]);

const advice: Record<StoreErrorKind, string> = {
  corrupt: 'PostgreSQL reports corrupt data; restore a backup',
  not_writable: 'PostgreSQL refuses writes; check the role’s rights and that it is no standby',
  disk_full: 'PostgreSQL’s disk is full; make room, then go on',
  too_new: 'the database was written by a newer version',
  unavailable: 'PostgreSQL cannot be used now; check that it runs and the connection string',
};

/** The `StoreError` that an error amounts to; any other error is returned as it is: a bug. */
export function toStoreError(error: unknown): unknown {
  const sqlState = sqlStateOf(error);
  if (sqlState === undefined) return error;
  const kind = kindBySqlState.get(sqlState) ?? kindBySqlState.get(sqlState.slice(0, 2));
  if (kind === undefined) return error;
  return new StoreError(kind, `${advice[kind]} (SQLSTATE ${sqlState})`, { cause: error });
}

/** What the driver rejects with when it has no answer of the server: the connection is at fault. */
export function toConnectionError(error: unknown): unknown {
  // A type error is a bug of ours, in what we asked the driver to send.
  if (error instanceof DatabaseError || error instanceof TypeError) return toStoreError(error);
  return new StoreError('unavailable', advice.unavailable, { cause: error });
}

/** Whether the transaction lost against another one and may win when it is run again. */
export function isWorthRepeating(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  // Serialisation failure, deadlock.
  return sqlState === '40001' || sqlState === '40P01';
}

function sqlStateOf(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined;
}
