/** Members of projects. */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { MemberRole, MemberRow, MemberStore } from '../contract/memberStore.ts';
import type { Row } from '../tables.ts';
import { forUpdate, type Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import { pageAfter } from '../queries/pageAfter.ts';
import { endInvitationsBy } from './endInvitations.ts';

type Input<Name extends keyof MemberStore> = Parameters<MemberStore[Name]>[0];
type Outcome<Name extends keyof MemberStore> = ReturnType<MemberStore[Name]>;

function selectMembers({ db }: Tx, projectId: string) {
  return db
    .selectFrom('memberships')
    .innerJoin('users', 'users.id', 'memberships.user_id')
    .selectAll('memberships')
    .select(['users.email', 'users.disabled_at_ms'])
    .where('memberships.project_id', '=', projectId);
}

export async function membersOf(
  tx: Tx,
  { projectId, page }: { projectId: string; page: Page },
): Promise<Paged<MemberRow>> {
  const query = tx.db.selectFrom(selectMembers(tx, projectId).as('listed')).selectAll();
  const order = ['created_at_ms', 'user_id'] as const;
  return mapPage(await pageAfter(query, { order, direction: 'asc', page }), toMember);
}

async function memberOf(
  tx: Tx,
  { projectId, userId }: { projectId: string; userId: string },
): Promise<MemberRow | null> {
  const row = await selectMembers(tx, projectId)
    .where('memberships.user_id', '=', userId)
    .executeTakeFirst();
  return row === undefined ? null : toMember(row);
}

/** Whether it was written: false when there is a membership already. */
export async function writeMember(
  { db }: Tx,
  member: { projectId: string; userId: string; role: MemberRole; nowMs: number },
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('memberships')
    .values({
      project_id: member.projectId,
      user_id: member.userId,
      role: member.role,
      created_at_ms: member.nowMs,
    })
    .onConflict((conflict) => conflict.columns(['project_id', 'user_id']).doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

export async function addMember(tx: Tx, input: Input<'addMember'>): Outcome<'addMember'> {
  const { projectId, userId } = input;
  // Locked before something refers to them, so that neither vanishes in between.
  const project = tx.db.selectFrom('projects').select('id').where('id', '=', projectId);
  const user = tx.db.selectFrom('users').select('id').where('id', '=', userId);
  const found = [
    await forUpdate(tx, project).executeTakeFirst(),
    await forUpdate(tx, user).executeTakeFirst(),
  ];
  if (found.includes(undefined)) return { ok: false, reason: 'unknown' };
  if (!(await writeMember(tx, input))) return { ok: false, reason: 'already_member' };
  return { ok: true, member: await existing(tx, input) };
}

async function existing(tx: Tx, pair: { projectId: string; userId: string }): Promise<MemberRow> {
  const member = await memberOf(tx, pair);
  if (member === null) throw new Error('a membership vanished inside its transaction');
  return member;
}

export async function setMemberRole(
  tx: Tx,
  { projectId, userId, role, audit }: Input<'setMemberRole'>,
): Outcome<'setMemberRole'> {
  const pair = { projectId, userId };
  const owners = await lockedOwners(tx, projectId);
  const before = await memberOf(tx, pair);
  if (before === null) return { ok: false, reason: 'unknown' };
  if (before.role === role) {
    noteNothing(tx);
    return { ok: true, member: before };
  }
  if (role !== 'owner' && isLast(owners, userId)) return { ok: false, reason: 'last_owner' };
  await tx.db
    .updateTable('memberships')
    .set({ role })
    .where('project_id', '=', projectId)
    .where('user_id', '=', userId)
    .execute();
  if (role !== 'owner') await endInvitationsBy(tx, { userId, projectId, nowMs: audit.atMs });
  const after = await existing(tx, pair);
  noteChanges(tx, { from: before, to: after, fields: ['role'] });
  return { ok: true, member: after };
}

export async function removeMember(
  tx: Tx,
  { projectId, userId, audit }: Input<'removeMember'>,
): Outcome<'removeMember'> {
  const owners = await lockedOwners(tx, projectId);
  const before = await memberOf(tx, { projectId, userId });
  if (before === null) return { ok: false, reason: 'unknown' };
  if (isLast(owners, userId)) return { ok: false, reason: 'last_owner' };
  await tx.db
    .deleteFrom('memberships')
    .where('project_id', '=', projectId)
    .where('user_id', '=', userId)
    .execute();
  await endInvitationsBy(tx, { userId, projectId, nowMs: audit.atMs });
  return { ok: true };
}

/**
 * Owners whose account is enabled. The project's lock first: two owners who leave at once see each
 * other's leaving.
 */
async function lockedOwners(tx: Tx, projectId: string): Promise<string[]> {
  const project = tx.db.selectFrom('projects').select('id').where('id', '=', projectId);
  await forUpdate(tx, project).execute();
  const rows = await selectMembers(tx, projectId)
    .where('memberships.role', '=', 'owner')
    .where('users.disabled_at_ms', 'is', null)
    .execute();
  return rows.map((row) => row.user_id);
}

function isLast(owners: readonly string[], userId: string): boolean {
  return owners.length === 1 && owners[0] === userId;
}

function toMember(
  row: Row<'memberships'> & { email: string; disabled_at_ms: number | null },
): MemberRow {
  return {
    projectId: row.project_id,
    userId: row.user_id,
    email: row.email,
    role: row.role,
    disabled: row.disabled_at_ms !== null,
    createdAtMs: row.created_at_ms,
  };
}
