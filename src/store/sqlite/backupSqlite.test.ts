/** Backup and restore of real files, with other processes at them. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { endLeftovers, startProcess } from '../../testing/processes/processes.ts';
import { contentsAt, makeEarlier } from '../../testing/schemaHistory/earlierDatabase.ts';
import type { Contents } from '../../testing/schemaHistory/fillTables.ts';
import { bootstrapRows, startMs, usageRow } from '../../testing/database/storeRows.ts';
import { migrations } from '../migrate.ts';
import { backupSqlite } from './backupSqlite.ts';
import { restoreSqlite } from './restoreSqlite.ts';
import { createSqliteStore } from './sqliteStore.ts';

const root = mkdtempSync(path.join(tmpdir(), 'xim-backup-'));
after(() => {
  endLeftovers();
  rmSync(root, { recursive: true, force: true });
});

let places = 0;
/** A directory with the database of a server in it and a place for a backup. */
function place(): { directory: string; database: string; file: string } {
  places += 1;
  const directory = path.join(root, String(places));
  mkdirSync(directory);
  return {
    directory,
    database: path.join(directory, 'xim.db'),
    file: path.join(directory, 'backup.db'),
  };
}

const newest = migrations.at(-1)?.version ?? 0;
const ignore = (): void => undefined;
const accept = (): Promise<void> => Promise.resolve();
const program = path.join(import.meta.dirname, '../../testing/database/copyingProcess.ts');

const backUp = (where: { database: string; file: string }, replace = false) =>
  backupSqlite({ ...where, replace, onProgress: ignore });

const restore = (where: { database: string; file: string }) =>
  restoreSqlite({ ...where, nowMs: startMs + 1_000, accept, onProgress: ignore });

/** A database that takes several steps to copy. */
const largeRows = 30_000;

async function largeDatabase(database: string): Promise<void> {
  const store = createSqliteStore({ path: database, log: silentLogger });
  await store.open();
  await store.bootstrap(bootstrapRows());
  await store.recordUsage(Array.from({ length: largeRows }, (_none, at) => usageRow(at)));
  await store.close();
}

const usageIn = (file: string): number => {
  const database = new DatabaseSync(file, { readOnly: true });
  const row = database.prepare('select count(*) as rows from usage_records').get();
  database.close();
  return Number(row?.['rows']);
};

void test('a backup is of several moments, begins anew, or holds writers up', async () => {
  const where = place();
  await largeDatabase(where.database);
  const writer = new DatabaseSync(where.database, { timeout: 0 });
  // One row in two tables, in one transaction: a copy has both or neither.
  let written = 0;
  const write = (): void => {
    written += 1;
    writer.exec(`
      begin immediate;
      insert into settings (name, value) values ('during ${written}', 'x');
      delete from usage_records where request_id = (select max(request_id) from usage_records);
      commit;
    `);
  };
  write();
  let steps = 0;
  const outcome = await backupSqlite({
    ...where,
    replace: false,
    onProgress: () => {
      steps += 1;
      write();
    },
  });
  writer.close();
  assert.ok(outcome.ok);
  assert.ok(steps >= 2, 'the copy took one step: nothing was written meanwhile');
  assert.ok(steps <= outcome.bytes / 4_096 / 1_000 + 3, 'the copying began anew');
  assert.equal(usageIn(where.file), largeRows - 1);
  const { settings = [] } = await contentsAt(where.file);
  assert.deepEqual(
    settings.map(({ name }) => name).filter((name) => String(name).startsWith('during')),
    ['during 1'],
  );
});

void test('a backup overwrites a file, is open to others, or leaves something behind', async () => {
  const where = place();
  assert.deepEqual(await backUp(where), { ok: false, reason: 'no_database' });
  await makeEarlier(where.database, newest);
  writeFileSync(where.file, 'something else');
  assert.deepEqual(await backUp(where), { ok: false, reason: 'exists' });
  assert.equal(readFileSync(where.file, 'utf8'), 'something else');
  assert.ok((await backUp(where, true)).ok);
  assert.equal((statSync(where.file).mode & 0o777).toString(8), '600');
  const beside = readdirSync(where.directory).filter((name) => name.startsWith('backup'));
  assert.deepEqual(beside, ['backup.db']);
  const nowhere = { ...where, file: path.join(where.directory, 'none', 'backup.db') };
  await assert.rejects(backUp(nowhere), { name: 'StoreError', kind: 'not_writable' });
});

