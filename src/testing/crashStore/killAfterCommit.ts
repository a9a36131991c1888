/**
 * Loaded before a server (`--import`): kills it with -9 when the database has committed and nobody
 * has heard of it yet, neither the caller nor the data plane. The n-th write after SIGUSR2 is the
 * one; n stands in the file that `KILL_AFTER_COMMITS` names.
 */
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Client } from 'pg';

let left = Number.POSITIVE_INFINITY;
process.on('SIGUSR2', () => {
  left = Number(readFileSync(process.env['KILL_AFTER_COMMITS'] ?? '', 'utf8'));
});

function committed(): void {
  left -= 1;
  if (left <= 0) process.kill(process.pid, 'SIGKILL');
}

type AnyMethod = (this: object, ...args: unknown[]) => unknown;
const workers = Worker.prototype as unknown as { on: AnyMethod };
const clients = Client.prototype as unknown as { query: AnyMethod };

// SQLite: the writer has committed when its result arrives in the main thread.
const { on } = workers;
workers.on = function (event, listener) {
  if (event !== 'message' || (this as Worker).threadName !== 'store-writer') {
    return on.call(this, event, listener);
  }
  return on.call(this, event, (message: { kind: string }) => {
    if (message.kind === 'result') committed();
    (listener as (message: unknown) => void)(message);
  });
};

// PostgreSQL: the commit's answer has arrived.
const { query } = clients;
const reading = new WeakSet<object>();
clients.query = function (...args) {
  const [text] = args;
  const running = query.apply(this, args);
  if (typeof text !== 'string') return running;
  if (text.startsWith('start transaction')) {
    if (text.includes('read only')) reading.add(this);
    else reading.delete(this);
  }
  if (text !== 'commit' || reading.has(this)) return running;
  return (running as Promise<unknown>).then((result) => {
    committed();
    return result;
  });
};
