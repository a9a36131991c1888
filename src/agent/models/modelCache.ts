/**
 * The agent's model cache: fetches what is wanted, keeps what is used, never holds more than it
 * may.
 *
 * Parts: `ensureModel.ts` (the order of the sources), `hubSource.ts`, `urlSource.ts`,
 * `wheelSource.ts`, `fileSource.ts` (the sources), `resumableDownload.ts`, `guardedHttp.ts`,
 * `addressGuard.ts` (bytes over HTTP), `cacheRecords.ts`, `cachedFiles.ts`, `cacheSpace.ts`,
 * `cacheUses.ts`, `cacheIndex.ts`, `fileLock.ts` (the disk, shared by processes).
 * `docs/internals/models.md` tells the whole.
 *
 * Invariants
 * A2 The cache never exceeds its limit and never serves a file whose digest differs
 *    (`cacheSpace.ts`, `cachedFiles.ts`).
 * M1 A cut at any moment leaves whole files or parts that are known as such (`durableFile.ts`).
 * M2 Processes that share a cache never write to the same file (`fileLock.ts`).
 */
import { statfsSync } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { directoryProblem } from '../../lib/files/makeDirectory.ts';
import type { PrivateDirectoryOutcome } from '../../lib/files/privateDirectory.ts';
import type { Random } from '../../lib/random.ts';
import type { StorageReport } from '../../protocol/messages/agentControl.ts';
import type { DesiredModel } from '../../protocol/messages/routerControl.ts';
import type {
  EnsureOutcome,
  FetchProgress,
  ModelEnsurer,
  StorageLimit,
} from '../engines/engine.ts';
import { freshModelMs, shownFiles } from '../limits.ts';
import { CachedFiles } from './cachedFiles.ts';
import { CacheIndex } from './cacheIndex.ts';
import { CacheRecords } from './cacheRecords.ts';
import { CacheSpace, type Trimmed } from './cacheSpace.ts';
import { CacheUses } from './cacheUses.ts';
import { defaultModel } from './defaultModel.ts';
import { ensureModel, type Attempt, type EnsureTools } from './ensureModel.ts';
import { fetchFailure, fileFailure, type FetchFailure } from './fetchFailure.ts';
import { createGuardedHttp, type GuardedHttp } from './guardedHttp.ts';
import { ProgressMeter, type FetchProgressReport } from './progressMeter.ts';

export interface ModelCacheOptions {
  /** Directory of the cache; created, 0700. */
  dir: string;
  /** Base URL of the hub: `https://huggingface.co` or what `HF_ENDPOINT` says. */
  hubUrl: string;
  /** Directories and files that `file:` sources may name. */
  allowedPaths: readonly string[];
  /** Let `https:` sources and redirects lead to loopback, link-local and private addresses. */
  allowPrivateAddresses: boolean;
  /** The machine's Python, for the package behind the default model; null leaves it out. */
  python: string | null;
  clock: Clock;
  random: Random;
  log: Logger;
  /** What came of a source, as it was tried; said once where a retry only repeats it. */
  onAttempt?: (model: string, attempt: Attempt) => void;
  /** Only for tests. */
  wheel?: EnsureTools['wheel'];
  openFile?: EnsureTools['openFile'] | undefined;
}

export type OpenModelCacheOutcome = { kind: 'open'; cache: ModelCache } | FetchFailure;

/** Opens a cache, or says why its directory cannot be used. */
export async function openModelCache(options: ModelCacheOptions): Promise<OpenModelCacheOutcome> {
  const cache = new ModelCache(options);
  try {
    if ((await cache.prepare()) === 'private') return { kind: 'open', cache };
  } catch (error) {
    const { reason } = fileFailure(error, '');
    const why = `The model cache ${options.dir} cannot be used: ${directoryProblem(error)}.`;
    return fetchFailure(reason, `${why} Give another with --model-cache.`);
  }
  const message =
    `The model cache ${options.dir} can be read by others and holds other things: ` +
    'give one of its own with --model-cache, or close it with chmod 700.';
  return fetchFailure('forbidden', message);
}

