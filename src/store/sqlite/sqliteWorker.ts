/**
 * The worker thread of the embedded store: owns one connection and runs one method at a time, in
 * the order of `CallOrder`. The main thread never waits for the disk.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Kysely } from 'kysely';
import { releaseMemory } from '../../lib/memory/releaseMemory.ts';
import { migrate } from '../migrate.ts';
import { runInTransaction } from '../methods.ts';
import type { Call } from '../methods.ts';
import type { Tables } from '../tables.ts';
import { CallOrder } from './callOrder.ts';
import { nodeSqliteDialect } from './nodeSqliteDialect.ts';
import { toStoreError } from './sqliteErrors.ts';
import { openForReading, openForWriting } from './sqliteFile.ts';
import { packError } from './workerMessages.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './workerMessages.ts';

if (parentPort === null) throw new Error('sqliteWorker.ts runs as a worker thread only');
const port = parentPort;
const { file, role } = workerData as WorkerOptions;

const post = (message: FromWorker): void => port.postMessage(message);

async function open(): Promise<Kysely<Tables>> {
  if (role === 'reader') {
    const database = openForReading(file);
    return new Kysely({ dialect: nodeSqliteDialect({ database, begin: 'deferred' }) });
  }
  const database = openForWriting(file);
  const dialect = nodeSqliteDialect({ database, begin: 'immediate' });
  const db = new Kysely<Tables>({ dialect });
  try {
    await migrate(db, 'sqlite');
    return db;
  } catch (error) {
    await db.destroy();
    throw error;
  }
}

async function run(db: Kysely<Tables>, { id, call }: { id: number; call: Call }): Promise<void> {
  try {
    const { value, changed } = await runInTransaction({ db, dialect: 'sqlite', call });
    post({ kind: 'result', id, value });
    if (changed) post({ kind: 'changed' });
  } catch (error) {
    post({ kind: 'failed', id, error: packError(toStoreError(error, file)) });
  }
}

/** Undefined: not open yet, or it could not be opened and the port is closed. */
type State = Kysely<Tables> | undefined;

async function handle(db: State, message: ToWorker): Promise<State> {
  if (message.kind === 'open') return start();
  if (message.kind === 'call') {
    if (db !== undefined) await run(db, message);
    return db;
  }
  await db?.destroy();
  port.close();
  return undefined;
}

async function start(): Promise<State> {
  try {
    const db = await open();
    post({ kind: 'opened' });
    releaseMemory();
    return db;
  } catch (error) {
    post({ kind: 'open_failed', error: packError(toStoreError(error, file)) });
    port.close();
    return undefined;
  }
}

/** What was sent and is not done yet. */
const order = new CallOrder();
let busy = false;

/** Does one thing after another; what comes meanwhile may go before what waits already. */
async function work(): Promise<void> {
  if (busy) return;
  busy = true;
  let db: State = opened;
  for (let next = order.next(); next !== undefined; next = order.next()) {
    db = await handle(db, next);
    takeWaiting();
  }
  opened = db;
  busy = false;
}

let opened: State;

/** Messages that wait in the port: it delivers none while a call is in the database. */
function takeWaiting(): void {
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) return;
    order.push(received.message as ToWorker);
  }
}

port.on('message', (message: ToWorker) => {
  order.push(message);
  // It never rejects: `handle` answers for what goes wrong.
  void work();
});
