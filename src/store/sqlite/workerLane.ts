/**
 * The main thread's end of one worker of the embedded store.
 *
 * L1 Every call settles exactly once: with its answer, or with a `StoreError` when the worker ends.
 * L2 At most `pendingCallsMax` calls wait.
 * L3 A worker that ended by itself is replaced by the next call, so that a crash costs the calls
 *    that were in it and not the process. What was acknowledged before is in the file.
 */
import { getCompileCacheDir } from 'node:module';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Logger } from '../../lib/log.ts';
import { pendingCallsMax, workerYoungGenerationMb } from '../limits.ts';
import type { Call } from '../methods.ts';
import { StoreError } from '../storeError.ts';
import { unpackError } from './workerMessages.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './workerMessages.ts';

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

export interface WorkerLane {
  /**
   * Starts the worker, which opens the file once `after` has resolved. Rejects as `after` does, or
   * with the `StoreError` for which the file could not be opened.
   */
  open(after?: Promise<void>): Promise<void>;
  call(call: Call): Promise<unknown>;
  /** Lets the calls that wait finish, closes the file and ends the worker. */
  close(): Promise<void>;
}

type State =
  | { kind: 'closed' }
  | { kind: 'running'; run: WorkerRun }
  /** The worker ended and nobody had asked it to. */
  | { kind: 'crashed' };

export function createWorkerLane(
  options: WorkerOptions & { log: Logger; onChange: () => void },
): WorkerLane {
  let state: State = { kind: 'closed' };
  const start = (): WorkerRun => {
    const run = new WorkerRun({
      ...options,
      onEnd: () => {
        if (state.kind === 'running' && state.run === run) state = { kind: 'crashed' };
      },
    });
    state = { kind: 'running', run };
    return run;
  };
  const restart = (): WorkerRun => {
    options.log.warn({ role: options.role }, 'starting the database worker again');
    const run = start();
    // The calls that wait carry the same error.
    run.open().catch(() => undefined);
    return run;
  };
  return {
    async open(after = Promise.resolve()) {
      if (state.kind !== 'closed') throw new Error('the lane is open already');
      const run = start();
      try {
        await after;
        await run.open();
      } catch (error) {
        state = { kind: 'closed' };
        await run.close();
        throw error;
      }
    },
    async call(call) {
      if (state.kind === 'closed') {
        throw new StoreError('unavailable', 'the store is not open');
      }
      const run = state.kind === 'crashed' ? restart() : state.run;
      return run.call(call);
    },
    async close() {
      const before = state;
      state = { kind: 'closed' };
      if (before.kind === 'running') await before.run.close();
    },
  };
}

interface RunOptions extends WorkerOptions {
  log: Logger;
  onChange: () => void;
  onEnd: () => void;
}

/** One worker from its start to its end. */
class WorkerRun {
  private readonly opened: Promise<unknown>;
  private readonly worker: Worker;
  private readonly pending = new Map<number, Pending>();
  private readonly settleOpened: Pending;
  private readonly ended: Promise<void>;
  private readonly options: RunOptions;
  private lastId = 0;
  private endReason: Error = new StoreError('unavailable', 'the database worker ended');

  constructor(options: RunOptions) {
    this.options = options;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.settleOpened = { resolve, reject };
    this.opened = promise;
    // A worker may end before anybody asked it to open.
    promise.catch(() => undefined);
    this.worker = startWorker(options);
    this.worker.on('message', (message: FromWorker) => this.receive(message));
    this.worker.on('error', (error) => this.fail(error));
    this.ended = new Promise((resolveEnded) => {
      this.worker.on('exit', () => {
        this.end();
        resolveEnded();
      });
    });
  }

  async open(): Promise<void> {
    this.send({ kind: 'open' });
    await this.opened;
  }

  call(call: Call): Promise<unknown> {
    if (this.pending.size >= pendingCallsMax) {
      const message = `the store is overloaded: ${pendingCallsMax} calls wait already`;
      return Promise.reject(new StoreError('unavailable', message));
    }
    return new Promise((resolve, reject) => {
      this.lastId += 1;
      this.send({ kind: 'call', id: this.lastId, call });
      this.pending.set(this.lastId, { resolve, reject });
    });
  }

  async close(): Promise<void> {
    this.send({ kind: 'close' });
    await this.ended;
  }

  private send(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private receive(message: FromWorker): void {
    switch (message.kind) {
      case 'opened':
        return this.settleOpened.resolve(undefined);
      case 'open_failed':
        this.endReason = unpackError(message.error);
        return;
      case 'result':
        return this.take(message.id)?.resolve(message.value);
      case 'failed':
        return this.take(message.id)?.reject(unpackError(message.error));
      case 'changed':
        return this.options.onChange();
    }
  }

  private take(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    return pending;
  }

  /** An exception that nobody caught in the worker; its exit follows. */
  private fail(cause: unknown): void {
    this.options.log.error({ err: cause }, 'the database worker failed');
    this.endReason = new StoreError('unavailable', 'the database worker failed', { cause });
  }

  private end(): void {
    this.options.onEnd();
    this.settleOpened.reject(this.endReason);
    for (const { reject } of this.pending.values()) reject(this.endReason);
    this.pending.clear();
  }
}

function startWorker({ file, role }: WorkerOptions): Worker {
  const cache = getCompileCacheDir();
  return new Worker(new URL('./sqliteWorker.ts', import.meta.url), {
    name: `store-${role}`,
    workerData: { file, role } satisfies WorkerOptions,
    // The worker needs neither our flags nor our environment, but it shares the compile cache when
    // the process has one: that halves its start, and its memory because nothing is stripped again.
    execArgv: [],
    env: cache === undefined ? {} : { NODE_COMPILE_CACHE: path.dirname(cache) },
    resourceLimits: { maxYoungGenerationSizeMb: workerYoungGenerationMb },
  });
}
