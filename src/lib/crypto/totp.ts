/**
 * Time-based one-time passwords (RFC 6238 over RFC 4226): HMAC-SHA-1, 6 digits, steps of 30 s,
 * which is what every authenticator app understands.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export const totpStepMs = 30_000;
export const totpDigits = 6;
/** As long as the HMAC's output, as RFC 4226 recommends. */
export const totpSecretBytes = 20;

/** The step that a moment (epoch ms) lies in. */
export function totpStepAt(atMs: number): number {
  return Math.floor(atMs / totpStepMs);
}

/** The code of one step. */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac('sha1', secret).update(counter).digest();
  const offset = (digest.at(-1) ?? 0) & 15;
  const number = digest.readUInt32BE(offset) & 0x7fff_ffff;
  return String(number % 10 ** totpDigits).padStart(totpDigits, '0');
}

/**
 * The step whose code this is, looking one step to each side of the present one (a phone's clock
 * may be off by as much); undefined when it is none of the three.
 */
export function matchingTotpStep(
  secret: Uint8Array,
  { code, atMs }: { code: string; atMs: number },
): number | undefined {
  const present = totpStepAt(atMs);
  // All three each time, and whole: how near a guess came does not show in the time that it took.
  const matches = [present - 1, present, present + 1].filter(
    (step) => step >= 0 && sameCode(totpCode(secret, step), code),
  );
  return matches[0];
}

function sameCode(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** What an authenticator app scans or opens. */
export function otpauthUri(options: {
  issuer: string;
  account: string;
  secret: Uint8Array;
}): string {
  const { issuer, account, secret } = options;
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`;
  const parameters = new URLSearchParams({
    secret: rfcBase32(secret),
    issuer,
    algorithm: 'SHA1',
    digits: String(totpDigits),
    period: String(totpStepMs / 1000),
  });
  // Some apps read `+` in a query as itself.
  return `otpauth://totp/${label}?${parameters.toString().replaceAll('+', '%20')}`;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Base 32 of RFC 4648 without padding: how authenticator apps take a secret. */
export function rfcBase32(bytes: Uint8Array): string {
  let bits = '';
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0');
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => alphabet[Number.parseInt(group.padEnd(5, '0'), 2)]).join('');
}
