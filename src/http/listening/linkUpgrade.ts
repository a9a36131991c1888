/**
 * The one WebSocket of the server: `/v1/agents/link` with the subprotocol `xim.link.1`. Everything
 * after the handshake is the router's; an upgrade of any other address is not even looked at.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { ErrorName } from '../../api/errors.ts';
import { linkServerOptions, type Router } from '../../router/router.ts';
import type { AddressLimiter } from '../addresses/addressLimiter.ts';

export const linkPath = '/v1/agents/link';
export const linkSubprotocol = 'xim.link.1';

export type LinkPlane = Pick<Router, 'acceptWebSocket'>;

export type RefuseUpgrade = (
  socket: Duplex,
  refusal: { name: ErrorName; message: string; retryAfterMs?: number },
) => void;

export interface LinkUpgrade {
  /** Whether the request asks for the link; other requests are served as if they asked nothing. */
  wants(request: IncomingMessage): boolean;
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export function createLinkUpgrade(options: {
  router: LinkPlane;
  limiter: AddressLimiter;
  addressOf: (request: IncomingMessage) => string;
  /** Largest message of a link, in bytes. */
  maxMessageBytes: number;
  draining: () => boolean;
  refuse: RefuseUpgrade;
}): LinkUpgrade {
  const { refuse } = options;
  const sockets = new WebSocketServer({
    ...linkServerOptions,
    noServer: true,
    maxPayload: options.maxMessageBytes,
  });
  sockets.on('wsClientError', (_error, socket) => {
    const message = 'The WebSocket handshake of the agent link is malformed.';
    refuse(socket, { name: 'malformed_request', message });
  });

  return {
    wants: (request) =>
      (request.url ?? '').split('?', 1)[0] === linkPath &&
      request.headers.upgrade?.toLowerCase() === 'websocket',
    accept(request, socket, head) {
      if (options.draining()) {
        const message = 'The server is shutting down.';
        return refuse(socket, { name: 'shutting_down', message, retryAfterMs: 5_000 });
      }
      const address = options.addressOf(request);
      const admitted = options.limiter.take(address);
      if (!admitted.ok) {
        const message = 'Too many links were opened from this address.';
        const { retryAfterMs } = admitted;
        return refuse(socket, { name: 'rate_limited_requests', message, retryAfterMs });
      }
      if (!offersLink(request)) {
        const message = `The agent link speaks the subprotocol ${linkSubprotocol}.`;
        return refuse(socket, { name: 'malformed_request', message });
      }
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        options.router.acceptWebSocket(webSocket, { address });
      });
    },
  };
}

function offersLink(request: IncomingMessage): boolean {
  const offered = request.headers['sec-websocket-protocol'] ?? '';
  return offered.split(',').some((name) => name.trim() === linkSubprotocol);
}
