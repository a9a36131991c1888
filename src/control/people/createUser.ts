/** An operator makes an account with a one-time password, which its owner must change. */
import { newId } from '../../lib/ids.ts';
import type { UserRow } from '../../store/contract/peopleStore.ts';
import { oneTimePassword } from '../access/newPassword.ts';
import type { Passwords } from '../access/password.ts';
import { auditOf } from '../audit.ts';
import type { InvalidField } from '../invalidField.ts';
import type { ControlParts } from '../parts.ts';
import { authorizePlatform, type Caller, type Denied } from '../principal.ts';
import { readEmail } from './emailAddress.ts';
import { userView, type UserView } from './userView.ts';

export type CreateUserOutcome =
  /** The password is shown once. */
  | { ok: true; user: UserView; oneTimePassword: string }
  | InvalidField<'email'>
  | { ok: false; reason: 'email_taken' }
  | Denied;

export async function createUser(
  parts: Pick<ControlParts, 'store' | 'clock' | 'random'> & { passwords: Passwords },
  input: { caller: Caller; email: string; role: 'admin' | 'user' },
): Promise<CreateUserOutcome> {
  const { caller, role } = input;
  const allowed = authorizePlatform(caller);
  if (!allowed.ok) return allowed;
  const read = readEmail(input.email);
  if (!read.ok) return read;
  const password = oneTimePassword(parts.random);
  const user: UserRow = {
    ...newAccount(parts, { email: read.email, role }),
    passwordHash: await parts.passwords.hash(password),
    mustChangePassword: true,
  };
  const audit = auditOf(parts, caller, {
    action: 'user.create',
    target: user.id,
    projectId: null,
    changes: { email: { from: null, to: user.email }, role: { from: null, to: role } },
  });
  const outcome = await parts.store.insertUser({ user, audit });
  if (!outcome.ok) return outcome;
  return { ok: true, user: userView(user), oneTimePassword: password };
}

/** An account without a password. */
export function newAccount(
  { random, clock }: Pick<ControlParts, 'random' | 'clock'>,
  { email, role }: { email: string; role: 'admin' | 'user' },
): UserRow {
  return {
    id: newId('usr', random),
    email,
    passwordHash: null,
    role,
    mustChangePassword: false,
    secondFactor: false,
    disabledAtMs: null,
    lastSignInAtMs: null,
    version: 1,
    createdAtMs: clock.now(),
  };
}
