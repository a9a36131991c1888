/**
 * The Ed25519 keys that sign access tokens, sealed in the settings: each rotation adds the next one
 * and removes none. The newest signs; it and the one before it are believed.
 *
 * Invariants
 * G1 Two servers that start at once, or rotate from the same keys at once, have the same keys. Who
 *    begins to rotate when the other has finished rotates once more.
 * G2 A rotation voids no token: the key before is believed until the next rotation. A second
 *    rotation right behind voids what a stolen key has signed.
 */
import type { KeyObject } from 'node:crypto';
import { keyPairFromPem, newKeyPair, privateKeyPem, publicKeyText } from '../lib/crypto/ed25519.ts';
import { sha256Hex } from '../lib/crypto/hashing.ts';
import type { Store } from '../store/store.ts';

/** What signs access tokens. */
export interface SigningKey {
  keyId: string;
  privateKey: KeyObject;
  /** 32 bytes in base64url, as the router checks with. */
  publicKey: string;
}

/** A public key that access tokens are checked with. */
export interface VerificationKey {
  keyId: string;
  x: string;
}

export interface SigningKeysOptions {
  store: Pick<Store, 'setting' | 'settingOrInsert'>;
  seal: (input: { name: string; text: string }) => string;
  /** Undefined when the sealing key is another database's. */
  unseal: (input: { name: string; sealed: string }) => string | undefined;
}

/** Keys that are believed. */
const believed = 2;

/** The setting of the n-th key, from 1; the first has had its name from the beginning. */
export function signingKeySetting(number: number): string {
  return number === 1 ? 'access_token_signing_key' : `access_token_signing_key.${number}`;
}

/** Undefined when what is stored cannot be opened. Newest first; at least one otherwise. */
export async function readSigningKeys(
  options: SigningKeysOptions,
  { rotate }: { rotate: boolean },
): Promise<SigningKey[] | undefined> {
  const { store } = options;
  const sealed: string[] = [];
  for (;;) {
    const stored = await store.setting(signingKeySetting(sealed.length + 1));
    if (stored === null) break;
    sealed.push(stored);
  }
  if (sealed.length === 0 || rotate) sealed.push(await addKey(options, sealed.length + 1));
  const keys: SigningKey[] = [];
  for (let number = sealed.length; number > 0 && keys.length < believed; number -= 1) {
    const name = signingKeySetting(number);
    const pem = options.unseal({ name, sealed: sealed[number - 1] ?? '' });
    if (pem === undefined) return undefined;
    keys.push(signingKeyFrom(pem));
  }
  return keys;
}

export const verificationKeysOf = (keys: readonly SigningKey[]): VerificationKey[] =>
  keys.map(({ keyId, publicKey: x }) => ({ keyId, x }));

/** G1: whoever comes second gets what the first has stored. */
function addKey({ store, seal }: SigningKeysOptions, number: number): Promise<string> {
  const name = signingKeySetting(number);
  const text = privateKeyPem(newKeyPair().privateKey);
  return store.settingOrInsert(name, seal({ name, text }));
}

function signingKeyFrom(pem: string): SigningKey {
  const pair = keyPairFromPem(pem);
  if (pair === undefined) throw new Error('the sealed signing key is not an Ed25519 key');
  const publicKey = publicKeyText(pair.publicKey);
  return {
    keyId: sha256Hex(publicKey).slice(0, 16),
    privateKey: pair.privateKey,
    publicKey,
  };
}
