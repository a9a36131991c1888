/**
 * Accepting an invitation: signed in as the person that it names, or by making that person's
 * account. Whoever has the text is told what it is for; everything else about it stays hidden.
 *
 * Invariants
 * N1 One invitation lets one account in, once, under any concurrency.
 * N2 It works for the e-mail address that it names alone; an account that exists must sign in
 *    first.
 */
import { invitationState } from '../../domain/settings/invitationState.ts';
import { networkOf } from '../../lib/network/networkOf.ts';
import type { InvitationRow } from '../../store/contract/memberStore.ts';
import type { ProjectRow } from '../../store/contract/projectStore.ts';
import { takeAttempt, type AttemptLimits } from '../access/attemptLimits.ts';
import { passwordProblem } from '../access/newPassword.ts';
import type { Passwords } from '../access/password.ts';
import { openSession, type OpenedSession } from '../access/signIn.ts';
import { auditOf } from '../audit.ts';
import { invalidParam, type InvalidField } from '../invalidField.ts';
import type { ControlParts } from '../parts.ts';
import { newAccount } from '../people/createUser.ts';
import { authorizeSelf, type Caller, type Denied, type ProjectRole } from '../principal.ts';
import { invitationHash } from './invitations.ts';

export type InvitationRefused =
  /** Unknown, used, revoked or expired: the same answer. */
  | { ok: false; reason: 'invitation_invalid' }
  | { ok: false; reason: 'too_many_attempts'; retryAfterMs: number };

/** What an invitation is for, told to whoever has its text. */
export interface InvitationTerms {
  ok: true;
  email: string;
  /** Null: an account of the platform, and no project yet. */
  project: { name: string; role: ProjectRole } | null;
  expiresAtMs: number;
  /** Whether to sign in (true) or to choose a password for a new account. */
  hasAccount: boolean;
}

type Parts = Pick<ControlParts, 'store' | 'clock' | 'random'> & {
  passwords: Passwords;
  limits: Pick<AttemptLimits, 'perAddress' | 'perInvitation'>;
};

export async function invitationTerms(
  parts: Parts,
  { token, address }: { token: string; address: string },
): Promise<InvitationTerms | InvitationRefused> {
  const found = await openInvitation(parts, { token, address });
  if (!found.ok) return found;
  const { email, projectRole: role, expiresAtMs } = found.invitation;
  const { project } = found;
  return {
    ok: true,
    email,
    project: project === null || role === null ? null : { name: project.name, role },
    expiresAtMs,
    hasAccount: (await parts.store.userByEmail(email)) !== null,
  };
}

/** Guessing is limited by address, like passwords. */
async function openInvitation(
  { store, clock, limits }: Parts,
  { token, address }: { token: string; address: string },
): Promise<
  { ok: true; invitation: InvitationRow; project: ProjectRow | null } | InvitationRefused
> {
  const attempt = takeAttempt([[limits.perAddress, networkOf(address)]]);
  if (attempt.waitMs > 0) {
    return { ok: false, reason: 'too_many_attempts', retryAfterMs: attempt.waitMs };
  }
  const invitation = await store.invitationByHash(invitationHash(token));
  if (invitation === null || invitationState(invitation, clock.now()) !== 'open') {
    return { ok: false, reason: 'invitation_invalid' };
  }
  attempt.refund();
  const { projectId } = invitation;
  const access =
    projectId === null ? null : await store.projectAccess({ project: projectId, userId: null });
  return { ok: true, invitation, project: access?.project ?? null };
}

export type AcceptOutcome =
  | { ok: true; project: ProjectRow | null }
  | InvitationRefused
  /** N2: it is for another address; or for a new account, and there is one already. */
  | { ok: false; reason: 'another_address' | 'account_exists' }
  | Denied;

/** By somebody who is signed in. */
export async function acceptInvitation(
  parts: Parts,
  { caller, token }: { caller: Caller; token: string },
): Promise<AcceptOutcome> {
  const self = authorizeSelf(caller);
  if (!self.ok) return self;
  const found = await openInvitation(parts, { token, address: caller.address });
  if (!found.ok) return found;
  const { invitation, project } = found;
  if (invitation.projectId === null) return { ok: false, reason: 'account_exists' };
  const outcome = await parts.store.acceptInvitation({
    id: invitation.id,
    by: { kind: 'existing', userId: self.userId },
    nowMs: parts.clock.now(),
    audit: noteOf(parts, { caller, invitation }),
  });
  if (outcome.ok) return { ok: true, project };
  return refusal(outcome.reason);
}

export type SignUpOutcome =
  | OpenedSession
  | InvitationRefused
  | InvalidField<'password'>
  | { ok: false; reason: 'another_address' | 'account_exists' }
  | { ok: false; reason: 'busy'; retryAfterMs: number };

/** By somebody who has no account yet: makes it, and signs it in. */
export async function signUp(
  parts: Parts,
  { caller, token, password }: { caller: Caller; token: string; password: string },
): Promise<SignUpOutcome> {
  const found = await openInvitation(parts, { token, address: caller.address });
  if (!found.ok) return found;
  const { invitation } = found;
  // Whoever has one invitation must not keep the line of those who sign in busy.
  const retryAfterMs = parts.limits.perInvitation.take(invitation.id);
  if (retryAfterMs > 0) return { ok: false, reason: 'too_many_attempts', retryAfterMs };
  const problem = passwordProblem(password);
  if (problem !== undefined) return invalidParam('password', `is not usable: ${problem}`);
  const { email, userRole: role } = invitation;
  if ((await parts.store.userByEmail(email)) !== null) {
    return { ok: false, reason: 'account_exists' };
  }
  const passwordHash = await parts.passwords.hash(password);
  const user = { ...newAccount(parts, { email, role }), passwordHash };
  const principal = { kind: 'user', userId: user.id, email, role } as const;
  const outcome = await parts.store.acceptInvitation({
    id: invitation.id,
    by: { kind: 'new', user },
    nowMs: parts.clock.now(),
    audit: noteOf(parts, { caller: { ...caller, principal }, invitation }),
  });
  if (!outcome.ok) return refusal(outcome.reason);
  const opened = await openSession(parts, { user, method: 'password' });
  // Disabled between two transactions of one call.
  return opened.ok ? opened : { ok: false, reason: 'invitation_invalid' };
}

function noteOf(
  parts: Pick<ControlParts, 'clock'>,
  { caller, invitation }: { caller: Caller; invitation: InvitationRow },
) {
  const { id, projectId, email } = invitation;
  return auditOf(parts, caller, {
    action: 'invitation.accept',
    target: id,
    projectId,
    changes: {
      email: { from: null, to: email },
      role: { from: null, to: invitation.projectRole ?? invitation.userRole },
    },
  });
}

type StoreRefusal = Exclude<
  Awaited<ReturnType<ControlParts['store']['acceptInvitation']>>,
  { ok: true }
>['reason'];

function refusal(reason: StoreRefusal): {
  ok: false;
  reason: 'another_address' | 'account_exists' | 'invitation_invalid';
} {
  if (reason === 'another_address') return { ok: false, reason };
  if (reason === 'email_taken') return { ok: false, reason: 'account_exists' };
  return { ok: false, reason: 'invitation_invalid' };
}
