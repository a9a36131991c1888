/**
 * Names of things: `<prefix>_<26 characters>`, 128 random bits in Crockford's base 32 (lower case,
 * without i, l, o and u, so that an id survives being read aloud and is safe in URLs and file
 * names).
 */
import type { Random } from './random.ts';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const idBytes = 16;
const idPattern = /^[a-z]{1,12}_[0-9a-hjkmnp-tv-z]{26}$/;

/** A new id, e.g. `newId('req', random)` → `req_0f3k…`. `prefix` is 1 to 12 lower-case letters. */
export function newId(prefix: string, random: Random): string {
  return `${prefix}_${base32(random.bytes(idBytes))}`;
}

/** Whether `value` has the form of an id, and of this prefix where one is given. */
export function isId(value: unknown, prefix?: string): boolean {
  if (typeof value !== 'string' || !idPattern.test(value)) return false;
  return prefix === undefined || value.startsWith(`${prefix}_`);
}

/** Crockford's base 32 of `bytes`, most significant bit first, the last digit padded with zeros. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let heldBits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    heldBits += 8;
    while (heldBits >= 5) {
      heldBits -= 5;
      text += alphabet[(held >>> heldBits) & 31];
    }
    held &= (1 << heldBits) - 1;
  }
  return heldBits === 0 ? text : text + alphabet[(held << (5 - heldBits)) & 31];
}
