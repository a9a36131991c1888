/**
 * Digests, comparison in constant time, and strict base64url: what tokens and keys are made with.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** SHA-256 as 32 bytes. A string is hashed as UTF-8. */
export function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}

/** SHA-256 as 64 lower-case hex digits. A string is hashed as UTF-8. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** HMAC-SHA-256 of `data` under `key`, as 32 bytes. */
export function hmacSha256(options: {
  key: string | Uint8Array;
  data: string | Uint8Array;
}): Buffer {
  return createHmac('sha256', options.key).update(options.data).digest();
}

/**
 * Whether two hex digests are the same bytes, in time that depends on their length alone. False
 * when either is not hex or they differ in length. The order of the two does not matter.
 */
export function timingSafeEqualHex(one: string, other: string): boolean {
  if (one.length !== other.length || !isHex(one) || !isHex(other)) return false;
  return timingSafeEqual(Buffer.from(one, 'hex'), Buffer.from(other, 'hex'));
}

function isHex(text: string): boolean {
  return text.length % 2 === 0 && /^[0-9a-f]*$/i.test(text);
}

/** base64url without padding. */
export function toBase64url(data: string | Uint8Array): string {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/**
 * The bytes of a base64url text, or undefined when it is not exactly what `toBase64url` writes
 * (padding, foreign characters, bits after the end): one value has one spelling.
 */
export function fromBase64url(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}