void test('a backup that was killed stands there as if it were one', async () => {
  const where = place();
  await largeDatabase(where.database);
  const args = ['backup', where.database, where.file];
  const killed = startProcess(process.execPath, [program, ...args, 'copying']);
  assert.equal(await killed.exited, 'SIGKILL', killed.err());
  assert.ok(!existsSync(where.file));
  const whole = startProcess(process.execPath, [program, ...args, 'never']);
  assert.equal(await whole.exited, 0, whole.err());
  assert.equal(usageIn(where.file), largeRows);
});

/** What a restore leaves out on purpose (B6), made alike on both sides. */
function comparable(contents: Contents): Contents {
  const { sessions: _sessions, changes: _changes, change_head: _head, ...rest } = contents;
  const isNote = (row: Record<string, unknown>): boolean => row['action'] === 'platform.restore';
  return {
    ...rest,
    audit_events: rest['audit_events']?.filter((row) => !isNote(row)) ?? [],
    join_keys: rest['join_keys']?.map((row) => ({ ...row, revoked_at_ms: null })) ?? [],
  };
}

for (const { version } of migrations) {
  void test(`schema ${version}: a restored row differs from the one before`, async () => {
    const old = place();
    const before = await makeEarlier(old.database, version);
    const made = await backUp(old);
    assert.deepEqual(made, { ok: true, bytes: statSync(old.file).size, schemaVersion: version });
    const { database } = place();
    const restored = await restore({ database, file: old.file });
    assert.ok(restored.ok);
    assert.deepEqual([restored.schemaVersion, restored.kept], [version, null]);
    const after = await contentsAt(database);
    assert.deepEqual(comparable(after), comparable(before));
    assert.deepEqual(after['sessions'], []);
    assert.deepEqual(after['changes'], []);
    assert.equal((statSync(database).mode & 0o777).toString(8), '600');
    // A server of today takes it over.
    const store = createSqliteStore({ path: database, log: silentLogger });
    await store.open();
    const known = await store.changesSince({ revision: 2, limit: 10 });
    assert.deepEqual(known, { ok: false, reason: 'snapshot_needed' });
    await store.close();
  });
}

void test('a key that could still be used has its uses back', async () => {
  const where = place();
  const { database, file } = where;
  await makeEarlier(database, newest);
  const sql = new DatabaseSync(database);
  sql.exec(`update join_keys set revoked_at_ms = null, expires_at_ms = ${startMs + 5_000}`);
  sql.close();
  await backUp(where);
  await restore({ database, file });
  const { join_keys: keys = [] } = await contentsAt(database);
  assert.deepEqual(
    keys.map((key) => [key['id'], key['revoked_at_ms']]),
    [
      ['jk_a', startMs + 1_000],
      // Used up: nobody new gets in, and a retry may still come.
      ['jk_platform', null],
    ],
  );
});

void test('what is no whole backup of ours takes the place of the database', async () => {
  const where = place();
  const { database, file } = where;
  await largeDatabase(database);
  const intact = usageIn(database);
  const refused = async (kind: string, message: RegExp): Promise<void> => {
    await assert.rejects(restore({ database, file }), (error: Error & { kind?: string }) => {
      assert.equal(error.kind, kind, error.stack);
      assert.match(error.message, message);
      return true;
    });
    assert.equal(usageIn(database), intact);
    const beside = readdirSync(where.directory).filter((name) => /restor/.test(name));
    assert.deepEqual(beside, []);
  };
  assert.deepEqual(await restore({ database, file }), { ok: false, reason: 'no_file' });
  writeFileSync(file, 'this is no database'.repeat(1_000));
  await refused('corrupt', /backup\.db is damaged, or no backup of this program/);
  writeFileSync(file, '');
  await refused('corrupt', /backup\.db is damaged, or no backup of this program/);
  rmSync(file);
  const foreign = new DatabaseSync(file);
  foreign.exec('create table other (id integer)');
  foreign.close();
  await refused('corrupt', /no backup of this program/);
  copyFileSync(database, file);
  truncateSync(file, Math.floor(statSync(file).size / 2 / 4_096) * 4_096);
  await refused('corrupt', /backup\.db is damaged/);
  copyFileSync(database, file);
  const later = new DatabaseSync(file);
  later.exec("insert into migrations (version, name, applied_at) values (9999, 'later', 'now')");
  later.close();
  await refused('too_new', /schema 9999/);
});

