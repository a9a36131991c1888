/**
 * Invitations to a project (by its owners) or to the platform alone (by operators): made, listed,
 * revoked. An invitation is a text that is shown once, for one e-mail address, once and for a week.
 */
import { invitationState, type InvitationState } from '../../domain/settings/invitationState.ts';
import { sha256Hex, toBase64url } from '../../lib/crypto/hashing.ts';
import { newId } from '../../lib/ids.ts';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { InvitationRow } from '../../store/contract/memberStore.ts';
import { auditOf, changedBy } from '../audit.ts';
import type { InvalidField } from '../invalidField.ts';
import { invitationLifetimeMs, openInvitationsPerOwner } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { readEmail } from '../people/emailAddress.ts';
import {
  authorizePlatform,
  type Caller,
  type Denied,
  type Owner,
  type OwnerRef,
  type ProjectRole,
} from '../principal.ts';
import { authorizePerson } from './members.ts';

type Parts = Pick<ControlParts, 'store' | 'clock'>;

type NotFound = { ok: false; reason: 'not_found' };

/** As its makers see it: without a trace of the token (C2). */
export interface InvitationView extends Omit<InvitationRow, 'tokenSha256'> {
  state: InvitationState;
}

interface OfOwner {
  caller: Caller;
  owner: OwnerRef;
}

/** C3 */
async function authorizeInviting(
  { store }: Pick<Parts, 'store'>,
  { caller, owner }: OfOwner,
): Promise<Owner | Denied> {
  if (owner.kind === 'platform') {
    const allowed = authorizePlatform(caller);
    return allowed.ok ? { ok: true, projectId: null } : allowed;
  }
  const { project } = owner;
  const allowed = await authorizePerson(store, { caller, project, role: 'owner' });
  return allowed.ok ? { ok: true, projectId: allowed.project.id } : allowed;
}

/** Newest first. */
export async function listInvitations(
  parts: Parts,
  { page, ...input }: OfOwner & { page: Page },
): Promise<{ ok: true; page: Paged<InvitationView> } | Denied> {
  const allowed = await authorizeInviting(parts, input);
  if (!allowed.ok) return allowed;
  const rows = await parts.store.invitationsOf({ projectId: allowed.projectId, page });
  const nowMs = parts.clock.now();
  return { ok: true, page: mapPage(rows, (row) => invitationView(row, nowMs)) };
}

export type CreateInvitationOutcome =
  /** The token is shown once. */
  | { ok: true; invitation: InvitationView; token: string }
  | InvalidField<'email'>
  | { ok: false; reason: 'too_many_invitations'; limit: number }
  | Denied;

/**
 * `role` is the one in the project; with the platform as owner it is nothing, and `userRole` is
 * what the new account becomes. Only an operator invites operators.
 */
export async function createInvitation(
  parts: Parts & Pick<ControlParts, 'random'>,
  input: OfOwner & { email: string; role: ProjectRole; userRole: 'admin' | 'user' },
): Promise<CreateInvitationOutcome> {
  const { caller, role } = input;
  const allowed = await authorizeInviting(parts, input);
  if (!allowed.ok) return allowed;
  const { projectId } = allowed;
  const read = readEmail(input.email);
  if (!read.ok) return read;
  const token = newInvitationToken(parts);
  const createdAtMs = parts.clock.now();
  const invitation: InvitationRow = {
    id: newId('inv', parts.random),
    projectId,
    projectRole: projectId === null ? null : role,
    userRole: projectId === null ? input.userRole : 'user',
    email: read.email,
    tokenSha256: invitationHash(token),
    createdBy: changedBy(caller),
    createdAtMs,
    expiresAtMs: createdAtMs + invitationLifetimeMs,
    acceptedAtMs: null,
    acceptedBy: null,
    revokedAtMs: null,
  };
  const audit = auditOf(parts, caller, {
    action: 'invitation.create',
    target: invitation.id,
    projectId,
    changes: {
      email: { from: null, to: invitation.email },
      role: { from: null, to: invitation.projectRole ?? invitation.userRole },
    },
  });
  const openLimit = openInvitationsPerOwner;
  const outcome = await parts.store.insertInvitation({ invitation, openLimit, audit });
  if (outcome.ok) return { ok: true, invitation: invitationView(invitation, createdAtMs), token };
  if (outcome.reason === 'unknown_project') return { ok: false, reason: 'project_not_found' };
  return { ok: false, reason: 'too_many_invitations', limit: openLimit };
}

/** Idempotent, but not for one that was accepted: who came must be removed as a member. */
export async function revokeInvitation(
  parts: Parts,
  input: OfOwner & { invitationId: string },
): Promise<{ ok: true } | NotFound | { ok: false; reason: 'invitation_used' } | Denied> {
  const allowed = await authorizeInviting(parts, input);
  if (!allowed.ok) return allowed;
  const { projectId } = allowed;
  const outcome = await parts.store.revokeInvitation({
    id: input.invitationId,
    projectId,
    nowMs: parts.clock.now(),
    audit: auditOf(parts, input.caller, {
      action: 'invitation.revoke',
      target: input.invitationId,
      projectId,
    }),
  });
  if (outcome.ok) return outcome;
  return { ok: false, reason: outcome.reason === 'used' ? 'invitation_used' : 'not_found' };
}

export function invitationView(
  { tokenSha256: _secret, ...shown }: InvitationRow,
  nowMs: number,
): InvitationView {
  return { ...shown, state: invitationState(shown, nowMs) };
}

function newInvitationToken({ random }: Pick<ControlParts, 'random'>): string {
  return `xin_${toBase64url(random.bytes(32))}`;
}

/** What is stored of a token. */
export function invitationHash(token: string): string {
  return sha256Hex(token);
}
