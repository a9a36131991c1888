/**
 * A copy of the embedded database, made while a server writes to it, in a process of its own.
 *
 * B1 The copy is the database of one moment: one read transaction lasts from its first page to its
 *    last, so that what is committed meanwhile neither gets in nor makes the copying begin anew.
 * B2 Nobody waits for it: a reader of a write-ahead log blocks no writer. Only the log grows until
 *    the copy is done, by what is written meanwhile.
 * B3 Under its name the copy is whole, checked, on disk and 0600; or it is not there.
 */
import { existsSync, linkSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { sqliteBackupPagesPerStep, sqliteBusyTimeoutMs } from '../limits.ts';
import { StoreError } from '../storeError.ts';
import { describe, toStoreError } from './sqliteErrors.ts';
import { createEmpty, requireWhole, schemaVersionOf, syncFile } from './sqliteFile.ts';

export interface CopyProgress {
  doneBytes: number;
  totalBytes: number;
}

export type BackupOutcome =
  | { ok: true; bytes: number; schemaVersion: number }
  | { ok: false; reason: 'no_database' | 'exists' };

/** Rejects with a `StoreError` when one of the two files is at fault; nothing is left then. */
export async function backupSqlite(options: {
  /** The database file of the server. */
  database: string;
  /** Where the copy goes. */
  file: string;
  /** Whether it may take the place of a file that is there. */
  replace: boolean;
  onProgress: (progress: CopyProgress) => void;
}): Promise<BackupOutcome> {
  const { database, file, replace, onProgress } = options;
  if (!existsSync(database)) return { ok: false, reason: 'no_database' };
  if (!replace && existsSync(file)) return { ok: false, reason: 'exists' };
  const temporary = `${file}.${process.pid}.tmp`;
  // Of a process that was killed and had the same number.
  removeDatabase(temporary);
  try {
    const schemaVersion = await copyDatabase({ from: database, to: temporary, onProgress });
    const bytes = checkCopy(temporary);
    const named = giveName({ temporary, file, replace });
    return named ? { ok: true, bytes, schemaVersion } : { ok: false, reason: 'exists' };
  } finally {
    removeDatabase(temporary);
  }
}

/** The file and what SQLite keeps beside it. */
export function removeDatabase(file: string): void {
  for (const rest of ['', '-journal', '-wal', '-shm']) rmSync(`${file}${rest}`, { force: true });
}

/** B1, B2. Makes `to`, 0600; says of which schema version the database is. */
export async function copyDatabase(options: {
  from: string;
  to: string;
  onProgress: (progress: CopyProgress) => void;
}): Promise<number> {
  const { from, to, onProgress } = options;
  let source: DatabaseSync | undefined;
  try {
    source = new DatabaseSync(from, { readOnly: true, timeout: sqliteBusyTimeoutMs });
    source.exec('begin');
    // The snapshot begins with the first read.
    const version = schemaVersionOf(source, from);
    const { page_size: pageBytes } = source.prepare('pragma page_size').get() as {
      page_size: number;
    };
    await copyPages(source, { to, pageBytes, onProgress });
    return version;
  } catch (error) {
    throw toStoreError(error, from);
  } finally {
    source?.close();
  }
}

async function copyPages(
  source: DatabaseSync,
  options: { to: string; pageBytes: number; onProgress: (progress: CopyProgress) => void },
): Promise<void> {
  const { to, pageBytes, onProgress } = options;
  try {
    createEmpty(to);
    const pages = await backup(source, to, {
      rate: sqliteBackupPagesPerStep,
      progress: ({ totalPages, remainingPages }) =>
        onProgress({
          doneBytes: (totalPages - remainingPages) * pageBytes,
          totalBytes: totalPages * pageBytes,
        }),
    });
    onProgress({ doneBytes: pages * pageBytes, totalBytes: pages * pageBytes });
  } catch (error) {
    throw copyError(error, to);
  }
}

/** The driver's copying says in words alone what SQLite said of the new file. */
function copyError(error: unknown, to: string): unknown {
  const known = toStoreError(error, to);
  if (known instanceof StoreError || !(error instanceof Error)) return known;
  const { code } = error as { code?: unknown };
  if (code !== 'ERR_SQLITE_ERROR') return error;
  return new StoreError('unavailable', `${describe('unavailable', to)} (${error.message})`, {
    cause: error,
  });
}

/** Makes one plain file of the copy, checks its every page, and brings it to disk. */
function checkCopy(file: string): number {
  try {
    const copy = new DatabaseSync(file);
    try {
      // Without a log beside it the file can be kept, and read, anywhere.
      copy.exec('pragma journal_mode = delete');
      requireWhole(copy, file);
    } finally {
      copy.close();
    }
    return syncFile(file);
  } catch (error) {
    throw toStoreError(error, file);
  }
}

/** B3. False: somebody else was quicker with a file of this name. */
function giveName(options: { temporary: string; file: string; replace: boolean }): boolean {
  const { temporary, file, replace } = options;
  try {
    if (replace) renameSync(temporary, file);
    else linkOrRename(temporary, file);
    syncFile(path.dirname(file));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && !replace) return false;
    throw toStoreError(error, file);
  }
}

/** Fails with EEXIST where the name is taken, as far as the file system can tell. */
export function linkOrRename(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Some file systems have no hard links.
    if (!['EPERM', 'ENOTSUP', 'ENOSYS'].includes(code ?? '')) throw error;
    if (existsSync(to)) throw Object.assign(new Error(`${to} is there`), { code: 'EEXIST' });
    renameSync(from, to);
  }
}
