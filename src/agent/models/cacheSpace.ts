/**
 * Room in the cache. Everything that is or will be on the disk counts: files, and what running
 * fetches of any process have announced.
 *
 * A2 (space): with a limit, files and announced fetches together never exceed it; without one, 5 %
 * of the disk stays free. What cannot fit is refused before a byte of it is fetched and before
 * anything is evicted for it.
 */
import { readdir, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Random } from '../../lib/random.ts';
import { diskReserveShare } from '../limits.ts';
import { statOf, type CacheRecords } from './cacheRecords.ts';
import { readJson, writeJsonDurably } from './durableFile.ts';
import { fetchFailure, type FetchFailure } from './fetchFailure.ts';
import { isLocked } from './fileLock.ts';

const metaSchema = z.object({
  /** Everything that the fetch may come to hold at one time. */
  reservedBytes: z.number().nonnegative(),
  startedAtMs: z.number(),
});

/** Something that could go, and what that frees. */
interface Evictable {
  kind: 'partial' | 'blob';
  name: string;
  bytes: number;
  lastUsedAtMs: number;
}

interface Space {
  usedBytes: number;
  /** Announced by running fetches and not yet on the disk. */
  pendingBytes: number;
  evictable: Evictable[];
  /** Bytes of the files that stay, by digest. */
  inUse: Map<string, number>;
}

/** What is left in the cache, and what went. */
export interface Trimmed {
  usedBytes: number;
  evictedBytes: number;
  inUse: ReadonlyMap<string, number>;
}

export interface RoomRequest {
  /** The fetch that asks; its own partial directory is not evicted and not counted twice. */
  key: string;
  reservedBytes: number;
  limitBytes: number | null;
  inUse: ReadonlySet<string>;
  nowMs: number;
}

export class CacheSpace {
  private readonly records: CacheRecords;
  private readonly random: Random;

  constructor(records: CacheRecords, random: Random) {
    this.records = records;
    this.random = random;
  }

  /** Evicts what is needed and announces the fetch. Call it under the index lock. */
  async reserve(request: RoomRequest): Promise<{ kind: 'reserved' } | FetchFailure> {
    const { key, reservedBytes, limitBytes } = request;
    if (limitBytes !== null && reservedBytes > limitBytes) return overLimit(request);
    const space = await this.measure(request);
    const present = await directoryBytes(this.records.path('partial', key));
    const disk = await this.disk();
    const spare = limitBytes === null ? disk.totalBytes * diskReserveShare : 0;
    const toWrite = Math.max(0, reservedBytes - present);
    const overDisk = toWrite + space.pendingBytes + spare - disk.freeBytes;
    const overLimitBytes =
      limitBytes === null ? 0 : space.usedBytes + space.pendingBytes + reservedBytes - limitBytes;
    const lacking = Math.max(overDisk, overLimitBytes, 0);
    const chosen = choose(space.evictable, lacking);
    if (chosen === undefined) {
      return overLimitBytes >= overDisk ? overLimit(request) : overFreeDisk(toWrite, disk);
    }
    for (const victim of chosen) await this.evict(victim);
    const meta = { reservedBytes, startedAtMs: request.nowMs };
    await writeJsonDurably(this.metaPath(key), meta, this.random);
    return { kind: 'reserved' };
  }

  /**
   * Evicts until the limit is kept, as far as files in use allow; null: evicts nothing. Call it
   * under the index lock.
   */
  async trim(limitBytes: number | null, inUse: ReadonlySet<string>): Promise<Trimmed> {
    const space = await this.measure({ key: '', inUse });
    let { usedBytes } = space;
    let evictedBytes = 0;
    for (const victim of space.evictable) {
      if (limitBytes === null || usedBytes + space.pendingBytes <= limitBytes) break;
      await this.evict(victim);
      usedBytes -= victim.bytes;
      evictedBytes += victim.bytes;
    }
    return { usedBytes, evictedBytes, inUse: space.inUse };
  }

