/** One at a time over the records and the space of the cache: in this process and between all. */
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { acquireLock } from './fileLock.ts';

export class CacheIndex {
  private readonly lockPath: string;
  private readonly clock: Clock;
  private readonly random: Random;
  /** The last piece of work of this process; each waits for the one before. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(options: { lockPath: string; clock: Clock; random: Random }) {
    this.lockPath = options.lockPath;
    this.clock = options.clock;
    this.random = options.random;
  }

  /** Runs short work alone. Rejects with the signal's reason, or as the work does. */
  run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(() => this.locked(signal, work));
    this.last = turn.catch(() => undefined);
    return turn;
  }

  private async locked<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { clock, random } = this;
    const lock = await acquireLock(this.lockPath, { clock, random, signal });
    if (lock === undefined) throw signal.reason;
    try {
      return await work();
    } finally {
      await lock.release();
    }
  }
}
