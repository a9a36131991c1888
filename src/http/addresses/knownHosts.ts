/**
 * The names that this server answers to: the configured public URL, the addresses it is bound to
 * and the names of the machine itself. The Host header is never believed: it is only compared with
 * these (product rules 1.8), for two questions.
 *
 * 1. Which host did an agent sign when it enrolled? The one it was given. A proxy may rewrite Host,
 *    so every name of ours is a candidate; a signature made for a foreign server fits none of them.
 * 2. Is the page that sends a change ours? Its `Origin` must be one of these names, with our
 *    scheme.
 *
 * A server that is reached by another name (DNS, port forwarding) must be told its public URL.
 */
import { hostname, networkInterfaces } from 'node:os';
import { hostCandidates } from '../limits.ts';

export interface KnownHosts {
  /** `host[:port]` as a URL shows it, without the scheme's own port. */
  has(host: string): boolean;
  /** Names that an agent may have signed, likeliest first. */
  candidates(hostHeader: string | undefined): string[];
  isOwnOrigin(origin: string): boolean;
  /** Base for links that leave the server, without a slash at the end. */
  publicBase(): string;
}

const wildcards = new Set(['0.0.0.0', '::']);

/** `bound` is what the listener got; `secure` whether it speaks TLS itself. */
export function createKnownHosts(options: {
  /** From configuration, as others reach the server; a path after the host is kept in links. */
  publicUrl: string;
  secure: boolean;
  bound: { address: string; port: number };
}): KnownHosts {
  const { secure, bound } = options;
  const scheme = secure ? 'https' : 'http';
  const publicUrl = new URL(options.publicUrl);
  const withPort = (name: string): string => new URL(`${scheme}://${name}:${bound.port}`).host;

  // Interfaces come and go (VPN, DHCP), so they are asked for each time; no hot path comes here.
  const ownHosts = (): string[] => [publicUrl.host, ...ownNames(bound.address).map(withPort)];

  return {
    has: (host) => ownHosts().includes(host.toLowerCase()),
    candidates(hostHeader) {
      const own = ownHosts();
      const given = normalHost(hostHeader, scheme);
      const first = given !== undefined && own.includes(given) ? [given] : [];
      return [...new Set([...first, ...own])].slice(0, hostCandidates);
    },
    isOwnOrigin(origin) {
      if (origin === publicUrl.origin) return true;
      return ownNames(bound.address).some((name) => origin === `${scheme}://${withPort(name)}`);
    },
    publicBase: () => publicUrl.href.replace(/\/+$/, ''),
  };
}

function ownNames(address: string): string[] {
  const loopback = ['localhost', '127.0.0.1', '[::1]'];
  if (!wildcards.has(address)) return [...new Set([urlName(address), ...loopback])];
  const addresses = Object.values(networkInterfaces())
    .flat()
    // A link-local address carries the name of our interface, which is not the caller's.
    .filter((one) => one !== undefined && !one.address.startsWith('fe80'))
    .map((one) => urlName(one?.address ?? ''));
  const machine = hostname().toLowerCase();
  // A machine may be called what no URL can spell.
  const names = URL.canParse(`http://${machine}`) ? [machine] : [];
  return [...new Set([...addresses, ...names, ...loopback])];
}

/** An address as it stands in a URL. */
function urlName(address: string): string {
  return address.includes(':') ? `[${address}]` : address.toLowerCase();
}

function normalHost(header: string | undefined, scheme: string): string | undefined {
  if (header === undefined || !/^[\w.:[\]-]{1,255}$/.test(header)) return undefined;
  const url = URL.parse(`${scheme}://${header}`);
  return url === null ? undefined : url.host;
}
