/**
 * The data directory: everything that a server keeps, in one place.
 *
 * ```
 * credentials.json   keys and addresses for the CLI (0600)
 * secrets.key        the key that seals what the database keeps (control/keyFile.ts)
 * xim.db             the embedded database
 * journal/           requests that are not in the database yet (router)
 * tls/               the server's own certificate
 * agent/             state of the shared agent on this machine
 * models/            its model files
 * lock               held by the one server that uses the directory
 * ```
 *
 * Invariants
 * D1 The directory is 0700 when we make it, and closed to others when we find it open.
 * D2 One server at a time. The lock is the operating system's, on an open file: a server that was
 *    killed holds nothing.
 */
import { accessSync, chmodSync, constants, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StartupError } from './startupError.ts';

export interface DataDirectory {
  path: string;
  file(...names: string[]): string;
  /** Gives the lock back. Idempotent. */
  release(): void;
}

/** Makes or opens the directory and locks it. Throws a `StartupError` with a sentence. */
export function openDataDirectory(where: string): DataDirectory {
  const directory = path.resolve(where);
  prepare(directory);
  const release = lock(directory);
  return { path: directory, file: (...names) => path.join(directory, ...names), release };
}

function prepare(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // D1. Another's directory cannot be closed, and `access` then says whether it can be used.
    const { mode, uid } = statSync(directory);
    if ((mode & 0o077) !== 0 && uid === process.getuid?.()) chmodSync(directory, mode & 0o700);
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StartupError('data_directory', unusable(directory, error));
  }
}

function unusable(directory: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    EACCES: 'this user may not write there',
    EPERM: 'this user may not write there',
    EROFS: 'the file system is read-only',
    ENOTDIR: 'a part of the path is a file',
    EEXIST: 'it is a file',
    ENOSPC: 'the disk is full',
  };
  const why = (code === undefined ? undefined : reasons[code]) ?? code ?? message;
  return (
    `The data directory ${directory} cannot be used: ${why}. ` +
    'Choose another with --data-dir DIR, or let this user write there.'
  );
}

/**
 * D2: SQLite's exclusive lock (POSIX record locks) on a database of its own without content. It
 * ends with the process, is seen by other containers on the same volume, and needs no native code.
 */
function lock(directory: string): () => void {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(path.join(directory, 'lock'));
    database.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    const { errcode } = error as { errcode?: number };
    const busy = errcode === 5;
    throw new StartupError(
      'data_directory',
      busy
        ? `Another server already uses the data directory ${directory}. Stop it first, or give ` +
            'this one a directory of its own with --data-dir DIR.'
        : unusable(directory, error),
    );
  }
  return () => {
    if (database.isOpen) database.close();
  };
}
