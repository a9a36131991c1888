/** The embedded store on a real file in a temporary directory. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { enableCompileCache } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { silentLogger } from '../../lib/log.ts';
import { storeContract } from '../../testing/storeContract/storeContract.ts';
import type { StoreFixture } from '../../testing/storeContract/storeCases.ts';
import { bootstrapRows, usageRow } from '../../testing/database/storeRows.ts';
import type { Store } from '../store.ts';
import type { StoreError } from '../storeError.ts';
import { toStoreError } from './sqliteErrors.ts';
import { openForWriting } from './sqliteFile.ts';
import { createSqliteStore } from './sqliteStore.ts';

const log = silentLogger;

// Every case starts two workers or more; from a cache they start in half the time.
enableCompileCache();

function temporaryDirectory(): string {
  return mkdtempSync(path.join(os.tmpdir(), 'xim-store-'));
}

storeContract('SQLite', {
  async create(): Promise<StoreFixture> {
    const directory = temporaryDirectory();
    const file = path.join(directory, 'xim.db');
    const store = createSqliteStore({ path: file, log });
    return {
      store,
      another: () => createSqliteStore({ path: file, log }),
      async sql(statement) {
        past(file, (database) => database.exec(statement));
      },
      async mark() {
        past(file, (database) => database.exec(`vacuum into '${file}.mark'`));
      },
      async reset() {
        return past(file, (database) => {
          database.exec(`pragma foreign_keys = off; attach '${file}.mark' as mark`);
          const tables = tablesOf(database, 'main');
          if (tables.join() !== tablesOf(database, 'mark').join()) return false;
          database.exec('begin immediate');
          for (const table of tables) {
            database.exec(
              `delete from main.${table}; insert into main.${table} select * from mark.${table}`,
            );
          }
          database.exec('commit');
          return true;
        });
      },
      async dispose() {
        await store.close();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
});

/** Does something to a file past its store. */
function past<Result>(file: string, act: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(file, { timeout: 5_000 });
  try {
    return act(database);
  } finally {
    database.close();
  }
}

function tablesOf(database: DatabaseSync, schema: string): string[] {
  const rows = database
    .prepare(`select name from ${schema}.sqlite_schema where type = 'table' order by name`)
    .all();
  return rows.map(({ name }) => `"${String(name)}"`);
}

/** A place for a file, removed after the test. */
function place(t: TestContext): string {
  const directory = temporaryDirectory();
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return path.join(directory, 'data', 'xim.db');
}

/** An open store, closed after the test. */
async function opened(t: TestContext, file: string): Promise<Store> {
  const store = createSqliteStore({ path: file, log });
  t.after(() => store.close());
  await store.open();
  return store;
}

const mode = (file: string): string => (statSync(file).mode & 0o777).toString(8);

void test('others on the machine read the database', async (t) => {
  const file = place(t);
  const store = await opened(t, file);
  await store.bootstrap(bootstrapRows());
  assert.equal(mode(path.dirname(file)), '700');
  assert.equal(mode(file), '600');
  assert.equal(mode(`${file}-wal`), '600');
  assert.equal(mode(`${file}-shm`), '600');
});

void test('a file that is no database is taken for one', async (t) => {
  const file = place(t);
  mkdirSync(path.dirname(file));
  writeFileSync(file, 'this is no database'.repeat(1_000));
  const store = createSqliteStore({ path: file, log });
  await assert.rejects(store.open(), {
    name: 'StoreError',
    kind: 'corrupt',
    message: 'database file corrupt: xim.db; restore a backup or move it away',
  });
  // The refusal leaves nothing open: what waits is told, and closing is no trouble.
  await assert.rejects(store.directoryHead(), { kind: 'unavailable' });
  await store.close();
});

void test('a file with damaged pages is opened', async (t) => {
  const file = place(t);
  const first = await opened(t, file);
  await first.bootstrap(bootstrapRows());
  await first.recordUsage(Array.from({ length: 2_000 }, (_none, at) => usageRow(at)));
  await first.close();
  const handle = await open(file, 'r+');
  const { size } = await handle.stat();
  // Every second page, the first one with the file's header spared.
  const pageBytes = 4_096;
  const noise = Buffer.alloc(pageBytes, 0xa5);
  for (let at = 2 * pageBytes; at < size; at += 2 * pageBytes) {
    await handle.write(noise, 0, pageBytes, at);
  }
  await handle.close();
  await assert.rejects(createSqliteStore({ path: file, log }).open(), { kind: 'corrupt' });
});

