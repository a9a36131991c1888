/**
 * Where the server is and how its certificate is known, checked before a byte is sent.
 *
 * Invariant
 * V1 Off loopback everything travels in TLS; a plain address there is refused, not upgraded.
 */
import { isIP } from 'node:net';
import { pinPattern } from '../../lib/network/pinnedTls.ts';

export interface ServerAddress {
  /**
   * Origin and path prefix, without a slash at the end: `https://host:8443` or
   * `https://host/xim`.
   */
  base: string;
  /** `host[:port]` as the server is told that the agent was given it. */
  host: string;
  /** `sha256//…` of a private certificate; null = a public authority vouches, or plain loopback. */
  pin: string | null;
}

export type AddressOutcome =
  | { kind: 'ok'; address: ServerAddress }
  | { kind: 'invalid'; message: string };

/** Reads the server's address as the owner gave it. */
export function parseServerAddress(given: { url: string; pin: string | null }): AddressOutcome {
  const url = URL.canParse(given.url) ? new URL(given.url) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    return invalid(`The server address "${given.url}" must look like https://host:port.`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    return invalid('The server address must be host, port and path only.');
  }
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    return invalid(
      `The server address ${url.origin} is plain HTTP to another machine: the join key and every ` +
        'request would be readable on the way. Use its https:// address, as the pasted line does.',
    );
  }
  if (given.pin !== null && !pinPattern.test(given.pin)) {
    return invalid('The pin must look like sha256//…= (44 characters of base64).');
  }
  if (given.pin !== null && url.protocol === 'http:') {
    return invalid('A pin was given, but the server address is plain HTTP: use its https:// one.');
  }
  const base = url.origin + url.pathname.replace(/\/+$/, '');
  return { kind: 'ok', address: { base, host: url.host, pin: given.pin } };
}

/**
 * The link's WebSocket address: what the server named, which may be relative to its own address.
 */
export function parseLinkUrl(
  address: ServerAddress,
  linkUrl: string,
): { kind: 'ok'; url: URL } | { kind: 'invalid'; message: string } {
  const base = `${address.base}/`;
  if (!URL.canParse(linkUrl, base)) {
    return invalid(`The server named a link address that is none: "${linkUrl}".`);
  }
  const url = new URL(linkUrl, base);
  if (url.protocol === 'https:') url.protocol = 'wss:';
  if (url.protocol === 'http:') url.protocol = 'ws:';
  if (url.protocol !== 'wss:' && url.protocol !== 'ws:') {
    return invalid(`The server named a link address that is no WebSocket: "${linkUrl}".`);
  }
  if (url.protocol === 'ws:' && !isLoopbackHost(url.hostname)) {
    return invalid(
      `The server named the plain link address ${url.href} on another machine, not wss://. ` +
        'Start the server with TLS, or with --behind-proxy and its public https:// URL.',
    );
  }
  return { kind: 'ok', url };
}

/** Whether a URL's host name is this machine itself. */
export function isLoopbackHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) === 4) return host.startsWith('127.');
  return host === '::1' || host === 'localhost' || host.endsWith('.localhost');
}

const invalid = (message: string): { kind: 'invalid'; message: string } => ({
  kind: 'invalid',
  message,
});
