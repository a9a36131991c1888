/**
 * The socket side of the server: one `node:http` or `node:https` listener, its bounds and timeouts,
 * and an answer for whatever never becomes a request.
 *
 * Invariants
 * H1 What cannot be parsed, is too large or too slow is answered in the envelope, once, and only
 *    where that cannot cut into another answer of the connection.
 * H2 After `drain` began nothing new starts; what runs may end within `drainMs`, then it is cut.
 * H3 Each connection, its pipeline and its headers are bounded (`limits.ts`), and so is the time
 *    for which it may leave a complete answer unread.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ErrorName } from '../../api/errors.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { createConnections, type Connections } from './connections.ts';
import type { Dispatch } from '../exchanges/dispatch.ts';
import { Exchange } from '../exchanges/exchange.ts';
import type { HttpMeter } from '../httpMeter.ts';
import type { HttpLimits } from '../limits.ts';
import type { LinkUpgrade, RefuseUpgrade } from './linkUpgrade.ts';
import { refuseRaw } from './rawAnswer.ts';
import { createRequestIds } from '../exchanges/requestIds.ts';
import { cutWhenUnread } from './unreadAnswer.ts';

/** PEM texts. */
export interface TlsFiles {
  key: string;
  cert: string;
}

export interface ListenerOptions {
  limits: HttpLimits;
  dispatch: Dispatch;
  meter: HttpMeter;
  /** Made with the way in which a refused upgrade is answered. */
  link: (refuse: RefuseUpgrade) => LinkUpgrade;
  addressOf: (request: IncomingMessage) => string;
  log: Logger;
  clock: Clock;
  random: Random;
  tls: TlsFiles | undefined;
}

export interface Listener {
  /** Rejects when the address is taken or not this machine's. */
  listen(where: { host: string; port: number }): Promise<AddressInfo>;
  /** H2. Idempotent. */
  drain(): Promise<void>;
  /** Cuts every connection. Idempotent. */
  close(): Promise<void>;
  /** Requests that are not answered yet. */
  running(): number;
}

export function createListener(options: ListenerOptions): Listener {
  const { limits, clock, log, meter } = options;
  const newRequestId = createRequestIds(options);
  const draining = new AbortController();
  const connections = createConnections(limits.pipelinedRequests);
  const exchanges = new RunningCount(meter);
  const refuse: RefuseUpgrade = (socket, refusal) => {
    meter.refused(refusal.name);
    refuseRaw(socket, { ...refusal, requestId: newRequestId(), clock });
  };
  const link = options.link(refuse);
  const server = newServer(options, link);
  const serve = createServe(options, {
    newRequestId,
    connections,
    exchanges,
    draining: draining.signal,
  });
  server.on('request', (request, response) => serve({ request, response, asks: false }));
  server.on('checkContinue', (request, response) => serve({ request, response, asks: true }));
  // Other expectations need not be met (RFC 9110, 10.1.1).
  server.on('checkExpectation', (request, response) => serve({ request, response, asks: false }));
  // The server forgets a connection that was upgraded; `close` must not.
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (request, socket, head) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    link.accept(request, socket, head);
  });
  server.on('connect', (_request, socket) => {
    refuse(socket, { name: 'method_not_supported', message: 'This server is no proxy.' });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!connections.broke(socket)) return;
    const refusal = refusalOf(error.code, limits);
    log.debug({ code: error.code }, 'a connection sent no usable request');
    if (refusal === undefined || !connections.mayAnswer(socket)) socket.destroy();
    else refuse(socket, refusal);
  });

  return {
    running: () => exchanges.count,
    listen: (where) => listen(server, { ...where, log }),
    async drain() {
      if (draining.signal.aborted) return;
      draining.abort();
      server.close();
      server.closeIdleConnections();
      if (exchanges.count > 0) await sleep(clock, limits.drainMs, exchanges.whenNone());
      server.closeAllConnections();
    },
    async close() {
      draining.abort();
      const closed = new Promise<void>((resolve) => {
        if (server.listening) server.close(() => resolve());
        else resolve();
      });
      server.closeAllConnections();
      for (const socket of upgraded) socket.destroy();
      await closed;
    },
  };
}

