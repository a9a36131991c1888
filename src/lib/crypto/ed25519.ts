/**
 * Ed25519 keys as the platform writes them: a public key is 32 bytes in base64url (JWK's `x`), a
 * private key is PKCS#8 PEM, a signature is 64 bytes in base64url.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import { fromBase64url } from './hashing.ts';

const publicKeyBytes = 32;
const signatureBytes = 64;

export interface Ed25519Pair {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

/** A new key pair from the system's randomness. */
export function newKeyPair(): Ed25519Pair {
  return generateKeyPairSync('ed25519');
}

/** The key's 32 bytes in base64url. `key` may be either half of a pair. */
export function publicKeyText(key: KeyObject): string {
  const { x } = key.export({ format: 'jwk' });
  if (key.asymmetricKeyType !== 'ed25519' || x === undefined) throw new Error('not an Ed25519 key');
  return x;
}

/** The public key that `text` names, or undefined when it is not 32 bytes in base64url. */
export function publicKeyFromText(text: string): KeyObject | undefined {
  if (fromBase64url(text)?.length !== publicKeyBytes) return undefined;
  return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: text } });
}

/** PKCS#8 PEM of a private key. A secret. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }) as string;
}

/** The pair whose private half `pem` holds, or undefined when that is no Ed25519 key. */
export function keyPairFromPem(pem: string): Ed25519Pair | undefined {
  try {
    const privateKey = createPrivateKey(pem);
    if (privateKey.asymmetricKeyType !== 'ed25519') return undefined;
    return { privateKey, publicKey: createPublicKey(privateKey) };
  } catch {
    // node:crypto has no way to ask but to try.
    return undefined;
  }
}

/** The signature over `message`, base64url. */
export function signText(options: { message: Uint8Array; privateKey: KeyObject }): string {
  return sign(null, options.message, options.privateKey).toString('base64url');
}

/**
 * Whether `signature` (base64url) is the key's over exactly `message`. Never throws on bad input.
 */
export function verifyText(options: {
  message: Uint8Array;
  signature: string;
  publicKey: KeyObject;
}): boolean {
  const signature = fromBase64url(options.signature);
  if (signature?.length !== signatureBytes) return false;
  return verify(null, options.message, options.publicKey, signature);
}
