/** Which errors of SQLite and of the file system are the database's fault, and what to do then. */
import path from 'node:path';
import { StoreError } from '../storeError.ts';
import type { StoreErrorKind } from '../storeError.ts';

/** Primary result codes of SQLite (the low byte of an extended one). */
const kindByResultCode: ReadonlyMap<number, StoreErrorKind> = new Map([
  [3, 'not_writable'], // PERM
  [5, 'unavailable'], // BUSY
  [6, 'unavailable'], // LOCKED
  [7, 'unavailable'], // NOMEM
  [8, 'not_writable'], // READONLY
  [10, 'unavailable'], // IOERR
  [11, 'corrupt'], // CORRUPT
  [13, 'disk_full'], // FULL
  [14, 'not_writable'], // CANTOPEN
  [15, 'unavailable'], // PROTOCOL: others kept the lock
  [26, 'corrupt'], // NOTADB
]);

/** SQLITE_IOERR_SHMSIZE: the file beside the database that its processes share cannot grow. */
const sharedMemorySizeCode = 4874;

const kindByFileError: ReadonlyMap<string, StoreErrorKind> = new Map([
  ['EACCES', 'not_writable'],
  ['EEXIST', 'not_writable'],
  ['EISDIR', 'not_writable'],
  ['ENOENT', 'not_writable'],
  ['ENOTDIR', 'not_writable'],
  ['EPERM', 'not_writable'],
  ['EROFS', 'not_writable'],
  ['EDQUOT', 'disk_full'],
  ['ENOSPC', 'disk_full'],
  ['EIO', 'unavailable'],
  ['EMFILE', 'unavailable'],
  ['ENFILE', 'unavailable'],
]);

/** What an operator reads; the name of the file and not its path. */
export function describe(kind: StoreErrorKind, file: string): string {
  const name = path.basename(file);
  const words: Record<StoreErrorKind, string> = {
    corrupt: `database file corrupt: ${name}; restore a backup or move it away`,
    not_writable: `database file not writable: ${name}; check the data directory and its owner`,
    disk_full: `disk full: ${name} cannot grow; make room, then go on`,
    too_new: `database file written by a newer version: ${name}`,
    unavailable: `database file busy or unreadable: ${name}; is another process using it?`,
  };
  return words[kind];
}

/** The `StoreError` that an error amounts to; any other error is returned as it is: a bug. */
export function toStoreError(error: unknown, file: string): unknown {
  if (error instanceof StoreError) return error;
  const kind = kindOf(error);
  return kind === undefined ? error : new StoreError(kind, describe(kind, file), { cause: error });
}

function kindOf(error: unknown): StoreErrorKind | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number') {
    if (errcode === sharedMemorySizeCode) return 'disk_full';
    return kindByResultCode.get(errcode & 0xff);
  }
  return typeof code === 'string' ? kindByFileError.get(code) : undefined;
}
