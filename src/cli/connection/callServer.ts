/**
 * Calls of the control routes: small JSON over HTTP or pinned TLS. What can go wrong comes back as
 * an outcome with a sentence that ends in the next step.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { base32 } from '../../lib/ids.ts';
import type { Random } from '../../lib/random.ts';
import type { ContextAuth } from './contextStore.ts';
import {
  openRequest,
  unreachableReason,
  unreachableText,
  type RequestHead,
  type ServerAddress,
  type UnreachableReason,
} from './openRequest.ts';

/**
 * Longest wait for an answer, in ms. A creation writes three times (its idempotency key, the thing,
 * the answer), and a database that has a bad hour takes seconds for each.
 */
const callTimeoutMs = 60_000;
/** Largest answer that is read, in bytes. */
const maxAnswerBytes = 16 * 1024 * 1024;

export type CallOutcome<Answer> =
  | { kind: 'ok'; answer: Answer; headers: IncomingMessage['headers'] }
  /** The server understood and said no. `code` is the envelope's. */
  | { kind: 'refused'; status: number; code: string | null; message: string }
  | { kind: 'unreachable'; reason: UnreachableReason; message: string };

export interface ServerCall {
  method: RequestHead['method'];
  /** From `/api/v1`. */
  path: string;
  /** What is undefined is left out. */
  query?: Readonly<Record<string, string | number | undefined>>;
  body?: unknown;
  /** Only if the thing still has this version. */
  ifVersion?: number | undefined;
  /**
   * It makes something: the call carries a key by which the server knows it again, and is repeated
   * once when the connection breaks.
   */
  creates?: boolean;
}

export interface CallParts {
  address: ServerAddress;
  /** Null: nobody yet. */
  auth: ContextAuth | null;
  clock: Clock;
  random: Random;
}

interface RawAnswer {
  status: number;
  text: string;
  headers: IncomingMessage['headers'];
}

/** One call. Never rejects. The answer's shape is the server's promise (`api/control/`). */
export async function callServer<Answer>(
  parts: CallParts,
  call: ServerCall,
): Promise<CallOutcome<Answer>> {
  const headers = headersOf(parts, call);
  let raw: RawAnswer;
  try {
    raw = await exchange(parts, call, headers);
  } catch (error) {
    const again = call.creates === true && unreachableReason(error) === 'no_connection';
    if (!again) return unreachable(error, parts.address);
    try {
      raw = await exchange(parts, call, headers);
    } catch (second) {
      return unreachable(second, parts.address);
    }
  }
  const value = parseJson(raw.text);
  if (raw.status >= 200 && raw.status < 300) {
    return { kind: 'ok', answer: value as Answer, headers: raw.headers };
  }
  return { kind: 'refused', status: raw.status, ...refusalOf(value, raw.status) };
}

/** What the envelope of a refusal says. */
export function refusalOf(
  value: unknown,
  status: number,
): { code: string | null; message: string } {
  const { error } = (value ?? {}) as { error?: { code?: unknown; message?: unknown } };
  const message =
    typeof error?.message === 'string' ? error.message : `the server answered ${status}`;
  return { code: typeof error?.code === 'string' ? error.code : null, message };
}

function unreachable(error: unknown, { server }: ServerAddress): CallOutcome<never> {
  const reason = unreachableReason(error);
  return { kind: 'unreachable', reason, message: unreachableText(error, server) };
}

/**
 * How a caller shows who they are. A session's changes name our own origin, as the server's pages
 * do: a cookie alone changes nothing.
 */
export function authHeaders(auth: ContextAuth | null, server: string): OutgoingHttpHeaders {
  const { origin } = new URL(server);
  if (auth === null) return { origin };
  if (auth.kind === 'key') return { authorization: `Bearer ${auth.key}` };
  return { cookie: auth.cookie, origin };
}

function headersOf({ auth, address, random }: CallParts, call: ServerCall): OutgoingHttpHeaders {
  return {
    accept: 'application/json',
    'content-type': 'application/json',
    ...authHeaders(auth, address.server),
    ...(call.ifVersion === undefined ? {} : { 'if-match': `"${call.ifVersion}"` }),
    ...(call.creates === true ? { 'idempotency-key': base32(random.bytes(16)) } : {}),
  };
}

function exchange(
  { address, clock }: CallParts,
  call: ServerCall,
  headers: OutgoingHttpHeaders,
): Promise<RawAnswer> {
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const path = `${call.path}${queryText(call.query ?? {})}`;
  const head = { method: call.method, path, headers: { ...headers, ...length } };
  return new Promise((resolve, reject) => {
    const request = openRequest(address, head);
    const timer = clock.setTimer(
      callTimeoutMs,
      () => request.destroy(new Error(`no answer within ${callTimeoutMs / 1000} s`)),
      { keepAlive: true },
    );
    request.on('close', () => timer.cancel());
    request.on('error', (error) => {
      // A connection that was refused on our side is not closed by every Node.
      timer.cancel();
      reject(error);
    });
    request.on('response', (answer) => readAnswer(answer, { resolve, reject }));
    request.end(body);
  });
}

/** `?a=1&b=2`, or nothing. */
export function queryText(query: NonNullable<ServerCall['query']>): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

function readAnswer(
  answer: IncomingMessage,
  done: { resolve: (raw: RawAnswer) => void; reject: (error: Error) => void },
): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  answer.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > maxAnswerBytes) answer.destroy(new Error('the answer is too large'));
    else parts.push(part);
  });
  answer.on('error', done.reject);
  answer.on('end', () =>
    done.resolve({
      status: answer.statusCode ?? 0,
      text: Buffer.concat(parts).toString('utf8'),
      headers: answer.headers,
    }),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