void test('the log of the old database is read with the new one', async () => {
  const where = place();
  const { database, file } = where;
  await makeEarlier(database, newest);
  await backUp(where);
  // A server that was killed: its last commit is in the log alone.
  const killed = place();
  const writer = new DatabaseSync(database);
  writer.exec("pragma journal_mode = wal; insert into settings values ('last', 'word')");
  for (const rest of ['', '-wal', '-shm']) copyFileSync(database + rest, killed.database + rest);
  writer.close();
  const outcome = await restore({ database: killed.database, file });
  assert.ok(outcome.ok && outcome.kept !== null);
  const names = async (from: string): Promise<unknown[]> =>
    ((await contentsAt(from))['settings'] ?? []).map(({ name }) => name);
  assert.ok(!(await names(killed.database)).includes('last'));
  assert.ok((await names(outcome.kept)).includes('last'), 'the old database lost its last commit');
});

void test('a damaged old database cannot be replaced, or is gone', async () => {
  const where = place();
  const { database, file } = where;
  await makeEarlier(database, newest);
  await backUp(where);
  writeFileSync(database, 'damaged'.repeat(1_000));
  writeFileSync(`${database}-wal`, 'a log');
  const outcome = await restore({ database, file });
  assert.ok(outcome.ok && outcome.kept !== null);
  assert.match(readFileSync(outcome.kept, 'utf8'), /^damaged/);
  assert.equal(readFileSync(`${outcome.kept}-wal`, 'utf8'), 'a log');
  const store = createSqliteStore({ path: database, log: silentLogger });
  await store.open();
  await store.close();
});

void test('a database that somebody has open is replaced under them', async () => {
  const where = place();
  const { database, file } = where;
  await makeEarlier(database, newest);
  await backUp(where);
  const other = new DatabaseSync(database);
  other.exec('pragma journal_mode = wal; begin; select * from settings');
  await assert.rejects(restore({ database, file }), { name: 'StoreError', kind: 'unavailable' });
  other.exec("rollback; insert into settings values ('still', 'mine')");
  other.close();
  assert.ok((await contentsAt(database))['settings']?.some(({ name }) => name === 'still'));
});

/** `old` or `new`: which database is there, whole. */
function whichIsThere({ database }: { database: string }): string {
  const sql = new DatabaseSync(database);
  const [whole] = Object.values(sql.prepare('pragma integrity_check').get() ?? {});
  const rows = Number(sql.prepare('select count(*) as n from usage_records').get()?.['n']);
  sql.close();
  assert.equal(whole, 'ok');
  return rows > 100 ? 'old' : 'new';
}

void test('kill -9 during a restore leaves no database, or half of one (B4)', async () => {
  const { file, ...source } = place();
  await makeEarlier(source.database, newest);
  await backUp({ ...source, file });
  const old = place();
  await largeDatabase(old.database);
  const seen = new Set<string>();
  const moments = ['copying', 'checked', ...Array.from({ length: 8 }, () => 'exchanging')];
  for (const [at, moment] of moments.entries()) {
    const where = place();
    copyFileSync(old.database, where.database);
    const args = [program, 'restore', where.database, file, moment];
    const running = startProcess(process.execPath, args);
    if (moment === 'exchanging') {
      await running.seen(/exchanging/);
      // Later and later, to meet each of the few steps of the exchange.
      const until = performance.now() + (at - 2) * 3;
      while (performance.now() < until) await new Promise(setImmediate);
      await running.end('SIGKILL');
    }
    await running.exited;
    const which = whichIsThere(where);
    seen.add(which);
    if (moment === 'copying' || moment === 'checked') assert.equal(which, 'old', moment);
    assert.ok((await restore({ database: where.database, file })).ok, 'the next try');
    assert.equal(whichIsThere(where), 'new');
  }
  assert.ok(seen.has('old'));
});
