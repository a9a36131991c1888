/**
 * The cache on the disk: where things lie, and one record per file.
 *
 *   blobs/<sha256>        the files, named by their content
 *   records/<sha256>.json what was verified, and which sources lead to it
 *   partial/<key>/        a fetch that is under way or was cut: `part`, `meta.json`, `wheel/`
 *   uses/<sha256>.<owner> a process has it loaded
 *   verified/<key>.json   digests of `file:` sources, which stay where they are
 *   locks/<name>/         `fileLock.ts`
 *
 * Several processes share one cache: records and blobs change under the lock `index` only.
 */
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { makeDirectory } from '../../lib/files/makeDirectory.ts';
import { openPrivateDirectory } from '../../lib/files/privateDirectory.ts';
import type { PrivateDirectoryOutcome } from '../../lib/files/privateDirectory.ts';
import type { Random } from '../../lib/random.ts';
import { maxCacheEntries } from '../limits.ts';
import { readJson, sweepUnfinished, writeJsonDurably } from './durableFile.ts';
import { errorCode } from './fetchFailure.ts';
import { livenessOf } from './processIdentity.ts';

export const recordSchema = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sizeBytes: z.number().nonnegative(),
  /** Of the file when its digest was last verified: a change of either has it verified again. */
  mtimeMs: z.number(),
  ctimeMs: z.number(),
  sources: z.array(z.string().max(2048)).max(64),
  lastUsedAtMs: z.number(),
});
export type CacheRecord = z.infer<typeof recordSchema>;

const folders = ['blobs', 'records', 'partial', 'uses', 'verified', 'locks'] as const;
type Folder = (typeof folders)[number];

/** A short name for anything: a lock, a partial fetch. */
export function cacheKey(of: string): string {
  return sha256Hex(of).slice(0, 32);
}

export class CacheRecords {
  readonly dir: string;
  private readonly random: Random;

  constructor(dir: string, random: Random) {
    this.dir = dir;
    this.random = random;
  }

  /**
   * Makes the folders, closed to everybody else; a directory that cannot be closed is left as it
   * is. Rejects with the error of the file system.
   */
  async prepare(): Promise<PrivateDirectoryOutcome> {
    const outcome = openPrivateDirectory({ directory: this.dir, signs: ['blobs'] });
    if (outcome !== 'private') return outcome;
    for (const folder of folders) {
      makeDirectory(path.join(this.dir, folder), 0o700);
    }
    await this.sweep();
    return outcome;
  }

  /**
   * Removes what processes that died half-way through left: locks being taken, files being
   * written.
   */
  private async sweep(): Promise<void> {
    for (const name of await this.names('locks')) {
      const owner = name.slice(name.indexOf('.') + 1);
      if (owner === name || livenessOf(owner) !== 'dead') continue;
      await rm(this.path('locks', name), { recursive: true, force: true });
    }
    for (const folder of ['records', 'verified'] as const) {
      await sweepUnfinished(path.join(this.dir, folder));
    }
  }

  path(folder: Folder, name: string): string {
    return path.join(this.dir, folder, name);
  }

  blobPath(sha256: string): string {
    return this.path('blobs', sha256);
  }

  async read(sha256: string): Promise<CacheRecord | undefined> {
    const parsed = recordSchema.safeParse(await readJson(this.recordPath(sha256)));
    return parsed.success && parsed.data.sha256 === sha256 ? parsed.data : undefined;
  }

  async write(record: CacheRecord): Promise<void> {
    await writeJsonDurably(this.recordPath(record.sha256), record, this.random);
  }

  async list(): Promise<CacheRecord[]> {
    const records: CacheRecord[] = [];
    for (const name of await this.names('records')) {
      if (!name.endsWith('.json')) continue;
      const record = await this.read(name.slice(0, -'.json'.length));
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  /** Forgets a file and its record. */
  async remove(sha256: string): Promise<void> {
    await rm(this.blobPath(sha256), { force: true });
    await rm(this.recordPath(sha256), { force: true });
  }

  async names(folder: Folder): Promise<string[]> {
    const names = await readdir(path.join(this.dir, folder));
    return names.slice(0, maxCacheEntries);
  }

  private recordPath(sha256: string): string {
    return this.path('records', `${sha256}.json`);
  }
}

/** `stat`, or undefined when there is no such file. */
export async function statOf(
  file: string,
): Promise<{ size: number; mtimeMs: number; ctimeMs: number; isFile: boolean } | undefined> {
  try {
    const found = await stat(file);
    const { size, mtimeMs, ctimeMs } = found;
    return { size, mtimeMs, ctimeMs, isFile: found.isFile() };
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
