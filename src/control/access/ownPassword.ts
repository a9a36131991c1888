/**
 * The caller's own password: proving that one knows it, and changing it. The old one is needed, and
 * guessing it here is limited like guessing it at the sign-in.
 */
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { networkOf } from '../../lib/network/networkOf.ts';
import type { UserRow } from '../../store/contract/peopleStore.ts';
import { auditOf } from '../audit.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeSelf, type Caller, type Denied } from '../principal.ts';
import { takeAttempt, type AttemptLimits } from './attemptLimits.ts';
import { passwordProblem } from './newPassword.ts';
import type { Passwords } from './password.ts';

export type PasswordRefusal =
  | { ok: false; reason: 'invalid_credentials' }
  | { ok: false; reason: 'too_many_attempts' | 'busy'; retryAfterMs: number };

export interface OwnPassword {
  /** Whether `password` is the account's. */
  check(input: {
    user: UserRow;
    password: string;
    address: string;
  }): Promise<{ ok: true } | PasswordRefusal>;
  /** Ends every other session of the account. */
  change(input: {
    caller: Caller;
    /** The session that stays. */
    sessionToken: string;
    oldPassword: string;
    newPassword: string;
  }): Promise<
    | { ok: true }
    | PasswordRefusal
    | { ok: false; reason: 'no_password' }
    | { ok: false; reason: 'invalid_value'; param: string; message: string }
    | Denied
  >;
}

type Parts = Pick<ControlParts, 'store' | 'clock' | 'log'> & {
  passwords: Passwords;
  limits: Pick<AttemptLimits, 'perAddress' | 'perAccount' | 'ownPassword'>;
};

export function createOwnPassword(parts: Parts): OwnPassword {
  const check: OwnPassword['check'] = async ({ user, password, address }) => {
    // Whoever has one account must not keep the line of those who sign in busy.
    const retryAfterMs = parts.limits.ownPassword.take(user.id);
    if (retryAfterMs > 0) return { ok: false, reason: 'too_many_attempts', retryAfterMs };
    const attempt = takeAttempt([
      [parts.limits.perAddress, networkOf(address)],
      [parts.limits.perAccount, user.email],
    ]);
    if (attempt.waitMs > 0) {
      return { ok: false, reason: 'too_many_attempts', retryAfterMs: attempt.waitMs };
    }
    const verdict = await parts.passwords.verify(password, user.passwordHash);
    if (verdict === 'mismatch') return { ok: false, reason: 'invalid_credentials' };
    attempt.refund();
    return verdict === 'busy' ? { ok: false, reason: 'busy', retryAfterMs: 1000 } : { ok: true };
  };
  return { check, change: (input) => change({ ...parts, check }, input) };
}

async function change(
  parts: Parts & Pick<OwnPassword, 'check'>,
  input: Parameters<OwnPassword['change']>[0],
): ReturnType<OwnPassword['change']> {
  const { caller, oldPassword, newPassword } = input;
  const self = authorizeSelf(caller, { evenOneTime: true });
  if (!self.ok) return self;
  const user = await parts.store.userById(self.userId);
  if (user === null) return { ok: false, reason: 'not_signed_in' };
  if (user.passwordHash === null) return { ok: false, reason: 'no_password' };
  const problem =
    passwordProblem(newPassword) ??
    (newPassword === oldPassword ? 'it is the old one; give another' : undefined);
  if (problem !== undefined) {
    const message = `'new_password' is not usable: ${problem}.`;
    return { ok: false, reason: 'invalid_value', param: 'new_password', message };
  }
  const { address } = caller;
  const known = await parts.check({ user, password: oldPassword, address });
  if (!known.ok) return known;
  const outcome = await parts.store.setPassword({
    userId: user.id,
    passwordHash: await parts.passwords.hash(newPassword),
    mustChangePassword: false,
    expectedHash: user.passwordHash,
    keepSessionSha256: sha256Hex(input.sessionToken),
    audit: auditOf(parts, caller, {
      action: 'user.change_password',
      target: user.id,
      projectId: null,
    }),
  });
  // Somebody else has changed it meanwhile, so the old one was not right any more.
  return outcome.ok ? outcome : { ok: false, reason: 'invalid_credentials' };
}
