/**
 * Which files of the cache are in use, here and in other processes that share it. Eviction leaves
 * these alone. A mark of another container, whose processes cannot be seen, counts for a day.
 */
import { rm, stat, writeFile } from 'node:fs/promises';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { foreignUseMs } from '../limits.ts';
import type { CacheRecords } from './cacheRecords.ts';
import { livenessOf, processIdentity } from './processIdentity.ts';

export class CacheUses {
  private readonly records: CacheRecords;
  private readonly clock: Clock;
  private readonly owner: string;

  constructor(options: { records: CacheRecords; clock: Clock; random: Random }) {
    this.records = options.records;
    this.clock = options.clock;
    this.owner = processIdentity(options.random).name;
  }

  async mark(sha256: string): Promise<void> {
    await writeFile(this.markPath(sha256), '', { mode: 0o600 });
  }

  async unmark(sha256: string): Promise<void> {
    await rm(this.markPath(sha256), { force: true });
  }

  /** Digests that any process uses. Marks of dead processes are removed on the way. */
  async inUse(): Promise<Set<string>> {
    const used = new Set<string>();
    for (const name of await this.records.names('uses')) {
      const sha256 = name.slice(0, 64);
      if (await this.counts(name)) used.add(sha256);
      else await rm(this.records.path('uses', name), { force: true });
    }
    return used;
  }

  private async counts(name: string): Promise<boolean> {
    const liveness = livenessOf(name.slice(65));
    if (liveness !== 'unknown') return liveness === 'alive';
    try {
      const { mtimeMs } = await stat(this.records.path('uses', name));
      return this.clock.now() - mtimeMs < foreignUseMs;
    } catch {
      return false;
    }
  }

  private markPath(sha256: string): string {
    return this.records.path('uses', `${sha256}.${this.owner}`);
  }
}
