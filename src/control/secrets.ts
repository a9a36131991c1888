/**
 * The server's own secrets. One key file (keyFile.ts) gives, by HKDF with a purpose each, the key
 * that rotation tokens are derived with, the key that seals the Ed25519 key that signs access
 * tokens, and the key for whatever else has to be readable again.
 *
 * Invariants
 * C2 What must be readable again is sealed (AES-256-GCM, bound to its setting's name).
 * K3 One key, one purpose: no key that is used here is used for anything else.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import type { Store } from '../store/store.ts';
import { KeyFileError, readOrCreateKeyFile } from './keyFile.ts';
import {
  readSigningKeys,
  signingKeySetting,
  verificationKeysOf,
  type SigningKey,
  type VerificationKey,
} from './signingKeys.ts';

export interface ServerSecrets {
  /** HMAC key of the rotation tokens, 32 bytes. */
  rotationKey: Buffer;
  /** Seals answers that are kept for their idempotency keys, 32 bytes. */
  answerKey: Buffer;
  /** Signs new access tokens. */
  signingKey: SigningKey;
  /** Every key whose tokens are good, as of now: another server may have rotated meanwhile. */
  verificationKeys(): Promise<readonly VerificationKey[]>;
  /**
   * C2: `text` as something that may be stored or handed out, and opens again under `name` alone.
   */
  seal(input: { name: string; text: string }): string;
  /** What was sealed under `name`; undefined when it was not, or not by this server. */
  unseal(input: { name: string; sealed: string }): string | undefined;
}

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
  /** Sign with a new key from now on; the one before stays good. */
  rotateSigningKey?: boolean;
}): Promise<ServerSecrets> {
  const { file, store, random, log, rotateSigningKey: rotate = false } = options;
  const databaseExists = (await store.setting(signingKeySetting(1))) !== null;
  const key = await readOrCreateKeyFile({ file, databaseExists, random, log });
  const sealingKey = derive(key, 'xim seal 1');
  const means = {
    store,
    seal: (input: { name: string; text: string }) => seal({ ...input, key: sealingKey, random }),
    unseal: (input: { name: string; sealed: string }) => unseal({ ...input, key: sealingKey }),
  };
  const keys = await readSigningKeys(means, { rotate });
  const [signingKey] = keys ?? [];
  if (signingKey === undefined) {
    const advice = 'restore the one that belongs to it, or start with an empty data directory';
    throw new KeyFileError('wrong_key', `${file} is not the key of this database: ${advice}`);
  }
  if (rotate) log.info({ keyId: signingKey.keyId }, 'access tokens are signed with a new key');
  const valueKey = derive(key, 'xim seal of values 1');
  return {
    rotationKey: derive(key, 'xim rotation token 1'),
    answerKey: derive(key, 'xim kept answer 1'),
    signingKey,
    verificationKeys: async () =>
      verificationKeysOf((await readSigningKeys(means, { rotate: false })) ?? []),
    seal: (input) => seal({ ...input, key: valueKey, random }),
    unseal: (input) => unseal({ ...input, key: valueKey }),
  };
}

/** K3: a key for one purpose. */
function derive(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), purpose, 32));
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
