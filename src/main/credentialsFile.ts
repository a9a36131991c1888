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
import { credentialsFileName, parseCredentials } from '../cli/serverContext.ts';
import type { Credentials } from '../cli/serverContext.ts';
import { syncDirectory, writeFileAtomic } from './writeFileAtomic.ts';

export interface CredentialsFile {
  readonly path: string;
  /** K1: before the commit. */
  keepPending(credentials: Credentials): void;
  /** K1: after the commit. */
  adoptPending(): void;
  /** What is there; undefined when there is none or it cannot be read. */
  read(): Credentials | undefined;
  readPending(): Credentials | undefined;
  dropPending(): void;
  /** Replaces it, when anything differs. */
  update(credentials: Credentials): void;
  /** Credentials of a database that is gone: kept under another name. */
  setAside(): void;
}

export function credentialsFile(directory: string): CredentialsFile {
  const file = path.join(directory, credentialsFileName);
  const pending = `${file}.pending`;
  const write = (target: string, credentials: Credentials): void =>
    writeFileAtomic(target, `${JSON.stringify(credentials, null, 2)}\n`, 0o600);
  const rename = (from: string, to: string): void => {
    renameSync(from, to);
    syncDirectory(directory);
  };
  return {
    path: file,
    keepPending: (credentials) => write(pending, credentials),
    adoptPending: () => rename(pending, file),
    read: () => readFrom(file),
    readPending: () => readFrom(pending),
    dropPending: () => rmSync(pending, { force: true }),
    update(credentials) {
      if (JSON.stringify(readFrom(file)) !== JSON.stringify(credentials)) write(file, credentials);
    },
    setAside() {
      if (existsSync(file)) rename(file, `${file}.old`);
    },
  };
}

function readFrom(file: string): Credentials | undefined {
  return existsSync(file) ? parseCredentials(readFileSync(file, 'utf8')) : undefined;
}