  /** The disk below the cache, in bytes. */
  async disk(): Promise<{ freeBytes: number; totalBytes: number }> {
    const { bavail, blocks, bsize } = await statfs(this.records.dir);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  }

  metaPath(key: string): string {
    return path.join(this.records.path('partial', key), 'meta.json');
  }

  private async measure(options: { key: string; inUse: ReadonlySet<string> }): Promise<Space> {
    const space: Space = {
      usedBytes: 0,
      pendingBytes: 0,
      evictable: [],
      inUse: new Map(),
    };
    for (const key of await this.records.names('partial')) {
      if (key !== options.key) await this.addPartial(space, key);
    }
    for (const sha256 of await this.records.names('blobs')) {
      await this.addBlob(space, sha256, options.inUse);
    }
    space.evictable.sort(
      (one, other) =>
        Number(one.kind === 'blob') - Number(other.kind === 'blob') ||
        one.lastUsedAtMs - other.lastUsedAtMs,
    );
    return space;
  }

  private async addPartial(space: Space, key: string): Promise<void> {
    const bytes = await directoryBytes(this.records.path('partial', key));
    const meta = metaSchema.safeParse(await readJson(this.metaPath(key)));
    space.usedBytes += bytes;
    if (await isLocked(this.records.path('locks', key))) {
      if (meta.success) space.pendingBytes += Math.max(0, meta.data.reservedBytes - bytes);
      return;
    }
    const lastUsedAtMs = meta.success ? meta.data.startedAtMs : 0;
    space.evictable.push({ kind: 'partial', name: key, bytes, lastUsedAtMs });
  }

  private async addBlob(space: Space, sha256: string, inUse: ReadonlySet<string>): Promise<void> {
    const bytes = (await statOf(this.records.blobPath(sha256)))?.size ?? 0;
    space.usedBytes += bytes;
    if (inUse.has(sha256)) {
      space.inUse.set(sha256, bytes);
      return;
    }
    const lastUsedAtMs = (await this.records.read(sha256))?.lastUsedAtMs ?? 0;
    space.evictable.push({ kind: 'blob', name: sha256, bytes, lastUsedAtMs });
  }

  private async evict(victim: Evictable): Promise<void> {
    if (victim.kind === 'blob') await this.records.remove(victim.name);
    else await rm(this.records.path('partial', victim.name), { recursive: true, force: true });
  }
}

/** The first of the candidates that free enough; undefined when all together do not. */
function choose(candidates: readonly Evictable[], bytes: number): Evictable[] | undefined {
  const chosen: Evictable[] = [];
  let freed = 0;
  for (const candidate of candidates) {
    if (freed >= bytes) break;
    chosen.push(candidate);
    freed += candidate.bytes;
  }
  return freed >= bytes ? chosen : undefined;
}

/** Bytes of all files below a directory; 0 when there is none. */
export async function directoryBytes(directory: string): Promise<number> {
  let names: string[];
  try {
    names = await readdir(directory, { recursive: true });
  } catch {
    return 0;
  }
  let bytes = 0;
  for (const name of names) {
    const found = await statOf(path.join(directory, name));
    if (found?.isFile === true) bytes += found.size;
  }
  return bytes;
}

function overLimit(request: RoomRequest): FetchFailure {
  const needs = `The model needs ${megabytes(request.reservedBytes)} in the model cache`;
  const limit = `storage_limit_bytes is ${request.limitBytes}`;
  return fetchFailure('storage_limit', `${needs} and what is in use leaves less: ${limit}.`);
}

function overFreeDisk(toWrite: number, disk: { freeBytes: number }): FetchFailure {
  const needs = `The model needs ${megabytes(toWrite)} on the disk of the model cache`;
  return fetchFailure('disk_full', `${needs}; ${megabytes(disk.freeBytes)} are free there.`);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
