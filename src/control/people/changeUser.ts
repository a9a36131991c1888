/**
 * What an operator changes of somebody's account: the role, whether it is enabled, the password (a
 * one-time one in its place), the second factor. Accounts are disabled and never deleted: the audit
 * log names them for as long as it is kept.
 */
import type { UserChange } from '../../store/contract/peopleStore.ts';
import { oneTimePassword } from '../access/newPassword.ts';
import type { Passwords } from '../access/password.ts';
import { auditOf } from '../audit.ts';
import type { ControlParts } from '../parts.ts';
import { authorizePlatform, type Caller, type Denied } from '../principal.ts';
import { userView, type UserView } from './userView.ts';

type Parts = Pick<ControlParts, 'store' | 'clock'>;

interface About {
  caller: Caller;
  userId: string;
}

type NotFound = { ok: false; reason: 'not_found' };
/** Of one's own account, with its own proofs (`access/`). */
type OwnAccount = { ok: false; reason: 'own_account' };

export type UpdateUserOutcome =
  | { ok: true; user: UserView }
  | { ok: false; reason: 'not_found' | 'version_conflict' | 'last_admin' }
  | Denied;

/** Disabling ends the account's sessions at once. */
export async function updateUser(
  parts: Parts,
  input: About & {
    expectedVersion: number | null;
    role?: 'admin' | 'user' | undefined;
    disabled?: boolean | undefined;
  },
): Promise<UpdateUserOutcome> {
  const { caller, userId, expectedVersion, role, disabled } = input;
  const allowed = authorizePlatform(caller);
  if (!allowed.ok) return allowed;
  const change: UserChange = {
    ...(role === undefined ? {} : { role }),
    ...(disabled === undefined ? {} : { disabledAtMs: disabled ? parts.clock.now() : null }),
  };
  const audit = auditOf(parts, caller, { action: 'user.update', target: userId, projectId: null });
  const outcome = await parts.store.updateUser({ id: userId, expectedVersion, change, audit });
  if (outcome.ok) return { ok: true, user: userView(outcome.user) };
  const { reason } = outcome;
  return { ok: false, reason: reason === 'unknown' ? 'not_found' : reason };
}

/** A one-time password, shown once; every session of the account ends. */
export async function resetPassword(
  parts: Parts & Pick<ControlParts, 'random'> & { passwords: Passwords },
  { caller, userId }: About,
): Promise<{ ok: true; oneTimePassword: string } | NotFound | OwnAccount | Denied> {
  const allowed = authorizeOther(caller, userId);
  if (!allowed.ok) return allowed;
  const password = oneTimePassword(parts.random);
  const outcome = await parts.store.setPassword({
    userId,
    passwordHash: await parts.passwords.hash(password),
    mustChangePassword: true,
    keepSessionSha256: null,
    audit: auditOf(parts, caller, {
      action: 'user.reset_password',
      target: userId,
      projectId: null,
    }),
  });
  return outcome.ok ? { ok: true, oneTimePassword: password } : { ok: false, reason: 'not_found' };
}

/** For somebody who lost both the app and the recovery codes. Idempotent. */
export async function dropSecondFactor(
  parts: Parts,
  { caller, userId }: About,
): Promise<{ ok: true } | NotFound | OwnAccount | Denied> {
  const allowed = authorizeOther(caller, userId);
  if (!allowed.ok) return allowed;
  if ((await parts.store.userById(userId)) === null) return { ok: false, reason: 'not_found' };
  await parts.store.removeSecondFactor({
    userId,
    audit: auditOf(parts, caller, {
      action: 'user.drop_second_factor',
      target: userId,
      projectId: null,
    }),
  });
  return { ok: true };
}

/** Who finds an operator's browser open must not take the account over with it. */
function authorizeOther(caller: Caller, userId: string): { ok: true } | OwnAccount | Denied {
  const allowed = authorizePlatform(caller);
  if (!allowed.ok) return allowed;
  const own = caller.principal.kind === 'user' && caller.principal.userId === userId;
  return own ? { ok: false, reason: 'own_account' } : allowed;
}
