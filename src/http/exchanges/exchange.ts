/**
 * One request and its answer, on `node:http` itself: what every handler of the data plane, the
 * enrolment and the files is given. Puts the headers that stand on every answer, writes the
 * envelope, and keeps a connection from being held by a body that nobody reads.
 *
 * Invariants
 * X1 Every answer carries `x-request-id` and `openai-processing-ms`, errors included; one of a data
 *    route `x-xim-agent` and `x-xim-isolation`, too.
 * X2 A refusal's status, type and code come from the error table and from nowhere else.
 * X3 A body that was refused unread is drained for a bounded time only, then the connection closes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorEnvelope, errorTable, type ErrorName, type ErrorRow } from '../../api/errors.ts';
import type { Method } from '../../api/routes/routeRow.ts';
import type { Clock } from '../../lib/clock.ts';
import type { HttpMeter } from '../httpMeter.ts';
import { corsAnswerHeaders } from './corsHeaders.ts';
import { lingerMs, longestRetryAfterMs, smallBodyBytes } from '../limits.ts';
import type { RouteParams } from './routeMatcher.ts';

/** No agent has seen the request. */
const noAgent = ['x-xim-agent', 'none', 'x-xim-isolation', 'none'];

export interface RefusalDetails {
  param?: string | null;
  extra?: Record<string, unknown>;
  retryAfterMs?: number;
  /** False: to try again makes no sense, though other refusals of the row may be tried again. */
  shouldRetry?: false;
  headers?: readonly string[];
  allow?: readonly Method[];
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  /** Monotonic ms at which the head was read. */
  readonly arrivedAtMs: number;
  /** The caller's address (1.8: the socket's, or what a trusted proxy says). */
  readonly address: string;
  /** The target up to the query, as it came. */
  readonly path: string;
  /** The route's path, with `{names}`; empty until the table was asked. */
  pattern = '';
  params: RouteParams = {};
  /** Whether any page may read the answer (data routes), never with credentials. */
  cors = false;
  /** On data routes: the headers that say which agent was at it, as a flat list. */
  agentHeaders: readonly string[] = noAgent;
  /** The row of the error table that it was refused by; null: it was not, or not yet. */
  refusedAs: ErrorName | null = null;
  readonly clock: Clock;
  /** The client sends its body only when it is asked to (`Expect: 100-continue`). */
  private continueAwaited: boolean;
  private readonly meter: Pick<HttpMeter, 'refused'>;

  constructor(options: {
    request: IncomingMessage;
    response: ServerResponse;
    requestId: string;
    address: string;
    clock: Clock;
    /** The client waits to be asked for its body. */
    asks: boolean;
    meter: Pick<HttpMeter, 'refused'>;
  }) {
    this.meter = options.meter;
    this.request = options.request;
    this.response = options.response;
    this.requestId = options.requestId;
    this.address = options.address;
    this.clock = options.clock;
    this.continueAwaited = options.asks;
    this.arrivedAtMs = options.clock.monotonic();
    const target = options.request.url ?? '';
    const query = target.indexOf('?');
    this.path = query === -1 ? target : target.slice(0, query);
  }

  /** The body is wanted: tells a client that waits for this word. */
  askForBody(): void {
    if (!this.continueAwaited) return;
    this.continueAwaited = false;
    this.response.writeContinue();
  }

  /** X1: the headers of every answer, as a flat list of names and values. */
  baseHeaders(): string[] {
    const spentMs = Math.round(this.clock.monotonic() - this.arrivedAtMs);
    const headers = ['x-request-id', this.requestId, 'openai-processing-ms', String(spentMs)];
    if (this.cors) headers.push(...corsAnswerHeaders);
    return headers;
  }

  /** Answers with JSON. `headers` is a flat list of names and values. */
  json(status: number, body: unknown, headers: readonly string[] = []): void {
    const bytes = Buffer.from(JSON.stringify(body));
    this.bytes({ status, type: 'application/json', headers, body: bytes });
  }

