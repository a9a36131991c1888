/** The store that a URL names. */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
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
  const store = await createStore(options);
  await store.open();
  return store;
}

async function createStore(options: {
  url: string;
  log: Logger;
  clock: Clock;
  random: Random;
}): Promise<Store> {
  const { url, log } = options;
  if (/^postgres(ql)?:\/\//.test(url)) {
    // Most servers never talk to PostgreSQL: its driver is loaded where it is used.
    const { createPostgresStore } = await import('./postgres/postgresStore.ts');
    return createPostgresStore({ ...options, connectionString: url });
  }
  return createSqliteStore({ path: url.replace(/^sqlite:/, ''), log });
}
