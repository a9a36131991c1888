/** What the Hugging Face hub says about a file: where it is, how large, and its SHA-256. */
import type { Readable } from 'node:stream';
import { maxHubAnswerBytes, maxHubFiles } from '../limits.ts';
import { fetchFailure, type FetchFailure } from './fetchFailure.ts';
import {
  connectionFailure,
  discardBody,
  type GuardedHttp,
  type HttpAnswer,
} from './guardedHttp.ts';
import { statusFailure } from './resumableDownload.ts';

export interface HubFile {
  kind: 'found';
  file: string;
  url: URL;
  sizeBytes: number;
  sha256: string;
}

export interface HubQuery {
  /** e.g. `https://huggingface.co`, or a mirror (`HF_ENDPOINT`). */
  hubUrl: string;
  repo: string;
  /** Undefined: the repository's only GGUF file. */
  file: string | undefined;
  http: GuardedHttp;
  signal: AbortSignal;
}

/** The hub's client rejects; inside it our own failures travel as this. */
class HubFailure extends Error {
  readonly failure: FetchFailure;

  constructor(failure: FetchFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** Asks the hub. Rejects only when the signal aborts. */
export async function findHubFile(query: HubQuery): Promise<HubFile | FetchFailure> {
  try {
    const file = query.file ?? (await onlyGguf(query));
    return await describe(query, file);
  } catch (error) {
    query.signal.throwIfAborted();
    if (error instanceof HubFailure) return error.failure;
    const { statusCode } = error as { statusCode?: unknown };
    const host = new URL(query.hubUrl).host;
    if (typeof statusCode === 'number') return statusFailure(statusCode, host);
    return fetchFailure('bad_answer', `${host} does not answer as a hub does.`);
  }
}

async function describe(query: HubQuery, file: string): Promise<HubFile | FetchFailure> {
  const { fileDownloadInfo } = await import('@huggingface/hub');
  const { repo, hubUrl } = query;
  const info = await fileDownloadInfo({ repo, path: file, hubUrl, fetch: fetchThrough(query) });
  const host = new URL(hubUrl).host;
  if (info === null) return fetchFailure('not_found', `${host} has no ${file} in ${repo}.`);
  const sha256 = /^(?:W\/)?"?([0-9a-f]{64})"?$/.exec(info.etag)?.[1];
  if (sha256 === undefined) {
    return fetchFailure('bad_answer', `${host} declares no SHA-256 for ${file} in ${repo}.`);
  }
  return { kind: 'found', file, url: new URL(info.url), sizeBytes: info.size, sha256 };
}

/** The one GGUF file of a repository; rejects with a `HubFailure` that names the choices. */
async function onlyGguf(query: HubQuery): Promise<string> {
  const { listFiles } = await import('@huggingface/hub');
  const { repo, hubUrl } = query;
  const found: string[] = [];
  let seen = 0;
  for await (const entry of listFiles({ repo, hubUrl, fetch: fetchThrough(query) })) {
    seen += 1;
    if (seen > maxHubFiles) break;
    if (entry.type === 'file' && entry.path.endsWith('.gguf')) found.push(entry.path);
  }
  const only = found[0];
  if (only !== undefined && found.length === 1) return only;
  const choices = found.length === 0 ? 'none' : found.slice(0, 8).join(', ');
  const count = `${repo} has ${found.length} GGUF files (${choices})`;
  const message = `${count}; name one as hf:${repo}:FILE.`;
  throw new HubFailure(fetchFailure('invalid_source', message));
}

/**
 * A `fetch` for the hub's client that goes through our guard. The digest stands in the headers of
 * the hub's own answer, before the redirect to where the bytes lie, so those headers are laid on
 * top.
 */
function fetchThrough(query: HubQuery): typeof globalThis.fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = Object.fromEntries(new Headers(init?.headers));
    const answer = await query.http.get(url, { headers, signal: query.signal });
    if (answer.kind === 'failed') throw new HubFailure(answer);
    const body = await readSome(answer.body, url.host, query.signal);
    const status = answer.status >= 200 && answer.status <= 599 ? answer.status : 502;
    return new Response(body.length === 0 || status === 204 ? null : body, {
      status,
      headers: { ...sizeOf(answer), ...answer.headers, ...declared(answer) },
    });
  };
}

/** The size as the hub's client reads it, also from a mirror that sends the file whole. */
function sizeOf(answer: HttpAnswer): Record<string, string> {
  const length = answer.headers['content-length'];
  if (answer.status !== 200 || length === undefined) return {};
  return { 'content-range': `bytes 0-0/${length}` };
}

function declared(answer: HttpAnswer): Record<string, string> {
  const names = ['x-linked-etag', 'x-linked-size', 'x-error-code', 'link'];
  const found = names.flatMap((name) => {
    const value = answer.firstHeaders[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}

/** The first bytes of a body, so that a server that sends a whole model here is cut off. */
async function readSome(
  body: Readable,
  host: string,
  signal: AbortSignal,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxHubAnswerBytes) break;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw new HubFailure(connectionFailure(error, host));
  } finally {
    discardBody(body);
  }
  return Buffer.concat(chunks);
}
