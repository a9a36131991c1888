/**
 * Calls of the server's enrolment routes: small JSON over one pinned connection. What can go wrong
 * comes back as an outcome; nothing here tries again.
 */
import { buildConnector, Client } from 'undici';
import type { z } from 'zod';
import type { Clock } from '../../lib/clock.ts';
import { pinnedConnect } from '../../lib/pinnedTls.ts';
import { controlCallTimeoutMs, maxControlAnswerBytes } from '../limits.ts';
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
  close(): Promise<void>;
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
    close: () => client.destroy(),
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
  const deadline = new AbortController();
  const timer = context.clock.setTimer(controlCallTimeoutMs, () => deadline.abort());
  try {
    const response = await context.client.request({
      path: context.prefix + call.path,
      method: call.method,
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: call.body === undefined ? null : JSON.stringify(call.body),
      signal: AbortSignal.any([call.signal, deadline.signal]),
    });
    const text = await readBounded(response.body);
    const retryAfter = response.headers['retry-after'];
    return judge({ call, status: response.statusCode, text, retryAfter: String(retryAfter) });
  } catch (error) {
    if (call.signal.aborted) return { kind: 'cancelled' };
    if (deadline.signal.aborted) {
      const message = `The server did not answer within ${controlCallTimeoutMs / 1000} s.`;
      return { kind: 'unavailable', permanent: false, message };
    }
    return { kind: 'unavailable', ...describeConnectionError(error) };
  } finally {
    timer.cancel();
  }
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

function judge<Answer>(seen: {
  call: Sending<Answer>;
  status: number;
  text: string | undefined;
  retryAfter: string;
}): CallOutcome<Answer> {
  const { call, status } = seen;
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
    const seconds = Number(seen.retryAfter);
    const wait = Number.isFinite(seconds) ? { retryAfterMs: Math.min(seconds, 3600) * 1000 } : {};
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
