/**
 * Access tokens: compact JWS with `alg: EdDSA` and the signing key's id in the header (`kid`).
 * One algorithm, decided here and not by the token; one spelling per token (strict base64url).
 *
 * Invariants
 * T1 Nothing of a token is believed before its signature was checked with a key that the caller
 *    gave.
 * T2 A token that was signed for one audience is never valid for another.
 */
import type { KeyObject } from 'node:crypto';
import { signText, verifyText } from './ed25519.ts';
import { fromBase64url, toBase64url } from './hashing.ts';

/** The longest token that is looked at, in characters. */
const longestToken = 4096;

export interface TokenClaims {
  /** What the token is for, e.g. `link`. */
  aud: string;
  /** Whom it names, e.g. an agent id. */
  sub: string;
  /** Generation of the credential that it was made from. */
  gen: number;
  /** Expiry, in whole seconds since the epoch, on the issuer's clock. */
  exp: number;
}

export type TokenVerdict =
  | { kind: 'valid'; claims: TokenClaims; keyId: string }
  | {
      kind: 'invalid';
      reason: 'malformed' | 'unknown_key' | 'bad_signature' | 'wrong_audience';
    }
  /** Genuine, but late. The claims are true: a caller may grant grace. */
  | { kind: 'expired'; claims: TokenClaims; keyId: string };

/** Signs `claims`. The signature covers header and claims. */
export function signToken(options: {
  claims: TokenClaims;
  keyId: string;
  privateKey: KeyObject;
}): string {
  const { claims, keyId, privateKey } = options;
  const header = toBase64url(JSON.stringify({ alg: 'EdDSA', typ: 'JWT', kid: keyId }));
  const signed = `${header}.${toBase64url(JSON.stringify(claims))}`;
  return `${signed}.${signText({ message: Buffer.from(signed), privateKey })}`;
}

/**
 * Checks a token that came from outside (T1, T2). `keyOf` gives the public key of a key id, or
 * undefined when it is not (or no longer) one of ours. `nowMs` is wall-clock time.
 */
export function verifyToken(
  token: string,
  options: { audience: string; nowMs: number; keyOf: (keyId: string) => KeyObject | undefined },
): TokenVerdict {
  const parts = token.length <= longestToken ? token.split('.') : [];
  const [headerText, claimsText, signature] = parts;
  if (parts.length !== 3 || !headerText || !claimsText || !signature) return malformed;
  const keyId = readHeader(headerText);
  if (keyId === undefined) return malformed;
  const publicKey = options.keyOf(keyId);
  if (publicKey === undefined) return { kind: 'invalid', reason: 'unknown_key' };
  const message = Buffer.from(`${headerText}.${claimsText}`);
  if (!verifyText({ message, signature, publicKey })) {
    return { kind: 'invalid', reason: 'bad_signature' };
  }
  const claims = readClaims(claimsText);
  if (claims === undefined) return malformed;
  if (claims.aud !== options.audience) return { kind: 'invalid', reason: 'wrong_audience' };
  return { kind: claims.exp * 1000 > options.nowMs ? 'valid' : 'expired', claims, keyId };
}

const malformed: TokenVerdict = { kind: 'invalid', reason: 'malformed' };

function readHeader(text: string): string | undefined {
  const header = readJson(text);
  if (header?.['alg'] !== 'EdDSA' || typeof header['kid'] !== 'string') return undefined;
  return header['kid'];
}

function readClaims(text: string): TokenClaims | undefined {
  const { aud, sub, gen, exp } = readJson(text) ?? {};
  if (typeof aud !== 'string' || typeof sub !== 'string') return undefined;
  if (!Number.isSafeInteger(gen) || !Number.isSafeInteger(exp)) return undefined;
  return { aud, sub, gen: gen as number, exp: exp as number };
}

function readJson(text: string): Record<string, unknown> | undefined {
  const bytes = fromBase64url(text);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