void test('of a large file what a start depends on is not checked, or all of it is', async (t) => {
  const file = place(t);
  const first = await opened(t, file);
  await first.bootstrap(bootstrapRows());
  await first.recordUsage(Array.from({ length: 100 }, (_none, at) => usageRow(at)));
  await first.close();
  const pageOf = (table: string): number => {
    const database = new DatabaseSync(file);
    const row = database.prepare('select rootpage from sqlite_master where name = ?').get(table);
    database.close();
    return Number(row?.['rootpage']);
  };
  const damage = async (page: number): Promise<void> => {
    const handle = await open(file, 'r+');
    await handle.write(Buffer.alloc(4_096, 0xa5), 0, 4_096, (page - 1) * 4_096);
    await handle.close();
  };
  const isCorrupt = (error: unknown): boolean =>
    (toStoreError(error, file) as StoreError).kind === 'corrupt';
  const pages = { usage: pageOf('usage_records'), keys: pageOf('api_keys') };
  await damage(pages.usage);
  openForWriting(file, { wholeCheckBytes: 0 }).close();
  assert.throws(() => openForWriting(file), isCorrupt);
  await damage(pages.keys);
  assert.throws(() => openForWriting(file, { wholeCheckBytes: 0 }), isCorrupt);
});

void test('a data directory that cannot be made is no clear error', async (t) => {
  const file = place(t);
  writeFileSync(path.dirname(file), 'a file where the directory should be');
  await assert.rejects(createSqliteStore({ path: file, log }).open(), { kind: 'not_writable' });
  const directory = path.join(path.dirname(path.dirname(file)), 'a-directory');
  mkdirSync(directory);
  await assert.rejects(createSqliteStore({ path: directory, log }).open(), {
    kind: 'not_writable',
  });
});

/** The workers that start during the test, in order: a store's writer, then its reader. */
function watchWorkers(t: TestContext): Worker[] {
  const workers: Worker[] = [];
  const onWorker = (worker: Worker): void => void workers.push(worker);
  process.on('worker', onWorker);
  t.after(() => process.off('worker', onWorker));
  return workers;
}

void test('a worker that dies takes the store along, or leaves calls waiting', async (t) => {
  const workers = watchWorkers(t);
  const store = await opened(t, place(t));
  const [writer, reader] = workers as [Worker, Worker];
  await store.bootstrap(bootstrapRows());
  // The call is in the worker or on its way there when the worker ends.
  const rows = Array.from({ length: 20_000 }, (_none, at) => usageRow(at));
  const unanswered = store.recordUsage(rows);
  const settled = assert.rejects(unanswered, { name: 'StoreError', kind: 'unavailable' });
  await writer.terminate();
  await settled;
  // The next calls find a new worker, what was acknowledged, and nothing of what was not (S1).
  const page = { after: null, limit: 99 };
  assert.deepEqual((await store.recentUsage({ projectId: 'proj_a', page })).items, []);
  await store.recordUsage(rows.slice(0, 10));
  assert.equal((await store.recentUsage({ projectId: 'proj_a', page })).items.length, 10);
  await reader.terminate();
  assert.equal(await store.isBootstrapped(), true);
  assert.equal(workers.length, 4);
});

void test('a slow write stops the main thread, or reads', { timeout: 60_000 }, async (t) => {
  const file = place(t);
  const store = await opened(t, file);
  const order: string[] = [];
  // Another process that holds the write lock makes the write as slow as the test likes.
  const holder = new DatabaseSync(file);
  holder.exec('begin immediate');
  const write = store.settingOrInsert('a', 'b').then(() => order.push('write'));
  for (let turn = 0; turn < 1_000; turn += 1) await new Promise(setImmediate);
  order.push('1,000 turns');
  await store.setting('a').then((value) => order.push(`read ${value}`));
  holder.exec('rollback');
  holder.close();
  await write;
  assert.deepEqual(order, ['1,000 turns', 'read null', 'write']);
});

void test('kill -9 in the middle of a write loses what was acknowledged (S1)', async (t) => {
  const file = place(t);
  const program = path.join(import.meta.dirname, '../../testing/database/storeWriter.ts');
  const child = spawn(process.execPath, [program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(line);
    if (acknowledged.length === 60) child.kill('SIGKILL');
  }
  assert.ok(acknowledged.length >= 60, 'the writer ended too early');
  const store = await opened(t, file);
  for (const name of acknowledged) assert.equal(await store.setting(name), `value of ${name}`);
});

void test('a store that was closed keeps the process alive', async (t) => {
  const file = place(t);
  const program = `
    import { createSqliteStore } from '${path.join(import.meta.dirname, 'sqliteStore.ts')}';
    import { silentLogger } from '${path.join(import.meta.dirname, '../../lib/log.ts')}';
    const store = createSqliteStore({ path: process.argv[1], log: silentLogger });
    await store.open();
    await store.close();
    console.log('closed');
  `;
  const child = execFile(process.execPath, ['--input-type=module', '-e', program, file], {
    timeout: 60_000,
  });
  let said = '';
  child.stdout?.on('data', (chunk: string) => {
    said += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  assert.deepEqual({ code, said }, { code: 0, said: 'closed\n' });
});
