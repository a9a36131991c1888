/**
 * Who is calling: the socket's address, unless the peer is a trusted proxy; then the nearest
 * address of `X-Forwarded-For` that is not a trusted proxy itself. And lists of addresses: which
 * ranges an API key may be used from.
 */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/** A compiled list of addresses and CIDR ranges. */
export interface AddressRanges {
  includes(address: string): boolean;
}

/** `::ffff:192.0.2.1` and `192.0.2.1` are one address. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped?.[1] ?? address;
}

/** Compiles addresses and ranges; what is neither matches nothing. */
export function addressRanges(list: readonly string[]): AddressRanges {
  const ranges = new BlockList();
  for (const entry of list) {
    const [address = '', prefix] = entry.split('/');
    const version = isIP(address);
    if (version === 0) continue;
    const family = version === 4 ? 'ipv4' : 'ipv6';
    const bits = prefix === undefined ? (version === 4 ? 32 : 128) : Number(prefix);
    if (!Number.isInteger(bits) || bits < 0 || bits > (version === 4 ? 32 : 128)) continue;
    ranges.addSubnet(address, bits, family);
  }
  return {
    includes(address) {
      const version = isIP(address);
      return version !== 0 && ranges.check(address, version === 4 ? 'ipv4' : 'ipv6');
    },
  };
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