/** A model that this process asked for, and what came of it. */
interface Known {
  sha256: string;
  /** In the cache's own files (not a `file:` source). */
  pooled: boolean;
  ensuredAtMs: number;
  /** The agent has named it as in use at least once. */
  named: boolean;
}

export class ModelCache implements ModelEnsurer {
  private readonly options: ModelCacheOptions;
  private readonly records: CacheRecords;
  private readonly uses: CacheUses;
  private readonly index: CacheIndex;
  private readonly space: CacheSpace;
  private readonly http: GuardedHttp;
  private readonly tools: EnsureTools;
  private readonly known = new Map<string, Known>();
  /** The last result of each source. */
  private readonly said = new Map<string, string>();
  private inUseIds: ReadonlySet<string> = new Set();
  onStorageChange: (() => void) | undefined;
  private limit: StorageLimit = { configuredBytes: null, ownBytes: null };
  private report: StorageReport | undefined;
  /** The last of them: the index puts them in order. */
  private trimming: Promise<void> = Promise.resolve();
  private readonly closing = new AbortController();

  constructor(options: ModelCacheOptions) {
    const { dir, clock, random } = options;
    this.options = options;
    this.records = new CacheRecords(dir, random);
    this.uses = new CacheUses({ records: this.records, clock, random });
    const lockPath = this.records.path('locks', 'index');
    this.index = new CacheIndex({ lockPath, clock, random });
    this.space = new CacheSpace(this.records, random);
    this.http = createGuardedHttp({
      trustedOrigins: [new URL(options.hubUrl).origin],
      allowPrivateAddresses: options.allowPrivateAddresses,
    });
    const { records, uses, index } = this;
    const files = new CachedFiles({ records, uses, index, clock });
    this.tools = {
      ...options,
      wheel: options.wheel ?? defaultModel.wheel,
      records,
      uses,
      index,
      files,
      space: this.space,
      http: this.http,
      storageLimitBytes: () => bindingBytes(this.limit),
      onAttempt: (model, attempt) => this.tell(model, attempt),
    };
  }

  private tell(model: string, attempt: Attempt): void {
    const { source, result, reason } = attempt;
    const said = this.said.get(source);
    this.said.set(source, result);
    if (said === result && reason !== 'used') return;
    this.options.log.info({ model, source, reason }, result);
    this.options.onAttempt?.(model, attempt);
  }

  prepare(): Promise<PrivateDirectoryOutcome> {
    return this.records.prepare();
  }

  async ensure(
    desired: DesiredModel,
    options: {
      progress: (progress: FetchProgress & FetchProgressReport) => void;
      signal: AbortSignal;
    },
  ): Promise<EnsureOutcome & { attempts?: readonly Attempt[] }> {
    const { clock } = this.options;
    const signal = AbortSignal.any([options.signal, this.closing.signal]);
    const meter = new ProgressMeter(clock, options.progress);
    await this.releaseUnused();
    const outcome = await ensureModel(desired, { tools: this.tools, meter, signal });
    if (outcome.kind === 'cancelled') return outcome;
    if (outcome.kind === 'failed') {
      const tried = outcome.tried.map(({ source, result }) => `${source}: ${result}`);
      return { ...outcome, tried, attempts: outcome.tried };
    }
    const { path, sha256 } = outcome;
    this.known.set(desired.modelId, {
      sha256,
      pooled: path === this.records.blobPath(sha256),
      ensuredAtMs: clock.monotonic(),
      named: this.inUseIds.has(desired.modelId),
    });
    this.trim();
    return { kind: 'ready', path, sha256, attempts: outcome.tried };
  }

  setStorageLimit(limit: StorageLimit): void {
    const same = JSON.stringify(limit) === JSON.stringify(this.limit);
    this.limit = limit;
    if (!same) this.trim();
  }

