/**
 * Puts a backup in the place of the embedded database. No server may run on it meanwhile; the
 * caller holds the lock of the data directory.
 *
 * B4 At every moment, kill -9 included, the database's file is the old one or the whole new one.
 * B5 The old database stays beside it, and its log is never read with the new one.
 * B6 What would be dangerous to find again is left out: open join keys are revoked, since their
 *    uses were set back; sessions end; readers of `changes` have to read everything anew.
 */
import { closeSync, existsSync, openSync, readSync, renameSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { changesKept, sqliteBusyTimeoutMs } from '../limits.ts';
import { migrations } from '../migrate.ts';
import { StoreError } from '../storeError.ts';
import { copyDatabase, linkOrRename, removeDatabase } from './backupSqlite.ts';
import type { CopyProgress } from './backupSqlite.ts';
import { describe, toStoreError } from './sqliteErrors.ts';
import { requireWhole, syncFile } from './sqliteFile.ts';

/** What `accept` may ask of the restored database. */
export interface RestoredSettings {
  setting(name: string): Promise<string | null>;
}

export type RestoreOutcome =
  | {
      ok: true;
      bytes: number;
      schemaVersion: number;
      /** Where the old database is now; null: there was none. */
      kept: string | null;
    }
  | { ok: false; reason: 'no_file' };

export interface RestoreOptions {
  /** The backup. */
  file: string;
  /** The database file of the server. */
  database: string;
  nowMs: number;
  /** Looks at the copy before anything is replaced; rejects when it must not be. */
  accept: (settings: RestoredSettings) => Promise<void>;
  onProgress: (progress: CopyProgress) => void;
}

/** Rejects with a `StoreError`, or as `accept` does; the database is untouched then. */
export async function restoreSqlite(options: RestoreOptions): Promise<RestoreOutcome> {
  const { file, database, nowMs } = options;
  if (!existsSync(file)) return { ok: false, reason: 'no_file' };
  const copy = `${database}.restoring`;
  // What a restore that was killed has left.
  removeDatabase(copy);
  try {
    const schemaVersion = await prepare(copy, options).catch((error: unknown) => {
      throw backupError(error, file);
    });
    const bytes = syncFile(copy);
    const kept = existsSync(database) ? setAside(database, nowMs) : null;
    renameSync(copy, database);
    syncFile(path.dirname(database));
    return { ok: true, bytes, schemaVersion, kept };
  } catch (error) {
    throw toStoreError(error, database);
  } finally {
    removeDatabase(copy);
  }
}

function requireKnown(schemaVersion: number): void {
  const newest = migrations.at(-1)?.version ?? 0;
  if (schemaVersion <= newest) return;
  throw new StoreError(
    'too_new',
    `the backup was written by a newer version (schema ${schemaVersion}; this one knows up to ` +
      `${newest}): restore it with that version`,
  );
}

/** Copies the backup, checks it, and takes out what must not come back (B6). */
async function prepare(
  copy: string,
  { file, nowMs, accept, onProgress }: RestoreOptions,
): Promise<number> {
  const schemaVersion = await copyDatabase({ from: file, to: copy, onProgress });
  requireKnown(schemaVersion);
  const database = new DatabaseSync(copy);
  try {
    database.exec('pragma journal_mode = delete');
    requireWhole(database, file);
    const byName = database.prepare('select value from settings where name = ?');
    await accept({
      setting: (name) =>
        Promise.resolve((byName.get(name) as { value: string } | undefined)?.value ?? null),
    });
    leaveOut(database, nowMs);
  } finally {
    database.close();
  }
  return schemaVersion;
}

/** What is wrong with the backup, in words of its own: the database is well. */
function backupError(error: unknown, file: string): unknown {
  const known = toStoreError(error, file);
  if (!(known instanceof StoreError) || known.kind !== 'corrupt') return known;
  const message = `${path.basename(file)} is damaged, or no backup of this program: take another`;
  return new StoreError('corrupt', message, { cause: error });
}

/** B6. In words that every version of the schema understands. */
function leaveOut(database: DatabaseSync, nowMs: number): void {
  database.exec('begin immediate');
  database
    .prepare(
      `update join_keys set revoked_at_ms = ?
       where revoked_at_ms is null and uses < max_uses and expires_at_ms > ?`,
    )
    .run(nowMs, nowMs);
  // Further ahead than anybody can have read: a revision may mean two things otherwise.
  database.exec(`
    delete from sessions;
    delete from changes;
    update change_head set revision = revision + ${changesKept + 1};
  `);
  if (hasTable(database, 'audit_events')) noteRestore(database, nowMs);
  database.exec('commit');
}

function hasTable(database: DatabaseSync, name: string): boolean {
  return database.prepare('select 1 from sqlite_master where name = ?').get(name) !== undefined;
}

/** Operators should find in the log why things are as they were. */
function noteRestore(database: DatabaseSync, nowMs: number): void {
  database
    .prepare(
      `insert into audit_events (at_ms, actor, action, target_kind, target_id, changes)
       values (?, 'system', 'platform.restore', 'platform', 'database', '{}')`,
    )
    .run(nowMs);
}

/** B5: the old database becomes one file, with a name of its own besides the one that it had. */
function setAside(database: string, nowMs: number): string {
  const kept = freeName(`${database}.before-restore-${stamp(nowMs)}`);
  if (!closeLog(database)) {
    for (const log of ['-wal', '-shm']) {
      if (existsSync(`${database}${log}`)) renameSync(`${database}${log}`, `${kept}${log}`);
    }
  }
  linkOrRename(database, kept);
  syncFile(path.dirname(database));
  return kept;
}

/** What every file of SQLite begins with. */
const fileMark = 'SQLite format 3\0';

/** Moves the log into the file and removes it. False: the old database is damaged. */
function closeLog(file: string): boolean {
  // SQLite throws the log of a file away that it does not know as its own.
  if (beginOf(file, fileMark.length) !== fileMark) return false;
  try {
    const old = new DatabaseSync(file, { timeout: sqliteBusyTimeoutMs });
    try {
      const row = old.prepare('pragma journal_mode = delete').get() ?? {};
      if (Object.values(row)[0] === 'delete') return true;
    } finally {
      old.close();
    }
  } catch (error) {
    const known = toStoreError(error, file);
    if (known instanceof StoreError && known.kind === 'corrupt') return false;
    throw known;
  }
  throw new StoreError('unavailable', describe('unavailable', file));
}

function beginOf(file: string, bytes: number): string {
  const handle = openSync(file, 'r');
  try {
    const begin = Buffer.alloc(bytes);
    readSync(handle, begin);
    return begin.toString('latin1');
  } finally {
    closeSync(handle);
  }
}

/** `20260131T235959Z` */
const stamp = (ms: number): string => new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, '');

function freeName(name: string): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    if (!existsSync(candidate)) return candidate;
  }
}
