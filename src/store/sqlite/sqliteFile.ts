/** Opening and checking database files. The workers' are opened here. */
import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sqliteBusyTimeoutMs, sqliteJournalSizeBytes, sqliteWholeCheckBytes } from '../limits.ts';
import { StoreError } from '../storeError.ts';
import { describe } from './sqliteErrors.ts';

/**
 * Opens the file for the one writer, makes it when it is missing (0600, in a directory made 0700),
 * and checks that it is sound: all of it, or of a large one what a start depends on. Throws
 * `StoreError` and what `toStoreError` makes one of.
 */
export function openForWriting(
  file: string,
  { wholeCheckBytes = sqliteWholeCheckBytes }: { wholeCheckBytes?: number } = {},
): DatabaseSync {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  // SQLite gives its own two files beside this one the mode that this one has.
  closeSync(openSync(file, 'a', 0o600));
  const database = new DatabaseSync(file, { timeout: sqliteBusyTimeoutMs });
  try {
    requireSound(database, { file, isWhole: statSync(file).size <= wholeCheckBytes });
    requireWal(database, file);
    database.exec(`
      pragma synchronous = full;
      pragma journal_size_limit = ${sqliteJournalSizeBytes};
    `);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens the file, which a writer has opened before, for reading only. */
export function openForReading(file: string): DatabaseSync {
  return new DatabaseSync(file, { timeout: sqliteBusyTimeoutMs, readOnly: true });
}

/** Makes the file, which must not be there, before SQLite does: 0600 from its first byte. */
export function createEmpty(file: string): void {
  closeSync(openSync(file, 'wx', 0o600));
}

/** Brings a file, or the names in a directory, to disk. Returns its size in bytes. */
export function syncFile(file: string): number {
  const handle = openSync(file, 'r');
  try {
    fsyncSync(handle);
    return fstatSync(handle).size;
  } finally {
    closeSync(handle);
  }
}

/** Which version of our schema a database has. Throws a `StoreError` when it has none. */
export function schemaVersionOf(database: DatabaseSync, file: string): number {
  const ours = database
    .prepare("select count(*) as tables from sqlite_master where name in ('migrations', 'agents')")
    .get();
  if (ours?.['tables'] !== 2) {
    throw new StoreError('corrupt', `${path.basename(file)} is no database of this program`);
  }
  const row = database.prepare('select max(version) as version from migrations').get();
  return Number(row?.['version'] ?? 0);
}

/** Checks every page, every index and every reference. */
export function requireWhole(database: DatabaseSync, file: string): void {
  const [row = {}] = database.prepare('pragma integrity_check(1)').all();
  const isWhole = Object.values(row)[0] === 'ok';
  const dangling = isWhole ? database.prepare('pragma foreign_key_check').all() : [];
  if (!isWhole || dangling.length > 0) {
    throw new StoreError('corrupt', describe('corrupt', file));
  }
}

/** Tables of what has happened: there is no end to them. */
const records = ['usage_records', 'usage_hours', 'agent_hours', 'agent_events', 'audit_events'];

/** Throws a `StoreError` when a page that was looked at is damaged. */
function requireSound(
  database: DatabaseSync,
  { file, isWhole }: { file: string; isWhole: boolean },
): void {
  const checks = isWhole ? ['quick_check(1)'] : tablesBut(records, database).map(checkOf);
  for (const check of checks) {
    const [row = {}] = database.prepare(`pragma ${check}`).all();
    const [verdict] = Object.values(row);
    if (verdict !== 'ok') throw new StoreError('corrupt', describe('corrupt', file));
  }
}

const checkOf = (table: string): string => `quick_check('${table}')`;

function tablesBut(left: readonly string[], database: DatabaseSync): string[] {
  const rows = database.prepare("select name from sqlite_master where type = 'table'").all();
  return rows.map(({ name }) => String(name)).filter((name) => !left.includes(name));
}

function requireWal(database: DatabaseSync, file: string): void {
  const row = database.prepare('pragma journal_mode = wal').get();
  const [mode] = Object.values(row ?? {});
  if (mode === 'wal') return;
  throw new StoreError(
    'not_writable',
    `${path.basename(file)} is on a file system without shared memory, which the database needs ` +
      `for its write-ahead log; put the data directory on a local disk`,
  );
}
