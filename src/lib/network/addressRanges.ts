/** Lists of addresses and CIDR ranges: which proxies are trusted, where a key may be used from. */
import { BlockList, isIP } from 'node:net';

/** A compiled list. */
export interface AddressRanges {
  includes(address: string): boolean;
}

interface Range {
  address: string;
  family: 'ipv4' | 'ipv6';
  bits: number;
}

/**
 * Undefined: neither an address nor a range. An IPv4 address in IPv6 clothes is none either:
 * callers are known by their plain address, which it would never match.
 */
function parse(text: string): Range | undefined {
  const [, address = '', prefix] = /^([0-9A-Fa-f:.]{2,45})(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0 || /^::ffff:\d+\./i.test(address)) return undefined;
  const most = version === 4 ? 32 : 128;
  const bits = prefix === undefined ? most : Number(prefix);
  if (bits > most) return undefined;
  return { address, family: version === 4 ? 'ipv4' : 'ipv6', bits };
}

/** Whether `text` is an address (IPv4 or IPv6) or a range of them such as `10.0.0.0/8`. */
export function isAddressRange(text: string): boolean {
  return parse(text) !== undefined;
}

/** Whether one of `ranges` holds all of `text`, an address or a range. */
export function isWithinRanges(text: string, ranges: readonly string[]): boolean {
  const inner = parse(text);
  if (inner === undefined) return false;
  return ranges.some((range) => {
    const outer = parse(range);
    if (outer === undefined || outer.family !== inner.family) return false;
    return outer.bits <= inner.bits && addressRanges([range]).includes(inner.address);
  });
}

/** Compiles addresses and ranges; what is neither matches nothing. */
export function addressRanges(list: readonly string[]): AddressRanges {
  const ranges = new BlockList();
  for (const entry of list) {
    const range = parse(entry);
    if (range !== undefined) ranges.addSubnet(range.address, range.bits, range.family);
  }
  return {
    includes(address) {
      const version = isIP(address);
      return version !== 0 && ranges.check(address, version === 4 ? 'ipv4' : 'ipv6');
    },
  };
}
