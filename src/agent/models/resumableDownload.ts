/**
 * Brings one file over HTTP to `part`, going on where an earlier attempt, also of another process,
 * was cut. The digest is computed on the way.
 *
 * What is left behind: after a cut or a cancel, `part` stays, to be resumed. After a wrong digest
 * or a wrong size it is deleted, because nothing in it can be trusted. When the disk is full it is
 * deleted too: the journal and the database of this machine need the room more than a later attempt
 * does.
 */
import { createHash, type Hash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { downloadRetryFirstMs, downloadRetryLongestMs, maxFruitlessAttempts } from '../limits.ts';
import { statOf } from './cacheRecords.ts';
import { fetchFailure, fileFailure, type FetchFailure } from './fetchFailure.ts';
import { hashInto } from './fileDigest.ts';
import {
  connectionFailure,
  discardBody,
  type GuardedHttp,
  type HttpAnswer,
} from './guardedHttp.ts';
import type { ProgressMeter } from './progressMeter.ts';

export interface DownloadRequest {
  url: URL;
  part: string;
  sizeBytes: number;
  /** What the server declared, or null where it does not: then any digest is taken and returned. */
  sha256: string | null;
  /** ETag or Last-Modified that the bytes of `part` belong to; a changed file begins anew. */
  validator?: string | undefined;
}

export interface DownloadTools {
  http: GuardedHttp;
  clock: Clock;
  random: Random;
  meter: ProgressMeter;
  signal: AbortSignal;
  /** `fs.promises.open`; a test puts a full disk here. */
  openFile?: ((file: string, flags: string, mode: number) => Promise<FileHandle>) | undefined;
}

export type DownloadOutcome = { kind: 'downloaded'; sha256: string } | FetchFailure;

/** One file that is being written: its bytes so far and their digest. */
interface Progress {
  handle: FileHandle;
  hash: Hash;
  offset: number;
}

/** An attempt that ended early; `resume` says whether the bytes so far are worth something. */
type Attempt = { kind: 'complete' } | { kind: 'cut'; why: FetchFailure } | FetchFailure;

/** Downloads and checks. Rejects only when the signal aborts. */
export async function downloadTo(
  request: DownloadRequest,
  tools: DownloadTools,
): Promise<DownloadOutcome> {
  let outcome: DownloadOutcome;
  try {
    outcome = await downloadAndCheck(request, tools);
  } catch (error) {
    tools.signal.throwIfAborted();
    outcome = fileFailure(error, 'The model could not be written');
  }
  if (outcome.kind === 'failed' && leavesNothing.has(outcome.reason)) {
    await rm(request.part, { force: true });
  }
  return outcome;
}

const leavesNothing: ReadonlySet<FetchFailure['reason']> = new Set([
  'digest_mismatch',
  'disk_full',
  'not_a_model',
]);

async function downloadAndCheck(
  request: DownloadRequest,
  tools: DownloadTools,
): Promise<DownloadOutcome> {
  const progress = await resumePart(request, tools);
  try {
    const failed = await runAttempts(request, tools, progress);
    if (failed !== undefined) return failed;
    await progress.handle.sync();
  } finally {
    await progress.handle.close();
  }
  const sha256 = progress.hash.digest('hex');
  if (request.sha256 !== null && sha256 !== request.sha256) {
    const got = `What ${request.url.host} sent has SHA-256 ${sha256}`;
    return fetchFailure('digest_mismatch', `${got} instead of ${request.sha256}; deleted.`);
  }
  return { kind: 'downloaded', sha256 };
}

async function resumePart(request: DownloadRequest, tools: DownloadTools): Promise<Progress> {
  const { part, sizeBytes } = request;
  const hash = createHash('sha256');
  let offset = (await statOf(part))?.size ?? 0;
  if (offset > sizeBytes) {
    await rm(part, { force: true });
    offset = 0;
  }
  if (offset > 0) await hashInto(hash, part, { length: offset, signal: tools.signal });
  const openFile = tools.openFile ?? open;
  const handle = await openFile(part, 'a', 0o600);
  tools.meter.begin('downloading', { receivedBytes: offset, totalBytes: sizeBytes });
  return { handle, hash, offset };
}

/** Tries until the file is whole, or until several attempts in a row brought nothing. */
async function runAttempts(
  request: DownloadRequest,
  tools: DownloadTools,
  progress: Progress,
): Promise<FetchFailure | undefined> {
  const { clock, random, signal } = tools;
  const backoff = createBackoff({
    random,
    firstMs: downloadRetryFirstMs,
    longestMs: downloadRetryLongestMs,
  });
  let fruitless = 0;
  while (progress.offset < request.sizeBytes) {
    const before = progress.offset;
    const attempt = await oneAttempt(request, tools, progress);
    if (attempt.kind === 'failed') return attempt;
    if (attempt.kind === 'complete') return undefined;
    if (progress.offset > before) backoff.reset();
    fruitless = progress.offset > before ? 0 : fruitless + 1;
    if (fruitless >= maxFruitlessAttempts) return attempt.why;
    await sleep(clock, backoff.nextMs(), signal);
    signal.throwIfAborted();
  }
  return undefined;
}

async function oneAttempt(
  request: DownloadRequest,
  tools: DownloadTools,
  progress: Progress,
): Promise<Attempt> {
  const answer = await tools.http.get(request.url, {
    headers: rangeHeaders(request, progress.offset),
    signal: tools.signal,
  });
  if (answer.kind === 'failed') {
    // A name that does not resolve will not do so in a second: fail fast.
    const passing = progress.offset > 0 && answer.reason !== 'address_not_allowed';
    return passing ? { kind: 'cut', why: answer } : answer;
  }
  const unusable = await prepareFor(answer, request, progress);
  if (unusable !== undefined) {
    discardBody(answer.body);
    return unusable;
  }
  return await writeBody(answer, { request, tools, progress });
}

function rangeHeaders(request: DownloadRequest, offset: number): Record<string, string> {
  if (offset === 0) return {};
  const { validator } = request;
  return {
    range: `bytes=${offset}-`,
    ...(validator !== undefined && { 'if-range': validator }),
  };
}

/** Sets the part to where the body begins. Returns why the answer cannot be used. */
async function prepareFor(
  answer: HttpAnswer,
  request: DownloadRequest,
  progress: Progress,
): Promise<Attempt | undefined> {
  const { status, headers } = answer;
  const host = request.url.host;
  if (status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '');
    if (Number(range?.[1]) === progress.offset && Number(range?.[2]) === request.sizeBytes) {
      return undefined;
    }
    await restart(progress);
    return cut('bad_answer', `${host} sent another part of the file than it was asked for.`);
  }
  if (status === 200) {
    await restart(progress);
    return undefined;
  }
  if (status === 416) {
    await restart(progress);
    return cut('bad_answer', `${host} has no such part of the file (416).`);
  }
  if (status === 429 || status >= 500) return cut('bad_answer', `${host} answered ${status}.`);
  return statusFailure(status, host);
}

