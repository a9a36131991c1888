/** Invitations: made, revoked, and accepted once. */
import { invitationState } from '../../domain/settings/invitationState.ts';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { InvitationRow, MemberStore } from '../contract/memberStore.ts';
import type { UserRow } from '../contract/peopleStore.ts';
import type { Refused } from '../contract/refused.ts';
import type { Row } from '../tables.ts';
import { forUpdate, type Tx } from '../transaction.ts';
import { noteNothing } from '../projects/audit.ts';
import { writeMember } from './members.ts';
import { pageAfter } from '../queries/pageAfter.ts';
import { userById, writeUser } from './people.ts';
import { lockedProject } from '../projects/projects.ts';

type Input<Name extends keyof MemberStore> = Parameters<MemberStore[Name]>[0];
type Outcome<Name extends keyof MemberStore> = ReturnType<MemberStore[Name]>;

export async function invitationsOf(
  { db }: Tx,
  { projectId, page }: { projectId: string | null; page: Page },
): Promise<Paged<InvitationRow>> {
  const query = db
    .selectFrom('invitations')
    .selectAll()
    .where('project_id', projectId === null ? 'is' : '=', projectId);
  const order = ['created_at_ms', 'id'] as const;
  return mapPage(await pageAfter(query, { order, direction: 'desc', page }), toInvitation);
}

export async function invitationByHash(
  { db }: Tx,
  tokenSha256: string,
): Promise<InvitationRow | null> {
  const row = await db
    .selectFrom('invitations')
    .selectAll()
    .where('token_sha256', '=', tokenSha256)
    .executeTakeFirst();
  return row === undefined ? null : toInvitation(row);
}

export async function deleteOldInvitations({ db }: Tx, beforeMs: number): Promise<void> {
  await db.deleteFrom('invitations').where('expires_at_ms', '<', beforeMs).execute();
}

export async function insertInvitation(
  tx: Tx,
  { invitation, openLimit }: Input<'insertInvitation'>,
): Outcome<'insertInvitation'> {
  const { projectId, createdAtMs } = invitation;
  if (projectId !== null && (await lockedProject(tx, projectId)) === null) {
    return { ok: false, reason: 'unknown_project' };
  }
  const { open } = await tx.db
    .selectFrom('invitations')
    .select(({ fn }) => fn.countAll<number>().as('open'))
    .where('project_id', projectId === null ? 'is' : '=', projectId)
    .where('accepted_at_ms', 'is', null)
    .where('revoked_at_ms', 'is', null)
    .where('expires_at_ms', '>', createdAtMs)
    .executeTakeFirstOrThrow();
  if (open >= openLimit) return { ok: false, reason: 'too_many' };
  await tx.db
    .insertInto('invitations')
    .values({
      id: invitation.id,
      project_id: projectId,
      project_role: invitation.projectRole,
      user_role: invitation.userRole,
      email: invitation.email.toLowerCase(),
      token_sha256: invitation.tokenSha256,
      created_by: invitation.createdBy,
      created_at_ms: createdAtMs,
      expires_at_ms: invitation.expiresAtMs,
      accepted_at_ms: invitation.acceptedAtMs,
      accepted_by: invitation.acceptedBy,
      revoked_at_ms: invitation.revokedAtMs,
    })
    .execute();
  return { ok: true };
}

async function lockedInvitation(tx: Tx, id: string): Promise<InvitationRow | null> {
  const query = tx.db.selectFrom('invitations').selectAll().where('id', '=', id);
  const row = await forUpdate(tx, query).executeTakeFirst();
  return row === undefined ? null : toInvitation(row);
}

export async function revokeInvitation(
  tx: Tx,
  { id, projectId, nowMs }: Input<'revokeInvitation'>,
): Outcome<'revokeInvitation'> {
  const invitation = await lockedInvitation(tx, id);
  if (invitation?.projectId !== projectId) return { ok: false, reason: 'unknown' };
  if (invitation.acceptedAtMs !== null) return { ok: false, reason: 'used' };
  if (invitation.revokedAtMs !== null) {
    noteNothing(tx);
    return { ok: true };
  }
  const revoke = tx.db.updateTable('invitations').set({ revoked_at_ms: nowMs });
  await revoke.where('id', '=', id).execute();
  return { ok: true };
}

/** The invitation's lock first: of two who accept at once, the second finds it used. */
export async function acceptInvitation(
  tx: Tx,
  { id, by, nowMs }: Input<'acceptInvitation'>,
): Outcome<'acceptInvitation'> {
  const invitation = await lockedInvitation(tx, id);
  if (invitation === null) return { ok: false, reason: 'unknown' };
  const state = invitationState(invitation, nowMs);
  if (state !== 'open') return { ok: false, reason: state };
  const accepted = await accountFor(tx, { invitation, by });
  if (!accepted.ok) return accepted;
  const { user } = accepted;
  await tx.db
    .updateTable('invitations')
    .set({ accepted_at_ms: nowMs, accepted_by: user.id })
    .where('id', '=', id)
    .execute();
  const { projectId, projectRole } = invitation;
  if (projectId !== null && projectRole !== null) {
    const member = { projectId, userId: user.id, role: projectRole, nowMs };
    if (!(await writeMember(tx, member)) && projectRole === 'owner') await raise(tx, member);
  }
  return { ok: true, user };
}

async function accountFor(
  tx: Tx,
  { invitation, by }: { invitation: InvitationRow; by: Input<'acceptInvitation'>['by'] },
): Promise<{ ok: true; user: UserRow } | Refused<'email_taken' | 'another_address' | 'disabled'>> {
  if (by.kind === 'new') {
    if (by.user.email !== invitation.email) return { ok: false, reason: 'another_address' };
    if (await writeUser(tx, by.user)) return { ok: true, user: by.user };
    return { ok: false, reason: 'email_taken' };
  }
  const user = await userById(tx, by.userId);
  if (user?.email !== invitation.email) return { ok: false, reason: 'another_address' };
  return user.disabledAtMs === null ? { ok: true, user } : { ok: false, reason: 'disabled' };
}

async function raise(
  { db }: Tx,
  { projectId, userId }: { projectId: string; userId: string },
): Promise<void> {
  await db
    .updateTable('memberships')
    .set({ role: 'owner' })
    .where('project_id', '=', projectId)
    .where('user_id', '=', userId)
    .execute();
}

function toInvitation(row: Row<'invitations'>): InvitationRow {
  return {
    id: row.id,
    projectId: row.project_id,
    projectRole: row.project_role,
    userRole: row.user_role,
    email: row.email,
    tokenSha256: row.token_sha256,
    createdBy: row.created_by,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms,
    acceptedAtMs: row.accepted_at_ms,
    acceptedBy: row.accepted_by,
    revokedAtMs: row.revoked_at_ms,
  };
}
