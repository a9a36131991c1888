/** What a new password must be, and passwords that the server makes itself. */
import { base32 } from '../../lib/ids.ts';
import type { Random } from '../../lib/random.ts';
import { leastPassword, longestPassword } from '../limits.ts';

/** Undefined: it will do. */
export function passwordProblem(password: string): string | undefined {
  const { length } = password;
  if (length >= leastPassword && length <= longestPassword) return undefined;
  return `it has ${length} characters; give ${leastPassword} to ${longestPassword}`;
}

/** Four groups of five digits of base 32: 100 bits, easy to type. */
export function oneTimePassword(random: Random): string {
  const digits = base32(random.bytes(13)).slice(0, 20);
  return (digits.match(/.{5}/g) ?? []).join('-');
}
