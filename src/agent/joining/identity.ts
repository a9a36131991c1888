/**
 * The agent's key pair: made at the first start, kept in the state file, never sent. The server
 * knows the agent by the public half.
 */
import {
  keyPairFromPem,
  newKeyPair,
  privateKeyPem,
  publicKeyText,
  signText,
} from '../../lib/crypto/ed25519.ts';

export interface Identity {
  /** Ed25519 public key, base64url of 32 bytes. */
  readonly publicKey: string;
  /** Signature over exactly these bytes, base64url. */
  sign(message: Uint8Array): string;
  /** PKCS#8 PEM, for the state file alone. */
  secretPem(): string;
}

/** A key pair that nobody has seen yet. */
export function newIdentity(): Identity {
  return identityOf(newKeyPair());
}

/** The identity that the state file holds; undefined when that is no Ed25519 key. */
export function identityFromPem(pem: string): Identity | undefined {
  const pair = keyPairFromPem(pem);
  return pair === undefined ? undefined : identityOf(pair);
}

function identityOf(pair: ReturnType<typeof newKeyPair>): Identity {
  const publicKey = publicKeyText(pair.publicKey);
  return {
    publicKey,
    sign: (message) => signText({ message, privateKey: pair.privateKey }),
    secretPem: () => privateKeyPem(pair.privateKey),
  };
}
