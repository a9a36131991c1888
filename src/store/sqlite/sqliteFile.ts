/** Opening the database file, for writing and for reading. Runs inside the workers. */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sqliteBusyTimeoutMs, sqliteJournalSizeBytes } from '../limits.ts';
import { StoreError } from '../storeError.ts';
import { describe } from './sqliteErrors.ts';

/**
 * Opens the file for the one writer, makes it when it is missing (0600, in a directory made 0700),
 * and checks that it is sound. Throws `StoreError` and what `toStoreError` makes one of.
 */
export function openForWriting(file: string): DatabaseSync {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  // SQLite gives its own two files beside this one the mode that this one has.
  closeSync(openSync(file, 'a', 0o600));
  const database = new DatabaseSync(file, { timeout: sqliteBusyTimeoutMs });
  try {
    requireSound(database, file);
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

function requireSound(database: DatabaseSync, file: string): void {
  const rows = database.prepare('pragma quick_check(1)').all();
  const [verdict] = Object.values(rows[0] ?? {});
  if (verdict !== 'ok') throw new StoreError('corrupt', describe('corrupt', file));
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
