/**
 * How the connections of the pool are shared out, so that slow writes cannot hold all of them.
 *
 * H1 At most `postgresWriteConnections` calls write at a time: some connection is always left for
 *    reads, which the directory of the data plane and every signed-in person live on.
 * H2 Of these, at most `postgresUpkeepConnections` do what nobody waits for.
 * H3 Calls of one kind get their turn in the order in which they came.
 */
import { postgresUpkeepConnections, postgresWriteConnections } from '../limits.ts';
import type { Access } from '../methods/method.ts';

export class ConnectionShares {
  private readonly writes = new Places(postgresWriteConnections);
  private readonly upkeep = new Places(postgresUpkeepConnections);

  /** Runs `use` when its kind of call has a connection to take. */
  async run<Result>(access: Access, use: () => Promise<Result>): Promise<Result> {
    if (access === 'read') return use();
    if (access !== 'upkeep') return this.writes.run(use);
    return this.upkeep.run(() => this.writes.run(use));
  }
}

class Places {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(places: number) {
    this.free = places;
  }

  async run<Result>(use: () => Promise<Result>): Promise<Result> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await use();
    } finally {
      const next = this.waiting.shift();
      // Who waits longest takes the place over.
      if (next === undefined) this.free += 1;
      else next();
    }
  }
}
