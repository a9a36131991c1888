/**
 * Finding, checking and adding files of the cache.
 *
 * A2 (digest): a file is handed out only when its size is the recorded one and its SHA-256 is its
 * name. The digest is computed when the file is added and again whenever its times have changed; a
 * file that fails is deleted and the caller is told.
 */
import { chmod, rm } from 'node:fs/promises';
import type { Clock } from '../../lib/clock.ts';
import { statOf, type CacheRecord, type CacheRecords } from './cacheRecords.ts';
import type { CacheUses } from './cacheUses.ts';
import { renameDurably } from './durableFile.ts';
import { fileDigest } from './fileDigest.ts';
import type { CacheIndex } from './cacheIndex.ts';
import type { ProgressMeter } from './progressMeter.ts';

export interface CachedFile {
  path: string;
  sha256: string;
  sizeBytes: number;
}

export type Lookup =
  | { kind: 'hit'; file: CachedFile }
  | { kind: 'miss' }
  /** The file was there and was not what it should be; it is deleted. A plain sentence. */
  | { kind: 'damaged'; message: string };

export interface LookupOptions {
  source: string;
  /** Null: any file that this source once gave. */
  sha256: string | null;
  meter: ProgressMeter;
  signal: AbortSignal;
}

export class CachedFiles {
  private readonly records: CacheRecords;
  private readonly uses: CacheUses;
  private readonly index: CacheIndex;
  private readonly clock: Clock;

  constructor(options: {
    records: CacheRecords;
    uses: CacheUses;
    index: CacheIndex;
    clock: Clock;
  }) {
    this.records = options.records;
    this.uses = options.uses;
    this.index = options.index;
    this.clock = options.clock;
  }

  /** Looks for a file, marks it as in use and checks it. Rejects when the signal aborts. */
  async find(options: LookupOptions): Promise<Lookup> {
    const record = await this.index.run(options.signal, async () => {
      const found = await this.recordFor(options);
      // Marked before it is checked, so that nobody evicts it in between.
      if (found !== undefined) await this.uses.mark(found.sha256);
      return found;
    });
    if (record === undefined) return { kind: 'miss' };
    const checked = await this.check(record, options);
    if (typeof checked !== 'string') {
      await this.index.run(options.signal, () => this.records.write(checked));
      return { kind: 'hit', file: this.fileOf(checked) };
    }
    await this.index.run(options.signal, async () => {
      await this.records.remove(record.sha256);
      await this.uses.unmark(record.sha256);
    });
    return { kind: 'damaged', message: checked };
  }

  /** Makes a verified file at `part` one of the cache's, in use. */
  async adopt(
    part: string,
    file: { sha256: string; source: string; signal: AbortSignal },
  ): Promise<CachedFile> {
    return await this.index.run(file.signal, async () => {
      const blob = this.records.blobPath(file.sha256);
      await this.uses.mark(file.sha256);
      await chmod(part, 0o600);
      await renameDurably(part, blob);
      const stat = await statOf(blob);
      if (stat === undefined) throw new Error(`${file.sha256} vanished while it was added`);
      const earlier = await this.records.read(file.sha256);
      const record: CacheRecord = {
        sha256: file.sha256,
        sizeBytes: stat.size,
        mtimeMs: stat.mtimeMs,
        ctimeMs: stat.ctimeMs,
        sources: withSource(earlier?.sources ?? [], file.source),
        lastUsedAtMs: this.clock.now(),
      };
      await this.records.write(record);
      return this.fileOf(record);
    });
  }

  private async recordFor(options: LookupOptions): Promise<CacheRecord | undefined> {
    if (options.sha256 !== null) return await this.records.read(options.sha256);
    const records = await this.records.list();
    const matching = records.filter(({ sources }) => sources.includes(options.source));
    return matching.toSorted((one, other) => other.lastUsedAtMs - one.lastUsedAtMs)[0];
  }

  /** The record as it should be written now, or a sentence that says what is wrong. */
  private async check(record: CacheRecord, options: LookupOptions): Promise<CacheRecord | string> {
    const blob = this.records.blobPath(record.sha256);
    const stat = await statOf(blob);
    if (stat === undefined) return 'The cached file is gone.';
    if (stat.size !== record.sizeBytes) {
      return `The cached file has ${stat.size} bytes instead of ${record.sizeBytes}; deleted.`;
    }
    if (stat.mtimeMs !== record.mtimeMs || stat.ctimeMs !== record.ctimeMs) {
      const { meter, signal } = options;
      meter.begin('verifying', { receivedBytes: 0, totalBytes: stat.size });
      const digest = await fileDigest(blob, { signal, onBytes: (done) => meter.update(done) });
      if (digest !== record.sha256) {
        return `The cached file was altered (SHA-256 ${digest}); deleted.`;
      }
    }
    const { mtimeMs, ctimeMs } = stat;
    const sources = withSource(record.sources, options.source);
    return { ...record, mtimeMs, ctimeMs, sources, lastUsedAtMs: this.clock.now() };
  }

  private fileOf(record: CacheRecord): CachedFile {
    const { sha256, sizeBytes } = record;
    return { path: this.records.blobPath(sha256), sha256, sizeBytes };
  }

  /** Forgets the remains of a fetch. */
  async discardPartial(key: string): Promise<void> {
    await rm(this.records.path('partial', key), { recursive: true, force: true });
  }
}

/** The newest 64 sources that lead to a file. */
function withSource(sources: readonly string[], source: string): string[] {
  return [source, ...sources.filter((other) => other !== source)].slice(0, 64);
}
