/**
 * Loaded before a server (`--import`): the embedded database takes long for each write while the
 * file that `SLOW_COMMITS` names is there. Its writer runs as `slowWriter.ts`.
 */
import threads from 'node:worker_threads';
import type { WorkerOptions } from 'node:worker_threads';
import { syncBuiltinESMExports } from 'node:module';

const slowWriter = new URL('./slowWriter.ts', import.meta.url);
const { SLOW_COMMITS = '' } = process.env;

class SlowedWorker extends threads.Worker {
  constructor(program: string | URL, options: WorkerOptions = {}) {
    const isWriter = options.name === 'store-writer';
    const env = { ...(options.env as NodeJS.ProcessEnv), SLOW_COMMITS };
    super(isWriter ? slowWriter : program, isWriter ? { ...options, env } : options);
  }
}

threads.Worker = SlowedWorker;
syncBuiltinESMExports();
