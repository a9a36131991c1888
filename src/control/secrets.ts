/**
 * The server's own secrets. One key file (keyFile.ts) gives, by HKDF with a purpose each, the key
 * that rotation tokens are derived with, the key that seals the Ed25519 key that signs access
 * tokens, and the key for whatever else has to be readable again.
 *
 * Invariants
 * C2 What must be readable again is sealed (AES-256-GCM, bound to its setting's name).
 * K3 One key, one purpose: no key that is used here is used for anything else.
 */
import { createCipheriv, createDecipheriv, hkdfSync, type KeyObject } from 'node:crypto';
import { keyPairFromPem, newKeyPair, privateKeyPem, publicKeyText } from '../lib/ed25519.ts';
import { sha256Hex } from '../lib/hashing.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import type { Store } from '../store/store.ts';
import { KeyFileError, readOrCreateKeyFile } from './keyFile.ts';

/** What signs access tokens. */
export interface SigningKey {
  keyId: string;
  privateKey: KeyObject;
  /** 32 bytes in base64url, as the router checks with. */
  publicKey: string;
}

export interface ServerSecrets {
  /** HMAC key of the rotation tokens, 32 bytes. */
  rotationKey: Buffer;
  /** Seals answers that are kept for their idempotency keys, 32 bytes. */
  answerKey: Buffer;
  /** Signs new access tokens. */
  signingKey: SigningKey;
  /** Every key whose tokens are good: the signing key, and in a rotation the one before it. */
  verificationKeys: readonly { keyId: string; x: string }[];
  /**
   * C2: `text` as something that may be stored or handed out, and opens again under `name` alone.
   */
  seal(input: { name: string; text: string }): string;
  /** What was sealed under `name`; undefined when it was not, or not by this server. */
  unseal(input: { name: string; sealed: string }): string | undefined;
}

const signingKeySetting = 'access_token_signing_key';
const sealVersion = 1;

/**
 * Opens the server's secrets, and makes them at the first start. Rejects with a `KeyFileError` that
 * says what to do when the file is missing, unreadable, or not the one that the database was sealed
 * with.
 */
export async function openSecrets(options: {
  /** Path of `secrets.key`. */
  file: string;
  store: Pick<Store, 'setting' | 'settingOrInsert'>;
  random: Random;
  log: Logger;
}): Promise<ServerSecrets> {
  const { file, store, random, log } = options;
  const stored = await store.setting(signingKeySetting);
  const databaseExists = stored !== null;
  const key = await readOrCreateKeyFile({ file, databaseExists, random, log });
  const sealingKey = derive(key, 'xim seal 1');
  const name = signingKeySetting;
  const sealed =
    stored ??
    (await store.settingOrInsert(
      name,
      seal({ key: sealingKey, name, text: privateKeyPem(newKeyPair().privateKey), random }),
    ));
  const pem = unseal({ key: sealingKey, name, sealed });
  if (pem === undefined) {
    const advice = 'restore the one that belongs to it, or start with an empty data directory';
    throw new KeyFileError('wrong_key', `${file} is not the key of this database: ${advice}`);
  }
  const signingKey = signingKeyFrom(pem);
  const valueKey = derive(key, 'xim seal of values 1');
  return {
    rotationKey: derive(key, 'xim rotation token 1'),
    answerKey: derive(key, 'xim kept answer 1'),
    signingKey,
    verificationKeys: [{ keyId: signingKey.keyId, x: signingKey.publicKey }],
    seal: (input) => seal({ ...input, key: valueKey, random }),
    unseal: (input) => unseal({ ...input, key: valueKey }),
  };
}

/** K3: a key for one purpose. */
function derive(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), purpose, 32));
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

/** C2: `text` encrypted and bound to `name`, as one line for the settings table. */
export function seal(options: { key: Buffer; name: string; text: string; random: Random }): string {
  const nonce = options.random.bytes(12);
  const cipher = createCipheriv('aes-256-gcm', options.key, nonce);
  cipher.setAAD(Buffer.from(`${sealVersion} ${options.name}`));
  const body = Buffer.concat([cipher.update(options.text, 'utf8'), cipher.final()]);
  const all = Buffer.concat([nonce, cipher.getAuthTag(), body]);
  return `${sealVersion}.${all.toString('base64url')}`;
}

/** What was sealed; undefined when key, name or text are not the ones of the sealing. */
export function unseal(options: { key: Buffer; name: string; sealed: string }): string | undefined {
  const [version, encoded] = options.sealed.split('.');
  const all = Buffer.from(encoded ?? '', 'base64url');
  if (version !== String(sealVersion) || all.length < 28) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', options.key, all.subarray(0, 12), {
    authTagLength: 16,
  });
  decipher.setAAD(Buffer.from(`${sealVersion} ${options.name}`));
  decipher.setAuthTag(all.subarray(12, 28));
  try {
    return Buffer.concat([decipher.update(all.subarray(28)), decipher.final()]).toString('utf8');
  } catch {
    // GCM says "not authentic" by throwing, and nothing else can throw here.
    return undefined;
  }
}
