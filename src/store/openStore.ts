/** The store that a URL names. */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import { createPostgresStore } from './postgres/postgresStore.ts';
import { createSqliteStore } from './sqlite/sqliteStore.ts';
import type { Store } from './store.ts';

/**
 * Opens it: `postgres://…` and `postgresql://…` a PostgreSQL database, `sqlite:<path>` or a plain
 * path the embedded one. Rejects with a `StoreError`.
 */
export async function openStore(options: {
  url: string;
  log: Logger;
  clock: Clock;
  random: Random;
}): Promise<Store> {
  const store = createStore(options);
  await store.open();
  return store;
}

function createStore(options: { url: string; log: Logger; clock: Clock; random: Random }): Store {
  const { url, log } = options;
  if (/^postgres(ql)?:\/\//.test(url)) {
    return createPostgresStore({ ...options, connectionString: url });
  }
  return createSqliteStore({ path: url.replace(/^sqlite:/, ''), log });
}
