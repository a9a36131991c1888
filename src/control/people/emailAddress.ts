/**
 * E-mail addresses as accounts have them: in lower case, something before an `@` and something
 * behind it. No mail is sent to find out more.
 */
import { invalidParam, type InvalidField } from '../invalidField.ts';
import { longestEmail } from '../limits.ts';

export function readEmail(text: string): { ok: true; email: string } | InvalidField<'email'> {
  const email = text.trim().toLowerCase();
  if (email.length > longestEmail) {
    return invalidParam('email', `has ${email.length} characters; at most ${longestEmail} may be`);
  }
  if (/^[^\s@\p{Cc}\p{Cs}]+@[^\s@\p{Cc}\p{Cs}]+$/u.test(email)) return { ok: true, email };
  return invalidParam('email', 'is not an e-mail address; give one such as ada@example.com');
}
