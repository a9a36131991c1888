/**
 * Recovery codes: 80 random bits each, in base 32, good once instead of a code of the app. So much
 * randomness needs no slow hash.
 */
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { base32 } from '../../lib/ids.ts';
import type { Random } from '../../lib/random.ts';
import { recoveryCodesMade } from '../limits.ts';

const codeBytes = 10;

/** Codes as they are shown, in groups of four, and what is stored of them. */
export function newRecoveryCodes(random: Random): { codes: string[]; hashes: string[] } {
  const texts = Array.from({ length: recoveryCodesMade }, () => base32(random.bytes(codeBytes)));
  return {
    codes: texts.map((text) => (text.match(/.{4}/g) ?? []).join('-')),
    hashes: texts.map((text) => sha256Hex(text)),
  };
}

/** What is stored of a code as somebody typed it. */
export function recoveryCodeHash(typed: string): string {
  return sha256Hex(typed.toLowerCase().replaceAll(/[\s-]/g, ''));
}
