/**
 * Who is calling: the socket's address, unless the peer is a trusted proxy; then the nearest
 * address of `X-Forwarded-For` that is not a trusted proxy itself.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { addressRanges } from '../../lib/network/addressRanges.ts';

/** `::ffff:192.0.2.1` and `192.0.2.1` are one address. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped?.[1] ?? address;
}

const loopback = addressRanges(['127.0.0.0/8', '::1']);

export function isLoopback(address: string): boolean {
  return loopback.includes(address);
}

/** Finds the caller of a request. `trustedProxies` are addresses and ranges. */
export function createClientAddress(
  trustedProxies: readonly string[],
): (request: IncomingMessage) => string {
  const trusted = addressRanges(trustedProxies);
  return (request) => {
    const peer = plainAddress(request.socket.remoteAddress ?? '');
    if (trustedProxies.length === 0 || !trusted.includes(peer)) return peer;
    const forwarded = request.headers['x-forwarded-for'];
    const hops = (Array.isArray(forwarded) ? forwarded.join(',') : (forwarded ?? '')).split(',');
    for (const hop of hops.toReversed()) {
      const address = plainAddress(hop.trim());
      // What a proxy did not write as an address was written by somebody else.
      if (isIP(address) === 0) return peer;
      if (!trusted.includes(address)) return address;
    }
    return peer;
  };
}