  setInUse(modelIds: readonly string[]): void {
    this.inUseIds = new Set(modelIds);
    for (const [id, known] of this.known) known.named ||= this.inUseIds.has(id);
    // What is not in use any more may be what is over the limit.
    this.trim();
  }

  cached(): readonly string[] {
    return [...this.known.keys()];
  }

  disk(): { freeBytes: number; totalBytes: number } | undefined {
    try {
      const { bavail, blocks, bsize } = statfsSync(this.options.dir);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    } catch {
      return undefined;
    }
  }

  storage(): StorageReport | undefined {
    return this.report;
  }

  /** Ends running fetches; their parts stay. Idempotent. */
  async close(): Promise<void> {
    this.closing.abort(new Error('the model cache is closed'));
    await this.trimming;
    for (const { sha256, pooled } of this.known.values()) {
      if (pooled) await this.uses.unmark(sha256).catch(() => undefined);
    }
    await this.http.close();
  }

  /** Evicts what is over the limit and may go, and says what came of it. */
  private trim(): void {
    const trim = this.index.run(this.closing.signal, async () => {
      await this.releaseUnused();
      // The limit may have changed while this waited for its turn.
      const { limit } = this;
      const trimmed = await this.space.trim(bindingBytes(limit), await this.uses.inUse());
      this.tellStorage(limit, trimmed);
    });
    // Only the end waits for it; one that failed is tried again with the next limit or fetch.
    this.trimming = trim.catch((error: unknown) => {
      if (this.closing.signal.aborted) return;
      this.options.log.warn({ err: error }, 'the model cache could not be trimmed');
    });
  }

  private tellStorage(limit: StorageLimit, trimmed: Trimmed): void {
    const { usedBytes, evictedBytes } = trimmed;
    const limitBytes = bindingBytes(limit);
    const before = this.report;
    const sameLimit = before?.configuredLimitBytes === limit.configuredBytes;
    this.report = {
      configuredLimitBytes: limit.configuredBytes,
      limitBytes,
      usedBytes,
      evictedBytes: evictedBytes + (sameLimit ? before.evictedBytes : 0),
      overBytes: limitBytes === null ? 0 : Math.max(0, usedBytes - limitBytes),
      inUse: this.filesInUse(trimmed.inUse),
    };
    if (evictedBytes > 0) {
      this.options.log.info({ evictedBytes, usedBytes, limitBytes }, 'model files were evicted');
    }
    if (JSON.stringify(before) !== JSON.stringify(this.report)) this.onStorageChange?.();
  }

  private filesInUse(files: ReadonlyMap<string, number>): StorageReport['inUse'] {
    const idOf = new Map([...this.known].map(([modelId, { sha256 }]) => [sha256, modelId]));
    return [...files]
      .map(([sha256, bytes]) => ({ modelId: idOf.get(sha256) ?? null, bytes }))
      .toSorted((one, other) => other.bytes - one.bytes)
      .slice(0, shownFiles);
  }

  /** Takes back the marks of models that are neither in use nor fresh from their fetch. */
  private async releaseUnused(): Promise<void> {
    const nowMs = this.options.clock.monotonic();
    const keep = new Set<string>();
    const drop = new Set<string>();
    for (const [id, known] of this.known) {
      if (!known.pooled) continue;
      const fresh = !known.named && nowMs - known.ensuredAtMs < freshModelMs;
      (fresh || this.inUseIds.has(id) ? keep : drop).add(known.sha256);
    }
    for (const sha256 of drop) {
      if (!keep.has(sha256)) await this.uses.unmark(sha256);
    }
  }
}

/** The smaller of two bounds; null is none. */
function bindingBytes({ configuredBytes, ownBytes }: StorageLimit): number | null {
  if (configuredBytes === null || ownBytes === null) return configuredBytes ?? ownBytes;
  return Math.min(configuredBytes, ownBytes);
}
