/**
 * The data directory: everything that a server keeps, in one place.
 *
 * ```
 * credentials.json   keys and addresses for the CLI (0600)
 * secrets.key        the key that seals what the database keeps (control/keyFile.ts)
 * xim.db             the embedded database
 * journal/           requests that are not in the database yet (router)
 * receipts/          why the last requests went where they went (router); may be lost
 * tls/               the server's own certificate
 * agent/             state of the shared agent on this machine
 * models/            its model files
 * lock               held by the one server that uses the directory
 * ```
 *
 * Invariants
 * D1 The directory is 0700 when we make it, and closed to others when we find it open and empty,
 *    or ours. One that holds other things is refused: `--data-dir /tmp` must not lock a machine out
 *    of /tmp.
 * D2 One server at a time. The lock is the operating system's, on an open file: a server that was
 *    killed holds nothing.
 */
import { accessSync, constants, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { credentialsFileName } from '../../cli/serverContext.ts';
import { directoryProblem } from '../../lib/files/makeDirectory.ts';
import { openPrivateDirectory } from '../../lib/files/privateDirectory.ts';
import type { PrivateDirectoryOutcome } from '../../lib/files/privateDirectory.ts';
import { StartupError } from '../process/startupError.ts';

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
  removeUnfinished(directory);
  return { path: directory, file: (...names) => path.join(directory, ...names), release };
}

/** Secrets that a server which was killed was about to write; D2 says that no other one is. */
function removeUnfinished(directory: string): void {
  const unfinished = readdirSync(directory).filter((name) =>
    /^(credentials\.json|secrets\.key)\..*\.tmp$/.test(name),
  );
  for (const name of unfinished) rmSync(path.join(directory, name), { force: true });
}

/** By which a directory is known as a server's. */
const signs = [credentialsFileName, `${credentialsFileName}.pending`, 'secrets.key', 'xim.db'];

function prepare(directory: string): void {
  let outcome: PrivateDirectoryOutcome;
  try {
    outcome = openPrivateDirectory({ directory, signs });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StartupError('data_directory', unusable(directory, directoryProblem(error)));
  }
  if (outcome !== 'holds_others') return;
  throw new StartupError(
    'data_directory',
    `The data directory ${directory} holds other things and can be read by others, who would ` +
      'lose it: give the server one of its own with --data-dir DIR, or close it with chmod 700.',
  );
}

function unusable(directory: string, why: string): string {
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
  const file = path.join(directory, 'lock');
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(file);
    database.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    throw new StartupError('data_directory', lockProblem(directory, error));
  }
  return () => {
    if (database.isOpen) database.close();
  };
}

/** By SQLite's primary result codes. */
function lockProblem(directory: string, error: unknown): string {
  const { errcode = 0, message } = error as { errcode?: number; message: string };
  const file = path.join(directory, 'lock');
  switch (errcode & 0xff) {
    case 5: // SQLITE_BUSY
      return (
        `Another server already uses the data directory ${directory}. Stop it first, or give ` +
        'this one a directory of its own with --data-dir DIR.'
      );
    case 13: // SQLITE_FULL
      return unusable(directory, 'the disk is full');
    case 26: // SQLITE_NOTADB
      return `${file} is not a lock of this program. Remove it; nothing is kept in it.`;
    default:
      return unusable(directory, `its file lock cannot be taken (${message})`);
  }
}