  /** Answers without a body (204, redirects). */
  empty(status: number, headers: readonly string[] = []): void {
    if (this.response.headersSent || this.response.destroyed) return;
    this.forgetUnaskedBody();
    const length = status === 204 ? [] : ['content-length', '0'];
    this.response.writeHead(status, [...this.ownHeaders(), ...headers, ...length]);
    this.finish();
  }

  /** Answers with bytes of known length. */
  bytes(answer: { status: number; type: string; headers?: readonly string[]; body: Buffer }): void {
    if (this.response.headersSent || this.response.destroyed) return;
    this.forgetUnaskedBody();
    this.response.writeHead(answer.status, [
      ...this.ownHeaders(),
      ...(answer.headers ?? []),
      'content-type',
      answer.type,
      'content-length',
      String(answer.body.length),
    ]);
    this.finish(this.request.method === 'HEAD' ? undefined : answer.body);
  }

  /** X2: answers with the envelope of a row of the error table. */
  refuse(name: ErrorName, message: string, details: RefusalDetails = {}): void {
    const { retryAfterMs } = details;
    this.meter.refused(name);
    this.refusedAs = name;
    const headers = refusalHeaders(name, details);
    const extra = {
      ...details.extra,
      ...(retryAfterMs === undefined ? {} : { retry_after: retrySeconds(retryAfterMs) }),
    };
    const envelope = errorEnvelope(name, message, { param: details.param ?? null, extra });
    this.json(errorTable[name].status, envelope, headers);
  }

  /** Of an answer that no agent gave. */
  private ownHeaders(): string[] {
    const headers = this.baseHeaders();
    if (this.cors) headers.push(...this.agentHeaders);
    return headers;
  }

  /**
   * Whether the client sends the body it was not asked for is its choice: the connection must end.
   */
  private forgetUnaskedBody(): void {
    if (this.continueAwaited) this.response.shouldKeepAlive = false;
  }

  /** Ends the answer; X3 when a large part of the request was not read. */
  private finish(body?: Buffer): void {
    const { request, response } = this;
    if (request.complete || this.continueAwaited || !hasLargeBody(request)) {
      response.end(body);
      return;
    }
    // The client has the whole answer now; its connection ends when it stops sending or time is up.
    // Closing at once would reset the connection, and the answer with it.
    if (body === undefined) response.flushHeaders();
    else response.write(body);
    const timer = this.clock.setTimer(lingerMs, () => response.destroy());
    const done = (): void => {
      timer.cancel();
      response.end();
    };
    request.once('end', done);
    response.once('close', () => timer.cancel());
    request.resume();
  }
}

function hasLargeBody(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined) return true;
  return Number(request.headers['content-length'] ?? 0) > smallBodyBytes;
}

/** Headers that a refusal adds: when to come back, or that it makes no sense. */
export function refusalHeaders(name: ErrorName, details: RefusalDetails): string[] {
  const row: ErrorRow = errorTable[name];
  const headers = [...(details.headers ?? [])];
  if (row.status === 401) headers.push('www-authenticate', 'Bearer realm="xim"');
  if (row.retry === false || details.shouldRetry === false) headers.push('x-should-retry', 'false');
  if (details.allow !== undefined) headers.push('allow', details.allow.join(', '));
  const { retryAfterMs } = details;
  if (retryAfterMs !== undefined) {
    headers.push('retry-after', String(retrySeconds(retryAfterMs)));
    headers.push('retry-after-ms', String(Math.min(Math.ceil(retryAfterMs), longestRetryAfterMs)));
  }
  return headers;
}

/** As `Retry-After` says it. */
export function retrySeconds(retryAfterMs: number): number {
  return Math.max(1, Math.ceil(Math.min(retryAfterMs, longestRetryAfterMs) / 1000));
}
