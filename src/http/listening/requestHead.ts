/**
 * What a head says of its own framing, beyond what the parser checks: only what every server on the
 * way reads alike is served. Whoever reads a request otherwise than a proxy before it can be made
 * to answer a request that nobody sent.
 */
import type { IncomingMessage } from 'node:http';

/** Why the request is not served, or undefined. The connection cannot be trusted afterwards. */
export function headProblem(request: IncomingMessage): string | undefined {
  const { httpVersion } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    return `This server speaks HTTP/1.1, not HTTP/${httpVersion}.`;
  }
  const coding = request.headers['transfer-encoding'];
  if (coding === undefined) return undefined;
  if (httpVersion === '1.0') return 'HTTP/1.0 knows no transfer-encoding.';
  // What does not end in `chunked` is refused by the parser, in this very turn.
  if (!coding.toLowerCase().endsWith(', chunked')) return undefined;
  return "The only transfer-encoding that this server takes is 'chunked'.";
}

/** The content-encoding of a body that is not sent as it is; undefined for one that is. */
export function bodyCoding(request: IncomingMessage): string | undefined {
  const { headers } = request;
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (coding === '' || coding === 'identity') return undefined;
  const isEmpty = headers['content-length'] === '0' || headers['content-length'] === undefined;
  return isEmpty && headers['transfer-encoding'] === undefined ? undefined : coding;
}