function cut(reason: FetchFailure['reason'], message: string): Attempt {
  return { kind: 'cut', why: fetchFailure(reason, message) };
}

/** What a final status of a file's address means. */
export function statusFailure(status: number, host: string): FetchFailure {
  if (status === 404 || status === 410) {
    return fetchFailure('not_found', `${host} has no such file (${status}).`);
  }
  if (status === 401 || status === 403) {
    return fetchFailure('forbidden', `${host} does not give this file away (${status}).`);
  }
  return fetchFailure('bad_answer', `${host} answered ${status}.`);
}

async function restart(progress: Progress): Promise<void> {
  if (progress.offset === 0) return;
  await progress.handle.truncate(0);
  progress.hash = createHash('sha256');
  progress.offset = 0;
}

async function writeBody(
  answer: HttpAnswer,
  context: { request: DownloadRequest; tools: DownloadTools; progress: Progress },
): Promise<Attempt> {
  const { request, tools, progress } = context;
  const chunks = answer.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    while (progress.offset < request.sizeBytes) {
      const next = await readNext(chunks, request.url.host, tools.signal);
      if (next.kind === 'cut') return next;
      const { chunk } = next;
      if (progress.offset + chunk.length > request.sizeBytes) {
        const { url, sizeBytes } = request;
        const more = `${url.host} sent more than the ${sizeBytes} bytes it declared`;
        return fetchFailure('digest_mismatch', `${more}; deleted.`);
      }
      await progress.handle.appendFile(chunk);
      progress.hash.update(chunk);
      progress.offset += chunk.length;
      tools.meter.update(progress.offset);
    }
    return { kind: 'complete' };
  } finally {
    discardBody(answer.body);
  }
}

type Read = { kind: 'chunk'; chunk: Buffer } | { kind: 'cut'; why: FetchFailure };

async function readNext(
  chunks: AsyncIterator<Buffer>,
  host: string,
  signal: AbortSignal,
): Promise<Read> {
  try {
    const next = await chunks.next();
    if (next.done !== true) return { kind: 'chunk', chunk: next.value };
    return { kind: 'cut', why: fetchFailure('stalled', `${host} ended the file early.`) };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'cut', why: connectionFailure(error, host) };
  }
}
