/**
 * GET over HTTP for large files: redirects are followed by hand, each hop is checked, every wait
 * has a bound. `https:` only, but for origins that the owner configured; from `https:` never to
 * `http:`.
 */
import { Agent, buildConnector, request } from 'undici';
import type { Readable } from 'node:stream';
import {
  downloadConnectTimeoutMs,
  downloadHeadersTimeoutMs,
  downloadStallTimeoutMs,
  maxDownloadRedirects,
} from '../limits.ts';
import { isPublicAddress, literalAddress } from '../../lib/network/publicAddress.ts';
import { addressNotAllowedCode, guardedLookup } from './addressGuard.ts';
import { errorCode, fetchFailure, type FetchFailure } from './fetchFailure.ts';

export type HttpHeaders = Record<string, string>;

export interface HttpAnswer {
  kind: 'answer';
  status: number;
  /** Of the last hop, names in lower case. */
  headers: HttpHeaders;
  /** Of the first hop: what the named server itself says of the file. */
  firstHeaders: HttpHeaders;
  body: Readable;
}

export interface GuardedHttpOptions {
  /** Origins that the owner configured: any address and plain `http:` are allowed there. */
  trustedOrigins: readonly string[];
  /** The owner allows loopback, link-local and private addresses everywhere. */
  allowPrivateAddresses: boolean;
  connectTimeoutMs?: number;
  headersTimeoutMs?: number;
  stallTimeoutMs?: number;
}

export interface GuardedHttp {
  /** Follows redirects to the first other answer. Rejects only when the signal aborts. */
  get(
    url: URL,
    options: { headers?: HttpHeaders; signal: AbortSignal },
  ): Promise<HttpAnswer | FetchFailure>;
  close(): Promise<void>;
}

export function createGuardedHttp(options: GuardedHttpOptions): GuardedHttp {
  const timeouts = {
    headersTimeout: options.headersTimeoutMs ?? downloadHeadersTimeoutMs,
    bodyTimeout: options.stallTimeoutMs ?? downloadStallTimeoutMs,
  };
  const timeout = options.connectTimeoutMs ?? downloadConnectTimeoutMs;
  const open = new Agent({ ...timeouts, connect: buildConnector({ timeout }) });
  const guarded = new Agent({
    ...timeouts,
    connect: buildConnector({ timeout, lookup: guardedLookup }),
  });

  const hop = async (
    url: URL,
    call: { headers?: HttpHeaders | undefined; signal: AbortSignal },
  ): Promise<Omit<HttpAnswer, 'firstHeaders'> | FetchFailure> => {
    const trusted = options.allowPrivateAddresses || options.trustedOrigins.includes(url.origin);
    const refused = trusted ? undefined : refusedAddress(url);
    if (refused !== undefined) return refused;
    try {
      const answer = await request(url, {
        dispatcher: trusted ? open : guarded,
        headers: { 'accept-encoding': 'identity', 'user-agent': 'xim-agent', ...call.headers },
        signal: call.signal,
      });
      const headers = flatten(answer.headers);
      return { kind: 'answer', status: answer.statusCode, headers, body: answer.body };
    } catch (error) {
      call.signal.throwIfAborted();
      return connectionFailure(error, url.host);
    }
  };

  return {
    get: (url, call) => follow(hop, url, { ...call, trustedOrigins: options.trustedOrigins }),
    async close() {
      await Promise.all([open.destroy(), guarded.destroy()]);
    },
  };
}

type Hop = (
  url: URL,
  call: { headers?: HttpHeaders | undefined; signal: AbortSignal },
) => Promise<Omit<HttpAnswer, 'firstHeaders'> | FetchFailure>;

async function follow(
  hop: Hop,
  start: URL,
  call: { headers?: HttpHeaders; signal: AbortSignal; trustedOrigins: readonly string[] },
): Promise<HttpAnswer | FetchFailure> {
  let url = start;
  let firstHeaders: HttpHeaders | undefined;
  for (let redirects = 0; redirects <= maxDownloadRedirects; redirects += 1) {
    if (!isAllowedProtocol(url, call.trustedOrigins)) {
      return fetchFailure('address_not_allowed', `${url.origin} is not an https: address.`);
    }
    const answer = await hop(url, call);
    if (answer.kind === 'failed') return answer;
    firstHeaders ??= answer.headers;
    const location = isRedirect(answer.status) ? answer.headers.location : undefined;
    if (location === undefined) return { ...answer, firstHeaders };
    discardBody(answer.body);
    if (!URL.canParse(location, url.href)) {
      return fetchFailure('bad_answer', `${url.host} redirects to an address that is none.`);
    }
    url = new URL(location, url);
  }
  return fetchFailure('bad_answer', `${start.host} redirects more than ${maxDownloadRedirects} ×.`);
}

/** Ends a body that nobody reads on. undici reports that as an error, which is none to us. */
export function discardBody(body: Readable): void {
  body.on('error', () => {});
  body.destroy();
}

function isAllowedProtocol(url: URL, trustedOrigins: readonly string[]): boolean {
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && trustedOrigins.includes(url.origin);
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

function refusedAddress(url: URL): FetchFailure | undefined {
  const address = literalAddress(url.hostname);
  if (address === undefined || isPublicAddress(address)) return undefined;
  return notAllowed(url.host);
}

function notAllowed(host: string): FetchFailure {
  return fetchFailure('address_not_allowed', `${host} is not a public address.`);
}

function flatten(headers: Record<string, string | string[] | undefined>): HttpHeaders {
  const flat: HttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name.toLowerCase()] = Array.isArray(value) ? value[0]! : value;
  }
  return flat;
}

const sentences: Record<string, string> = {
  ENOTFOUND: 'its name could not be resolved',
  EAI_AGAIN: 'its name could not be resolved now',
  ECONNREFUSED: 'it refused the connection',
  ECONNRESET: 'it closed the connection',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  ETIMEDOUT: 'it did not answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'it did not answer in time',
  UND_ERR_HEADERS_TIMEOUT: 'it accepted the request and did not answer in time',
  UND_ERR_SOCKET: 'it closed the connection',
};

/** What a connection that failed means, and whether trying again may help. */
export function connectionFailure(error: unknown, host: string): FetchFailure {
  const code = errorCode(error);
  if (code === addressNotAllowedCode) return notAllowed(host);
  if (code === 'UND_ERR_BODY_TIMEOUT') {
    return fetchFailure('stalled', `${host} stopped sending (${code}).`);
  }
  const why = (code === undefined ? undefined : sentences[code]) ?? 'the connection failed';
  return fetchFailure(
    'unreachable',
    `${host} could not be reached: ${why} (${code ?? 'unknown'}).`,
  );
}
