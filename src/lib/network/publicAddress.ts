/**
 * Which network addresses are public: loopback, link-local, private and reserved ranges are not,
 * also inside mapped and translated IPv6 addresses.
 */
import { BlockList, isIP } from 'node:net';

const closedV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

const closedV6: readonly (readonly [string, number])[] = [
  ['::', 128],
  ['::1', 128],
  ['100::', 64],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];

/** Prefixes under which an IPv4 address travels inside an IPv6 one. */
const embeddings = ['::ffff:', '64:ff9b::'];

const closed = new BlockList();
for (const [net, prefix] of closedV4) {
  closed.addSubnet(net, prefix, 'ipv4');
  for (const embedding of embeddings) closed.addSubnet(`${embedding}${net}`, 96 + prefix, 'ipv6');
}
for (const [net, prefix] of closedV6) closed.addSubnet(net, prefix, 'ipv6');

/** Whether an IP address lies in none of the closed ranges. What is no address is not public. */
export function isPublicAddress(address: string): boolean {
  const bare = address.split('%')[0] ?? '';
  const family = isIP(bare);
  if (family === 0) return false;
  return !closed.check(bare, family === 4 ? 'ipv4' : 'ipv6');
}

/** The host of a URL as an IP address, or undefined when it is a name. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}
