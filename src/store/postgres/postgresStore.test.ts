/** The store over a real PostgreSQL, started for this file. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import { Client } from 'pg';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { guideBlocks } from '../../testing/processes/guide.ts';
import { startPostgres } from '../../testing/database/postgres.ts';
import { repository } from '../../testing/processes/processes.ts';
import { storeContract } from '../../testing/storeContract/storeContract.ts';
import {
  auditNote,
  bootstrapRows,
  joinKeyRow,
  revocation,
  usageRow,
} from '../../testing/database/storeRows.ts';
import { changesKept } from '../limits.ts';
import type { Store } from '../store.ts';
import { createPostgresStore } from './postgresStore.ts';

const postgres = await startPostgres();
const skip = postgres.kind === 'missing' ? postgres.reason : undefined;

function createStore(connectionString: string): Store {
  return createPostgresStore({
    connectionString,
    log: silentLogger,
    clock: systemClock,
    random: systemRandom,
  });
}

async function createDatabase(): Promise<string> {
  assert.ok(postgres.kind === 'started');
  return postgres.createDatabase();
}

async function withClient<Result>(
  connectionString: string,
  use: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function tablesOf(client: Client, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    'select quote_ident(tablename) as name from pg_tables where schemaname = $1 order by name',
    [schema],
  );
  return rows.map(({ name }) => name);
}

storeContract('PostgreSQL', {
  skip,
  async create() {
    const database = await createDatabase();
    const store = createStore(database);
    return {
      store,
      another: () => createStore(database),
      sql: (statement) =>
        withClient(database, async (client) => {
          await client.query(statement);
        }),
      mark: () =>
        withClient(database, async (client) => {
          await client.query('create schema mark');
          for (const table of await tablesOf(client, 'public')) {
            await client.query(`create table mark.${table} as table public.${table}`);
          }
        }),
      reset: () =>
        withClient(database, async (client) => {
          const tables = await tablesOf(client, 'public');
          if (tables.join() !== (await tablesOf(client, 'mark')).join()) return false;
          await client.query(`begin; truncate ${tables.join()} restart identity`);
          for (const table of tables) {
            await client.query(
              `insert into public.${table} overriding system value table mark.${table}`,
            );
          }
          await client.query('commit');
          return true;
        }),
      dispose: () => store.close(),
    };
  },
});

// After the contract has closed what it keeps.
after(async () => {
  if (postgres.kind === 'started') await postgres.stop();
});

async function opened(t: TestContext, database: string): Promise<Store> {
  const store = createStore(database);
  t.after(() => store.close());
  await store.open();
  return store;
}

/** Cuts connections of the store as a restart of the server would; returns how many. */
function cutConnections(database: string, what: 'all' | 'listening'): Promise<number> {
  const listening = "and query like 'listen %'";
  return withClient(database, async (client) => {
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()
       ${what === 'listening' ? listening : ''}`,
    );
    return rowCount ?? 0;
  });
}

void test('one process does not hear what another one changes', { skip }, async (t) => {
  const database = await createDatabase();
  const writer = await opened(t, database);
  const reader = await opened(t, database);
  const hint = Promise.withResolvers<void>();
  reader.onChange(hint.resolve);
  await writer.bootstrap(bootstrapRows());
  await hint.promise;
  const { revision } = await reader.directoryHead();
  assert.equal(revision, 5);
});

void test('hints end with the connection that brings them', { skip }, async (t) => {
  const database = await createDatabase();
  const store = await opened(t, database);
  await store.bootstrap(bootstrapRows());
  const again = Promise.withResolvers<void>();
  store.onChange(again.resolve);
  assert.equal(await cutConnections(database, 'listening'), 1);
  // A new connection counts as a hint, because what was said meanwhile is lost.
  await again.promise;
  const hint = Promise.withResolvers<void>();
  store.onChange(hint.resolve);
  await store.revokeApiKey(revocation('key_a'));
  await hint.promise;
});

void test('a guide whose SQL leaves in a restored database what ended', { skip }, async (t) => {
  const guide = path.join('docs', 'operating', 'backup-and-upgrade.md');
  const [block] = guideBlocks(path.join(repository, guide)).filter(({ info }) => info === 'sql');
  const database = await createDatabase();
  const store = await opened(t, database);
  await store.bootstrap(bootstrapRows());
  const audit = auditNote();
  const open = { uses: 0, expiresAtMs: systemClock.now() + 900_000 };
  await store.insertJoinKey({ row: joinKeyRow({ id: 'jk_open', ...open }), audit });
  await store.insertJoinKey({ row: joinKeyRow({ id: 'jk_used', ...open, uses: 1 }), audit });
  const { revision } = await store.directoryHead();
  await withClient(database, (client) => client.query(block?.text ?? ''));
  assert.equal(typeof (await store.joinKeyById('jk_open'))?.revokedAtMs, 'number');
  assert.equal((await store.joinKeyById('jk_used'))?.revokedAtMs, null);
  // Beyond what is kept, so that nobody goes on from before the restore.
  assert.ok((await store.directoryHead()).revision > revision + changesKept);
});

void test('a restart of the server breaks the store for good', { skip }, async (t) => {
  const database = await createDatabase();
  const store = await opened(t, database);
  await store.bootstrap(bootstrapRows());
  // Some calls run while the connections are cut: each is done whole or says `unavailable`.
  const calls = Array.from({ length: 40 }, (_none, at) =>
    store.recordUsage([usageRow(2 * at), usageRow(2 * at + 1)]),
  );
  const cut = cutConnections(database, 'all');
  const results = await Promise.allSettled(calls);
  assert.ok((await cut) > 0);
  for (const result of results) {
    if (result.status === 'rejected') assert.equal(result.reason.kind, 'unavailable');
  }
  // Idle connections that the pool still holds may be dead, too; each costs one call at most.
  for (let at = 0; at < 20; at += 1) await store.setting('a').catch(() => undefined);
  assert.equal(await store.setting('a'), null);
  const page = { after: null, limit: 1_000 };
  const { items: recorded } = await store.recentUsage({ projectId: 'proj_a', page });
  const done = results.filter(({ status }) => status === 'fulfilled').length;
  assert.ok(recorded.length >= 2 * done);
  assert.equal(recorded.length % 2, 0, 'a batch was written in part');
});

void test('a server that is not there, or has no such database, is no clear error', async () => {
  const nowhere = createStore('postgres://xim@127.0.0.1:1/xim');
  await assert.rejects(nowhere.open(), { name: 'StoreError', kind: 'unavailable' });
  await nowhere.close();
});

void test('a wrong database, or one without the right to write', { skip }, async () => {
  const database = await createDatabase();
  const missing = createStore(database.replace(/\/test_\d+$/, '/none'));
  await assert.rejects(missing.open(), { name: 'StoreError', kind: 'unavailable' });
  await withClient(database, async (client) => {
    const name = new URL(database).pathname.slice(1);
    await client.query(`alter database ${name} set default_transaction_read_only = on`);
  });
  await assert.rejects(createStore(database).open(), {
    name: 'StoreError',
    kind: 'not_writable',
  });
});

void test('a transaction that loses a deadlock fails', { skip }, async (t) => {
  const database = await createDatabase();
  const store = await opened(t, database);
  await store.bootstrap(bootstrapRows());
  await store.recordUsage([usageRow(0)]);
  // Somebody else’s transaction takes the locks in the other order, and waits longest.
  await withClient(database, async (client) => {
    await client.query("set deadlock_timeout = '1h'");
    await client.query('begin');
    await client.query('select * from change_head for update');
    const revoked = store.revokeApiKey(revocation('key_a'));
    await waitForLock(database);
    const blocked = client.query("update api_keys set name = 'x' where id = 'key_a'");
    await blocked;
    await client.query('commit');
    assert.deepEqual(await revoked, { ok: true });
  });
  const key = await store.apiKeyById({ id: 'key_a', projectId: 'proj_a' });
  assert.deepEqual([key?.revoked, key?.name], [true, 'x']);
});

/** Waits until some connection of the database waits for a lock. */
async function waitForLock(database: string): Promise<void> {
  await withClient(database, async (client) => {
    for (;;) {
      const { rowCount } = await client.query(
        `select 1 from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      if ((rowCount ?? 0) > 0) return;
    }
  });
}