/** Requests that are not answered yet. */
class RunningCount {
  count = 0;
  private readonly meter: HttpMeter;
  private onNone: (() => void) | undefined;

  constructor(meter: HttpMeter) {
    this.meter = meter;
  }

  add(response: ServerResponse): void {
    this.count += 1;
    this.meter.began();
    response.once('close', () => {
      this.count -= 1;
      this.meter.ended(response.headersSent ? response.statusCode : 0);
      if (this.count === 0) this.onNone?.();
    });
  }

  /** Aborts when the last one of those that run now has ended. */
  whenNone(): AbortSignal {
    const none = new AbortController();
    this.onNone = () => none.abort();
    return none.signal;
  }
}

interface Incoming {
  request: IncomingMessage;
  response: ServerResponse;
  /** The client waits to be asked for its body. */
  asks: boolean;
}

/** From a request to its exchange, or to the end of its connection (H3). */
function createServe(
  options: ListenerOptions,
  state: {
    newRequestId: () => string;
    connections: Connections;
    exchanges: RunningCount;
    draining: AbortSignal;
  },
): (incoming: Incoming) => void {
  const { limits, clock, meter } = options;
  const { newRequestId, connections, exchanges, draining } = state;
  return ({ request, response, asks }) => {
    exchanges.add(response);
    response.once('prefinish', () => {
      // The network has nearly always taken all of it by then.
      const bytes = response.socket?.writableLength ?? 0;
      if (bytes > 0) cutWhenUnread(response, { bytes, pace: limits, clock });
    });
    if (draining.aborted) response.shouldKeepAlive = false;
    const requestId = newRequestId();
    const address = options.addressOf(request);
    const about = { clock, asks, requestId, address, meter };
    const exchange = new Exchange({ request, response, ...about });
    switch (connections.began(request.socket, response)) {
      case 'serve':
        options.dispatch(exchange);
        return;
      case 'refuse': {
        response.shouldKeepAlive = false;
        const message = `A connection may have ${limits.pipelinedRequests} requests under way.`;
        exchange.refuse('malformed_request', message);
        return;
      }
      case 'cut':
        request.socket.destroy();
    }
  };
}

function listen(
  server: Server,
  { host, port, log }: { host: string; port: number; log: Logger },
): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      server.on('error', (error) => log.error({ err: error }, 'the listener failed'));
      resolve(server.address() as AddressInfo);
    });
  });
}

function newServer({ limits, tls }: ListenerOptions, link: LinkUpgrade): Server {
  const settings = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.timeoutCheckMs,
    noDelay: true,
    // Finds peers that vanished without a word (a machine switched off), in the kernel.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    // A missing Host is answered by our own rules: nothing is built from it (1.8).
    requireHostHeader: false,
    shouldUpgradeCallback: (request: IncomingMessage) => link.wants(request),
  };
  const server =
    tls === undefined
      ? createServer(settings)
      : createTlsServer({ ...settings, ...tls, minVersion: 'TLSv1.2' });
  server.maxConnections = limits.connections;
  server.maxHeadersCount = limits.headerLines;
  return server;
}

/** Undefined: there is nobody left to tell. */
function refusalOf(
  code: string | undefined,
  limits: HttpLimits,
): { name: ErrorName; message: string } | undefined {
  switch (code) {
    case 'ECONNRESET':
    case 'EPIPE':
      return undefined;
    case 'HPE_HEADER_OVERFLOW':
      return {
        name: 'headers_too_large',
        message:
          `Request line and headers may have ${limits.headerBytes} bytes together, ` +
          `in at most ${limits.headerLines} lines.`,
      };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { name: 'request_timeout', message: 'The request did not arrive in time.' };
    default:
      return { name: 'malformed_request', message: 'The request is not valid HTTP/1.1.' };
  }
}
