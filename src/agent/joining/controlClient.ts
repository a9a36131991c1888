/**
 * Calls of the server's enrolment routes: small JSON over one pinned connection. What can go wrong
 * comes back as an outcome; nothing here tries again.
 */
import { buildConnector, Client } from 'undici';
import type { z } from 'zod';
import type { Clock } from '../../lib/clock.ts';
import { pinnedConnect } from '../../lib/network/pinnedTls.ts';
import { controlCallTimeoutMs, longestServerPauseMs, maxControlAnswerBytes } from '../limits.ts';
import { describeConnectionError } from './connectionError.ts';
import type { ServerAddress } from './serverAddress.ts';

export type CallOutcome<Answer> =
  | { kind: 'ok'; answer: Answer }
  /** The server understood and said no (4xx). `code` is the envelope's, null when it has none. */
  | { kind: 'refused'; status: number; code: string | null; message: string }
  /** Not now: network, 5xx, 408, 429. `permanent`: time alone will not cure it. */
  | { kind: 'unavailable'; permanent: boolean; message: string; retryAfterMs?: number }
  | { kind: 'cancelled' };

export interface ControlClient {
  get<Answer>(call: Call<Answer>): Promise<CallOutcome<Answer>>;
  post<Answer>(call: Call<Answer> & { body: unknown }): Promise<CallOutcome<Answer>>;
  /** Cancels what runs. Idempotent. */
  close(): void;
}

interface Call<Answer> {
  /** Below the server's base, e.g. `/v1/enroll`. */
  path: string;
  schema: z.ZodType<Answer>;
  signal: AbortSignal;
}

export function createControlClient(options: {
  address: ServerAddress;
  clock: Clock;
}): ControlClient {
  const url = new URL(options.address.base);
  const client = new Client(url.origin, { connect: connectorOf(options.address) });
  const prefix = url.pathname.replace(/\/$/, '');
  const context = { client, prefix, clock: options.clock };
  return {
    get: (call) => send(context, { ...call, method: 'GET' }),
    post: (call) => send(context, { ...call, method: 'POST' }),
    close() {
      // Not waited for: a host name that is being looked up would hold it. What is opened by then
      // is closed by the library, which rejects only when it is told twice.
      void client.destroy().catch(() => undefined);
    },
  };
}

/** Compares the pin before the first byte; plain TCP is for loopback (checked with the address). */
function connectorOf(address: ServerAddress): buildConnector.connector {
  const plain = buildConnector({ timeout: controlCallTimeoutMs });
  const pinned = pinnedConnect(address.pin, { timeoutMs: controlCallTimeoutMs });
  return (target, callback) => {
    if (target.protocol !== 'https:') return plain(target, callback);
    return pinned({ host: target.hostname, port: target.port }, (error, socket) => {
      if (error === null) callback(null, socket);
      else callback(error, null);
    });
  };
}

interface Sending<Answer> extends Call<Answer> {
  method: 'GET' | 'POST';
  body?: unknown;
}

async function send<Answer>(
  context: { client: Client; prefix: string; clock: Clock },
  call: Sending<Answer>,
): Promise<CallOutcome<Answer>> {
  if (call.signal.aborted) return { kind: 'cancelled' };
  const cut = new AbortController();
  const end = (): void => cut.abort();
  const timer = context.clock.setTimer(controlCallTimeoutMs, end);
  call.signal.addEventListener('abort', end, { once: true });
  try {
    // The library hears of an abort only once it is connected, and a look-up of a name takes long.
    const seen = exchange(context, call, cut.signal);
    return judge(call, await Promise.race([seen, rejection(cut.signal)]));
  } catch (error) {
    if (call.signal.aborted) return { kind: 'cancelled' };
    if (cut.signal.aborted) {
      const message = `The server did not answer within ${controlCallTimeoutMs / 1000} s.`;
      return { kind: 'unavailable', permanent: false, message };
    }
    return { kind: 'unavailable', ...describeConnectionError(error) };
  } finally {
    timer.cancel();
    call.signal.removeEventListener('abort', end);
  }
}

interface RawAnswer {
  status: number;
  /** Undefined when it is larger than any answer of these routes. */
  text: string | undefined;
  retryAfter: string;
}

async function exchange(
  { client, prefix }: { client: Client; prefix: string },
  call: Sending<unknown>,
  signal: AbortSignal,
): Promise<RawAnswer> {
  const { statusCode, headers, body } = await client.request({
    path: prefix + call.path,
    method: call.method,
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: call.body === undefined ? null : JSON.stringify(call.body),
    signal,
  });
  const text = await readBounded(body);
  return { status: statusCode, text, retryAfter: String(headers['retry-after']) };
}

/** Rejects with the signal's reason as soon as it aborts. */
function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** The body as text; undefined when it is larger than any answer of these routes. */
async function readBounded(body: AsyncIterable<Buffer>): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxControlAnswerBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function judge<Answer>(call: Sending<Answer>, seen: RawAnswer): CallOutcome<Answer> {
  const { status } = seen;
  const value = parseJson(seen.text ?? '');
  if (status >= 200 && status < 300) {
    const parsed = call.schema.safeParse(value);
    if (parsed.success) return { kind: 'ok', answer: parsed.data };
    const message = `The answer of ${call.path} is not ours: is the server's address right?`;
    return { kind: 'unavailable', permanent: true, message };
  }
  const envelope = errorOf(value);
  if (status >= 500 || status === 408 || status === 429) {
    const message = `The server answered ${status}${envelope ? `: ${envelope.message}` : '.'}`;
    const pauseMs = Number(seen.retryAfter) * 1000;
    const wait = pauseMs > 0 ? { retryAfterMs: Math.min(pauseMs, longestServerPauseMs) } : {};
    return { kind: 'unavailable', permanent: false, message, ...wait };
  }
  if (status < 400 || envelope === undefined) {
    const message = `${call.path} answered ${status}: is the server's address right?`;
    return { kind: 'refused', status, code: null, message };
  }
  return { kind: 'refused', status, ...envelope };
}

function errorOf(value: unknown): { code: string | null; message: string } | undefined {
  const { error } = (value ?? {}) as { error?: { code?: unknown; message?: unknown } };
  if (typeof error?.message !== 'string') return undefined;
  return { code: typeof error.code === 'string' ? error.code : null, message: error.message };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
