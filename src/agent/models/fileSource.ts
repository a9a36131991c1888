/**
 * `file:` sources: a model that already lies on this machine and stays where it is. Only inside the
 * directories (or exactly the files) that the agent's owner listed, symbolic links resolved.
 */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Random } from '../../lib/random.ts';
import type { CachedFile } from './cachedFiles.ts';
import { cacheKey, statOf, type CacheRecords } from './cacheRecords.ts';
import { readJson, writeJsonDurably } from './durableFile.ts';
import { errorCode, fetchFailure, fileFailure, type FetchFailure } from './fetchFailure.ts';
import { fileDigest, isGguf } from './fileDigest.ts';
import type { ProgressMeter } from './progressMeter.ts';

const verifiedSchema = z.object({
  path: z.string(),
  sizeBytes: z.number(),
  mtimeMs: z.number(),
  ctimeMs: z.number(),
  sha256: z.string().length(64),
});

export interface FileQuery {
  path: string;
  /** Directories and files that may be served. */
  allowed: readonly string[];
  /** What it must be, where that is known. */
  sha256: string | null;
  records: CacheRecords;
  random: Random;
  meter: ProgressMeter;
  signal: AbortSignal;
}

/** Checks a local file. Rejects only when the signal aborts. */
export async function localModelFile(
  query: FileQuery,
): Promise<{ kind: 'ready'; file: CachedFile } | FetchFailure> {
  try {
    return await check(query);
  } catch (error) {
    query.signal.throwIfAborted();
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return fetchFailure('not_found', `There is no file ${query.path}.`);
    }
    return fileFailure(error, `${query.path} could not be read`);
  }
}

async function check(
  query: FileQuery,
): Promise<{ kind: 'ready'; file: CachedFile } | FetchFailure> {
  const real = await realpath(query.path);
  if (!(await isInside(real, query.allowed))) {
    const list = query.allowed.length === 0 ? 'none are allowed' : query.allowed.join(', ');
    const message = `${query.path} is outside the directories of models on this agent (${list}).`;
    return fetchFailure('forbidden', message);
  }
  const stat = await statOf(real);
  if (stat?.isFile !== true) return fetchFailure('not_found', `${query.path} is not a file.`);
  if (!(await isGguf(real))) {
    return fetchFailure('not_a_model', `${query.path} is not a GGUF file.`);
  }
  const sha256 = await digestOf(real, stat, query);
  if (query.sha256 !== null && sha256 !== query.sha256) {
    const message = `${query.path} has SHA-256 ${sha256} instead of ${query.sha256}.`;
    return fetchFailure('digest_mismatch', message);
  }
  return { kind: 'ready', file: { path: real, sha256, sizeBytes: stat.size } };
}

async function isInside(real: string, allowed: readonly string[]): Promise<boolean> {
  for (const entry of allowed) {
    const base = await realpath(entry).catch(() => undefined);
    if (base === undefined) continue;
    const relative = path.relative(base, real);
    if (relative === '' || (!relative.startsWith('..') && !path.isAbsolute(relative))) return true;
  }
  return false;
}

/** The digest, computed once and kept until the file's size or times change. */
async function digestOf(
  real: string,
  stat: { size: number; mtimeMs: number; ctimeMs: number },
  query: FileQuery,
): Promise<string> {
  const record = query.records.path('verified', `${cacheKey(real)}.json`);
  const known = verifiedSchema.safeParse(await readJson(record));
  if (
    known.success &&
    known.data.path === real &&
    known.data.sizeBytes === stat.size &&
    known.data.mtimeMs === stat.mtimeMs &&
    known.data.ctimeMs === stat.ctimeMs
  ) {
    return known.data.sha256;
  }
  const { meter, signal, random } = query;
  meter.begin('verifying', { receivedBytes: 0, totalBytes: stat.size });
  const sha256 = await fileDigest(real, { signal, onBytes: (done) => meter.update(done) });
  const { mtimeMs, ctimeMs } = stat;
  await writeJsonDurably(
    record,
    { path: real, sizeBytes: stat.size, mtimeMs, ctimeMs, sha256 },
    random,
  );
  return sha256;
}
