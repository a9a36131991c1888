/**
 * A join key as people paste it: `xjk_<id>_<secret>`. The part before the second underscore is the
 * key's id, which may be shown and logged; the secret is 256 random bits and exists in the clear
 * only in the answer that created it (C2).
 */
import { sha256Hex, toBase64url } from '../../lib/crypto/hashing.ts';
import { newId } from '../../lib/ids.ts';
import type { Random } from '../../lib/random.ts';

const form = /^(xjk_[0-9a-hjkmnp-tv-z]{26})_([A-Za-z0-9_-]{43})$/;

/** A new key: its id, what is stored of its secret, and the text that is shown once. */
export function newJoinKeyText(random: Random): { id: string; secretSha256: string; text: string } {
  const id = newId('xjk', random);
  const secret = toBase64url(random.bytes(32));
  return { id, secretSha256: sha256Hex(secret), text: `${id}_${secret}` };
}

/** Undefined when `text` has not the form of a join key. */
export function parseJoinKey(text: string): { id: string; secretSha256: string } | undefined {
  const [, id, secret] = form.exec(text.trim()) ?? [];
  return id === undefined || secret === undefined
    ? undefined
    : { id, secretSha256: sha256Hex(secret) };
}
