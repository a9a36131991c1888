/**
 * The store over PostgreSQL, for several processes on one database.
 *
 * P1 A transaction that lost against another one is run again, at most `postgresAttempts` times: it
 *    has left nothing behind.
 * P2 A lost connection is never repeated: the commit may have happened. Callers whose methods are
 *    safe to repeat do so themselves.
 */
import { Kysely, PostgresDialect } from 'kysely';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { pendingCallsMax, postgresAttempts } from '../limits.ts';
import { createListeners } from '../listeners.ts';
import { methods, methodsOver, runInTransaction } from '../methods.ts';
import type { Call } from '../methods.ts';
import { migrate } from '../migrate.ts';
import type { Store } from '../store.ts';
import { StoreError } from '../storeError.ts';
import type { Tables } from '../tables.ts';
import { createChangeListener } from './changeListener.ts';
import type { ChangeListener } from './changeListener.ts';
import { ConnectionShares } from './connectionShares.ts';
import { isWorthRepeating, toStoreError } from './postgresErrors.ts';
import { clientConfig, createPostgresPool } from './postgresPool.ts';

type State =
  | { kind: 'closed' }
  | { kind: 'open'; db: Kysely<Tables>; listener: ChangeListener; calls: Set<Promise<unknown>> };

export interface PostgresStoreOptions {
  connectionString: string;
  log: Logger;
  clock: Clock;
  random: Random;
}

export function createPostgresStore(options: PostgresStoreOptions): Store {
  const listeners = createListeners(options.log);
  const shares = new ConnectionShares();
  let state: State = { kind: 'closed' };
  return {
    ...methodsOver(async (call) => {
      if (state.kind === 'closed') throw new StoreError('unavailable', 'the store is not open');
      const { db, calls } = state;
      if (calls.size >= pendingCallsMax) {
        const message = `the store is overloaded: ${pendingCallsMax} calls wait already`;
        throw new StoreError('unavailable', message);
      }
      const running = shares.run(methods[call.name].access, () => runRepeatedly(db, call));
      calls.add(running);
      try {
        return await running;
      } finally {
        calls.delete(running);
      }
    }),
    async open() {
      if (state.kind === 'open') throw new Error('the store is open already');
      const { db, listener } = await connect({ ...options, onChange: listeners.call });
      state = { kind: 'open', db, listener, calls: new Set() };
    },
    async close() {
      if (state.kind === 'closed') return;
      const { db, listener, calls } = state;
      state = { kind: 'closed' };
      await listener.stop();
      // A pool that is ending leaves those without a connection waiting until they time out.
      await Promise.allSettled(calls);
      await db.destroy();
    },
    onChange: listeners.add,
  };
}

async function connect(
  options: PostgresStoreOptions & { onChange: () => void },
): Promise<{ db: Kysely<Tables>; listener: ChangeListener }> {
  const pool = createPostgresPool(options);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  try {
    await migrate(db, 'postgres');
  } catch (error) {
    await db.destroy();
    throw toStoreError(error);
  }
  const config = clientConfig(options.connectionString);
  const listener = createChangeListener({ ...options, config });
  await listener.start();
  return { db, listener };
}

async function runRepeatedly(db: Kysely<Tables>, call: Call): Promise<unknown> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { value } = await runInTransaction({ db, dialect: 'postgres', call });
      return value;
    } catch (error) {
      if (attempt < postgresAttempts && isWorthRepeating(error)) continue;
      throw toStoreError(error);
    }
  }
}
