/** Opens the WebSocket of a link: pinned, without compression, with the link's subprotocol. */
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import type { Clock } from '../../lib/clock.ts';
import { pinnedConnect } from '../../lib/network/pinnedTls.ts';
import type { Transport } from '../../protocol/link.ts';
import { createWsTransport, linkSubprotocol, wsClientOptions } from '../../protocol/wsTransport.ts';
import { describeConnectionError, type ConnectionProblem } from '../joining/connectionError.ts';
import { linkConnectTimeoutMs } from '../limits.ts';

export type DialOutcome = { kind: 'open' } | ({ kind: 'failed' } & ConnectionProblem);

/** Opens the connection of a link: `dial` in the product, a simulated network in tests. */
export type Dial = (options: {
  url: URL;
  pin: string | null;
  clock: Clock;
  signal: AbortSignal;
  onOpen: (transport: Transport) => void;
}) => Promise<DialOutcome>;

/**
 * Dials once. `onOpen` is called in the turn in which the socket opens, before any message can be
 * lost; the transport is its owner's from then on. Aborting the signal fails an unfinished dial,
 * and so does `linkConnectTimeoutMs`: whoever answers one byte now and then is not waited for.
 */
export const dial: Dial = (options) => {
  const { url, pin, clock, signal } = options;
  if (signal.aborted) return Promise.resolve(failed('The agent is stopping.'));
  return new Promise((resolve) => {
    const socket = new WebSocket(url, linkSubprotocol, {
      ...wsClientOptions,
      ...(url.protocol === 'wss:' ? { createConnection: pinnedConnection(pin) } : {}),
    });
    const abort = (): void => socket.terminate();
    const deadline = clock.setTimer(linkConnectTimeoutMs, () => done(failed(tooLate)));
    const done = (outcome: DialOutcome): void => {
      deadline.cancel();
      signal.removeEventListener('abort', abort);
      socket.off('error', onError);
      if (outcome.kind === 'failed') {
        // The library reports the end of what it gives up as one more error.
        socket.on('error', () => {});
        socket.terminate();
      }
      resolve(outcome);
    };
    const onError = (error: Error): void => {
      done(
        signal.aborted
          ? failed('The agent is stopping.')
          : { kind: 'failed', ...describeConnectionError(error) },
      );
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.on('error', onError);
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      done(failed(refusal(response.statusCode ?? 0)));
    });
    socket.once('open', () => {
      options.onOpen(createWsTransport(socket));
      done({ kind: 'open' });
    });
  });
};

/** `ws` types this like `net.connect`; Node takes a socket that comes by callback as well. */
function pinnedConnection(
  pin: string | null,
): NonNullable<WebSocket.ClientOptions['createConnection']> {
  const connect: unknown = pinnedConnect(pin, { timeoutMs: linkConnectTimeoutMs });
  return connect as NonNullable<WebSocket.ClientOptions['createConnection']>;
}

const failed = (message: string): DialOutcome => ({ kind: 'failed', permanent: false, message });

const tooLate = `The server did not open the link within ${linkConnectTimeoutMs / 1000} s.`;

function refusal(status: number): string {
  if (status === 429) return 'The server takes no more links from this address for now (429).';
  if (status >= 500) return `The server cannot take a link now (${status}).`;
  return `The server refused the link (${status}): is its address, or the proxy before it, right?`;
}
