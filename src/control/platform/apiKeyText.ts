/**
 * An API key as clients send it: `xim_<project slug>_<256 random bits>`. Stored are its SHA-256 and
 * its last four characters, by which its owner knows it again (C2).
 */
import { sha256Hex, toBase64url } from '../../lib/hashing.ts';
import type { Random } from '../../lib/random.ts';

export function newApiKeyText(options: { projectSlug: string; random: Random }): {
  text: string;
  sha256: string;
  lastFour: string;
} {
  const text = `xim_${options.projectSlug}_${toBase64url(options.random.bytes(32))}`;
  return { text, sha256: apiKeyHash(text), lastFour: text.slice(-4) };
}

/** What is stored of a key. */
export function apiKeyHash(text: string): string {
  return sha256Hex(text);
}
