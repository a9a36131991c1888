/**
 * `credentials.json`: the only place where the keys of the first start stand in the clear.
 *
 * Invariants
 * K1 The keys are on disk (`.pending`) before the database knows them, and get their final name
 *    once it does; whatever crashes in between, the next start finds the one state or the other.
 * K2 The one-time password stays in the file until it was shown, and no longer.
 */
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { credentialsFileName, parseCredentials } from '../../cli/serverContext.ts';
import type { Credentials } from '../../cli/serverContext.ts';
import { directoryProblem } from '../../lib/files/makeDirectory.ts';
import { StartupError } from '../process/startupError.ts';
import { syncDirectory, writeFileAtomic } from '../../lib/files/writeFileAtomic.ts';

/** What is in the file. `why` says in a sentence what is wrong with it. */
export type CredentialsRead =
  | { kind: 'ok'; credentials: Credentials }
  | { kind: 'none' }
  | { kind: 'unusable'; why: string };

/** All that write throw a `StartupError` with a sentence. */
export interface CredentialsFile {
  readonly path: string;
  /** K1: before the commit. */
  keepPending(credentials: Credentials): void;
  /** K1: after the commit. */
  adoptPending(): void;
  read(): CredentialsRead;
  readPending(): CredentialsRead;
  dropPending(): void;
  /** Replaces it, when anything differs. */
  update(credentials: Credentials): void;
  /**
   * Credentials of a database that is gone: kept under another name, which is returned; undefined
   * when there were none.
   */
  setAside(): string | undefined;
}

export function credentialsFile(directory: string): CredentialsFile {
  const file = path.join(directory, credentialsFileName);
  const pending = `${file}.pending`;
  const old = `${file}.old`;
  const write = (target: string, credentials: Credentials): void => {
    const text = `${JSON.stringify(credentials, null, 2)}\n`;
    saying(target, () => writeFileAtomic(target, text, 0o600));
  };
  const rename = (from: string, to: string): void =>
    saying(to, () => {
      renameSync(from, to);
      syncDirectory(directory);
    });
  return {
    path: file,
    keepPending: (credentials) => write(pending, credentials),
    adoptPending: () => rename(pending, file),
    read: () => readFrom(file),
    readPending: () => readFrom(pending),
    dropPending: () => saying(pending, () => rmSync(pending, { force: true })),
    update(credentials) {
      const found = readFrom(file);
      const same = found.kind === 'ok' && isDeepStrictEqual(found.credentials, credentials);
      if (!same) write(file, credentials);
    },
    setAside() {
      if (!existsSync(file)) return undefined;
      rename(file, old);
      return old;
    },
  };
}

function readFrom(file: string): CredentialsRead {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { kind: 'none' };
    return { kind: 'unusable', why: `${file} cannot be read (${code}).` };
  }
  const credentials = parseCredentials(text);
  if (credentials !== undefined) return { kind: 'ok', credentials };
  return { kind: 'unusable', why: `${file} is damaged.` };
}

/** Runs a change of the file; what the system says of it becomes a sentence. */
function saying(file: string, change: () => void): void {
  try {
    change();
  } catch (error) {
    const why = directoryProblem(error);
    throw new StartupError('data_directory', `${file} cannot be written: ${why}.`);
  }
}
