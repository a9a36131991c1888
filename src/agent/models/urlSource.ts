/** What a server says about a file at an `https:` address, before it is fetched. */
import { fetchFailure, type FetchFailure } from './fetchFailure.ts';
import { discardBody, type GuardedHttp } from './guardedHttp.ts';
import { statusFailure } from './resumableDownload.ts';

export interface UrlFile {
  kind: 'found';
  sizeBytes: number;
  /** Proves that a resumed download goes on with the same file; undefined: it begins anew. */
  validator: string | undefined;
}

/** Asks for the first byte. Rejects only when the signal aborts. */
export async function describeUrl(
  url: URL,
  options: { http: GuardedHttp; signal: AbortSignal },
): Promise<UrlFile | FetchFailure> {
  const answer = await options.http.get(url, {
    headers: { range: 'bytes=0-0' },
    signal: options.signal,
  });
  if (answer.kind === 'failed') return answer;
  discardBody(answer.body);
  const { status, headers } = answer;
  if (status !== 200 && status !== 206) return statusFailure(status, url.host);
  const size = status === 206 ? headers['content-range']?.split('/')[1] : headers['content-length'];
  const sizeBytes = Number(size);
  if (size === undefined || !Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
    return fetchFailure('bad_answer', `${url.host} does not say how large the file is.`);
  }
  const { etag } = headers;
  const strong = etag !== undefined && !etag.startsWith('W/') ? etag : undefined;
  return { kind: 'found', sizeBytes, validator: strong ?? headers['last-modified'] };
}
