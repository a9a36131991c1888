/**
 * TLS to a server whose public key is known beforehand (a private certificate), or to one that the
 * system's certificate authorities vouch for.
 *
 * Invariants
 * P1 With a pin, the socket is handed over only after the server's key was compared: not one byte
 *    of ours, and so no token, reaches a server with another key. Names and dates are not looked
 *    at, because the key says more than they do.
 * P2 Without a pin, the certificate must be valid for the host, as everywhere.
 *
 * The pin is written as curl's `--pinnedpubkey` takes it: `sha256//` and the base64 of the SHA-256
 * of the DER of the SubjectPublicKeyInfo (RFC 7469, section 2.4, names the same digest).
 */
import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';

export const pinPattern = /^sha256\/\/[A-Za-z0-9+/]{43}=$/;

/** The server has another key than the pin says. Final: trying again does not help. */
export class PinMismatchError extends Error {
  readonly code = 'XIM_PIN_MISMATCH';
  readonly expected: string;
  readonly seen: string;
  constructor(options: { expected: string; seen: string }) {
    super(`the server's key is ${options.seen}, expected ${options.expected}`);
    this.name = 'PinMismatchError';
    this.expected = options.expected;
    this.seen = options.seen;
  }
}

/** The pin of a public key. */
export function pinOfPublicKey(key: KeyObject): string {
  const spki = key.export({ type: 'spki', format: 'der' });
  return `sha256//${createHash('sha256').update(spki).digest('base64')}`;
}

/** What `node:http` gives to a `createConnection` of ours. */
export interface ConnectTarget {
  host?: string | null | undefined;
  port?: number | string | null | undefined;
  servername?: string | undefined;
}

type Connected = (error: Error | null, socket: tls.TLSSocket) => void;

/**
 * A `createConnection` for `https.request` and for `ws`. Give no `agent` beside it, not even
 * `false`: an agent connects in its own way and asks nobody. `timeoutMs` bounds the time without a
 * byte until the handshake is over (default 15 s).
 */
export function pinnedConnect(
  pin: string | null,
  options: { timeoutMs?: number } = {},
): (target: ConnectTarget, connected: Connected) => undefined {
  if (pin !== null && !pinPattern.test(pin)) throw new Error('not a pin');
  return (target, connected) => {
    const host = (target.host ?? 'localhost').replace(/^\[(.*)\]$/, '$1');
    const socket = tls.connect({
      host,
      port: Number(target.port ?? 443),
      rejectUnauthorized: pin === null,
      ALPNProtocols: ['http/1.1'],
      ...(net.isIP(host) === 0 ? { servername: target.servername || host } : {}),
    });
    handOver({ socket, pin, timeoutMs: options.timeoutMs ?? 15_000 }, connected);
    return undefined;
  };
}

/** Calls back exactly once: with the socket whose key was compared (P1), or with the error. */
function handOver(
  { socket, pin, timeoutMs }: { socket: tls.TLSSocket; pin: string | null; timeoutMs: number },
  connected: Connected,
): void {
  const fail = (error: Error): void => {
    socket.destroy();
    connected(error, socket);
  };
  const onTimeout = (): void => {
    socket.off('error', fail);
    fail(new Error('the TLS handshake took too long'));
  };
  socket.once('error', fail);
  socket.setTimeout(timeoutMs, onTimeout);
  socket.once('secureConnect', () => {
    socket.off('error', fail);
    socket.off('timeout', onTimeout);
    socket.setTimeout(0);
    const seen = pin === null ? null : pinOfPeer(socket);
    if (seen !== pin) {
      return fail(new PinMismatchError({ expected: pin ?? '', seen: seen ?? '' }));
    }
    socket.setNoDelay(true);
    connected(null, socket);
  });
}

/**
 * The pin of whatever answers there, for a person to compare. Nothing is sent beyond the handshake.
 * Null: nobody does, or not by TLS.
 */
export function seenPin(url: URL, options: { timeoutMs?: number } = {}): Promise<string | null> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const name = net.isIP(host) === 0 ? { servername: host } : {};
  const port = Number(url.port || 443);
  return new Promise((resolve) => {
    const socket = tls.connect({ host, port, rejectUnauthorized: false, ...name });
    const end = (pin: string | null): void => {
      socket.destroy();
      resolve(pin);
    };
    socket.setTimeout(options.timeoutMs ?? 15_000, () => end(null));
    socket.once('error', () => end(null));
    socket.once('secureConnect', () => end(pinOfPeer(socket)));
  });
}

function pinOfPeer(socket: tls.TLSSocket): string {
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? 'none' : pinOfPublicKey(certificate.publicKey);
}
