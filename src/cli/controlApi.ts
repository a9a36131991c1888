/**
 * Calls of the control routes with the management key: small JSON over HTTP or pinned TLS. What can
 * go wrong comes back as an outcome with a sentence that ends in the next step.
 */
import http from 'node:http';
import https from 'node:https';
import { pinnedConnect } from '../lib/pinnedTls.ts';
import type { Clock } from '../lib/clock.ts';
import type { Credentials } from './serverContext.ts';

/** Longest wait for an answer, in ms. */
const callTimeoutMs = 15_000;
/** Largest answer that is read, in bytes. */
const maxAnswerBytes = 16 * 1024 * 1024;

export type CallOutcome<Answer> =
  | { kind: 'ok'; answer: Answer }
  /** The server understood and said no. `code` is the envelope's. */
  | { kind: 'refused'; status: number; code: string | null; message: string }
  | { kind: 'unreachable'; message: string };

export interface ControlCall {
  method: 'GET' | 'POST' | 'DELETE';
  /** From `/api/v1`. */
  path: string;
  body?: unknown;
}

interface RawAnswer {
  status: number;
  text: string;
}

/** One call. Never rejects. The answer's shape is the server's promise (`api/control/`). */
export async function callControl<Answer>(
  parts: { credentials: Credentials; clock: Clock },
  call: ControlCall,
): Promise<CallOutcome<Answer>> {
  const { credentials } = parts;
  let raw: RawAnswer;
  try {
    raw = await exchange(parts, call);
  } catch (error) {
    return { kind: 'unreachable', message: whyUnreachable(error, credentials.server) };
  }
  const value = parseJson(raw.text);
  if (raw.status >= 200 && raw.status < 300) return { kind: 'ok', answer: value as Answer };
  const { error } = (value ?? {}) as { error?: { code?: unknown; message?: unknown } };
  const message =
    typeof error?.message === 'string' ? error.message : `the server answered ${raw.status}`;
  const code = typeof error?.code === 'string' ? error.code : null;
  return { kind: 'refused', status: raw.status, code, message };
}

function exchange(
  { credentials, clock }: { credentials: Credentials; clock: Clock },
  call: ControlCall,
): Promise<RawAnswer> {
  const url = new URL(`${credentials.server}${call.path}`);
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const secure = url.protocol === 'https:';
  const options: http.RequestOptions = {
    method: call.method,
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      authorization: `Bearer ${credentials.management_key}`,
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
    },
    // The socket comes by the callback, after the key was compared; the types know only net.Socket.
    // An agent, even `false`, would connect in its own way.
    ...(secure ? { createConnection: pinnedConnect(credentials.pin) as never } : { agent: false }),
  };
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).request(url, options);
    const timer = clock.setTimer(
      callTimeoutMs,
      () => request.destroy(new Error(`no answer within ${callTimeoutMs / 1000} s`)),
      { keepAlive: true },
    );
    request.on('close', () => timer.cancel());
    request.on('error', reject);
    request.on('response', (answer) => readAnswer(answer, { resolve, reject }));
    request.end(body);
  });
}

function readAnswer(
  answer: http.IncomingMessage,
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
    }),
  );
}

function whyUnreachable(error: unknown, server: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'XIM_PIN_MISMATCH') {
    return (
      `${server} has another key than the credentials say. Either it was set up anew (then copy ` +
      'its credentials.json again), or it is not the server that you mean.'
    );
  }
  const why = code === 'ECONNREFUSED' ? 'nothing listens there' : (code ?? message);
  return `${server} cannot be reached (${why}). Is the server running? Start it with: xim serve`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
