/** Members and invitations. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { InvitationRow, MemberRole } from '../../store/contract/memberStore.ts';
import type { Store } from '../../store/store.ts';
import { auditNote, bootstrapRows, firstPage, startMs, userRow } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const audit = auditNote({ action: 'member.update', targetKind: 'member' });
const weekMs = 7 * 86_400_000;
const projectId = 'proj_a';

const idOf = (at: number): string => `user_${at}`;
const emailOf = (at: number): string => `${at}@example.org`;

/** Project `proj_a` without the first admin, and as many accounts that are not in it. */
async function withAccounts(store: Store, count: number): Promise<void> {
  await store.bootstrap(bootstrapRows());
  for (let at = 0; at < count; at += 1) {
    const user = userRow({ id: idOf(at), email: emailOf(at), role: 'user' });
    assert.ok((await store.insertUser({ user, audit })).ok);
  }
}

function add(store: Store, at: number, role: MemberRole) {
  return store.addMember({ projectId, userId: idOf(at), role, nowMs: startMs + at, audit });
}

async function rolesOf(store: Store): Promise<Map<string, MemberRole>> {
  const { items } = await store.membersOf({ projectId, page: firstPage });
  return new Map(items.map(({ userId, role }) => [userId, role]));
}

const setRole = (store: Store, userId: string, role: MemberRole) =>
  store.setMemberRole({ projectId, userId, role, audit });
const remove = (store: Store, userId: string) => store.removeMember({ projectId, userId, audit });

function invitation(over: Partial<InvitationRow> = {}): InvitationRow {
  return {
    id: 'inv_a',
    projectId,
    projectRole: 'member',
    userRole: 'user',
    email: emailOf(0),
    tokenSha256: 'f'.repeat(64),
    createdBy: 'user:user_a',
    createdAtMs: startMs,
    expiresAtMs: startMs + weekMs,
    acceptedAtMs: null,
    acceptedBy: null,
    revokedAtMs: null,
    ...over,
  };
}

const invite = (store: Store, over: Partial<InvitationRow> = {}) =>
  store.insertInvitation({ invitation: invitation(over), openLimit: 3, audit });

type By = { kind: 'existing'; userId: string };
const byExisting = (userId: string): By => ({ kind: 'existing', userId });
const byNew = (at: number, email = emailOf(at)) => ({
  kind: 'new' as const,
  user: userRow({ id: idOf(at), email, role: 'user' }),
});

const accept = (
  store: Store,
  by: ReturnType<typeof byNew> | By,
  options: { id?: string; nowMs?: number } = {},
) => store.acceptInvitation({ id: 'inv_a', nowMs: startMs, by, audit, ...options });

export const memberCases: StoreCases = {
  'a member is lost, listed twice or added twice': async ({ store }) => {
    await withAccounts(store, 5);
    for (const at of [3, 1, 0]) assert.ok((await add(store, at, 'member')).ok);
    const again = { ok: false, reason: 'already_member' };
    assert.deepEqual(await add(store, 3, 'owner'), again);
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(await add(store, 9, 'member'), unknown);
    const elsewhere = { projectId: 'proj_x', userId: idOf(4), role: 'member' as const };
    assert.deepEqual(await store.addMember({ ...elsewhere, nowMs: startMs, audit }), unknown);
    const first = await store.membersOf({ projectId, page: { after: null, limit: 3 } });
    const rest = await store.membersOf({ projectId, page: { after: first.next, limit: 3 } });
    assert.deepEqual(
      [...first.items, ...rest.items].map(({ userId, email, role }) => [userId, email, role]),
      [
        ['user_0', '0@example.org', 'member'],
        ['user_a', 'admin@example.org', 'owner'],
        ['user_1', '1@example.org', 'member'],
        ['user_3', '3@example.org', 'member'],
      ],
    );
    assert.equal(rest.next, null);
  },

  'a project is left without an owner': async ({ store }) => {
    await withAccounts(store, 2);
    const last = { ok: false, reason: 'last_owner' };
    assert.deepEqual(await setRole(store, 'user_a', 'member'), last);
    assert.deepEqual(await remove(store, 'user_a'), last);
    await add(store, 0, 'owner');
    await store.updateUser({
      id: idOf(0),
      expectedVersion: null,
      change: { disabledAtMs: startMs },
      audit,
    });
    assert.deepEqual(await remove(store, 'user_a'), last, 'a disabled owner counts');
    await add(store, 1, 'owner');
    assert.deepEqual(await remove(store, 'user_a'), { ok: true });
    assert.deepEqual(await setRole(store, 'user_a', 'member'), { ok: false, reason: 'unknown' });
  },

  'members who change and leave in any order, at once, leave no owner': async ({
    store,
    another,
  }) => {
    const other = another();
    await other.open();
    await withAccounts(store, 5);
    const person = fc.nat({ max: 4 });
    const step = fc.oneof(
      fc.record({ kind: fc.constant('promote' as const), person }),
      fc.record({ kind: fc.constant('demote' as const), person }),
      fc.record({ kind: fc.constant('remove' as const), person }),
      fc.record({ kind: fc.constant('add' as const), person }),
    );
    await add(store, 0, 'owner');
    await remove(store, 'user_a');
    const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(batches, async (all) => {
        for (const batch of all) {
          await Promise.all(
            batch.map(({ kind, person: at }, index) => {
              const by = index % 2 === 0 ? store : other;
              if (kind === 'add') return add(by, at, at % 2 === 0 ? 'owner' : 'member');
              if (kind === 'remove') return remove(by, idOf(at));
              return setRole(by, idOf(at), kind === 'promote' ? 'owner' : 'member');
            }),
          );
          const roles = await rolesOf(store);
          assert.ok([...roles.values()].includes('owner'), 'no owner is left');
        }
      }),
      { numRuns: 15 },
    );
    await other.close();
  },

  'owners who let each other go at once leave none': async ({ store, another }) => {
    const other = another();
    await other.open();
    await withAccounts(store, 15);
    for (let at = 0; at < 15; at += 1) await add(store, at, 'owner');
    await Promise.all(
      [...(await rolesOf(store)).keys()].flatMap((userId, at) => {
        const by = at % 2 === 0 ? store : other;
        return [setRole(by, userId, 'member'), remove(by, userId)];
      }),
    );
    const left = [...(await rolesOf(store)).values()].filter((role) => role === 'owner');
    assert.equal(left.length, 1);
    await other.close();
  },

  'a change of a role that changes nothing is noted': async ({ store }) => {
    await withAccounts(store, 1);
    await add(store, 0, 'member');
    const notes = async () =>
      (await store.auditNotes({ projectId: undefined, page: firstPage })).items;
    const before = await notes();
    assert.ok((await setRole(store, idOf(0), 'member')).ok);
    assert.equal((await notes()).length, before.length);
    assert.ok((await setRole(store, idOf(0), 'owner')).ok);
    assert.deepEqual((await notes())[0]?.changes, { role: { from: 'member', to: 'owner' } });
  },

  'an invitation is lost, or more are open than the bound': async ({ store }) => {
    await withAccounts(store, 1);
    const outcomes = [];
    for (let at = 0; at < 4; at += 1) {
      const over = {
        id: `inv_${at}`,
        tokenSha256: String(at).repeat(64),
        createdAtMs: startMs + at,
      };
      outcomes.push(await invite(store, over));
    }
    assert.deepEqual(outcomes.at(-1), { ok: false, reason: 'too_many' });
    const revocation = { id: 'inv_0', projectId, nowMs: startMs, audit };
    assert.deepEqual(await store.revokeInvitation(revocation), { ok: true });
    assert.deepEqual(await store.revokeInvitation(revocation), { ok: true });
    assert.ok((await invite(store, { tokenSha256: 'e'.repeat(64) })).ok);
    const { items } = await store.invitationsOf({ projectId, page: firstPage });
    assert.deepEqual(
      items.map(({ id }) => id),
      ['inv_2', 'inv_1', 'inv_a', 'inv_0'],
    );
    assert.deepEqual(items.at(-2), invitation({ tokenSha256: 'e'.repeat(64) }));
    assert.deepEqual(await store.invitationByHash('e'.repeat(64)), items.at(-2));
    assert.equal(await store.invitationByHash('d'.repeat(64)), null);
    assert.deepEqual((await store.invitationsOf({ projectId: null, page: firstPage })).items, []);
    const elsewhere = { ...revocation, id: 'inv_1', projectId: null };
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(await store.revokeInvitation(elsewhere), unknown);
    const gone = await invite(store, { id: 'inv_x', projectId: 'proj_x' });
    assert.deepEqual(gone, { ok: false, reason: 'unknown_project' });
  },

  'old invitations are kept for ever, or open ones forgotten': async ({ store }) => {
    await withAccounts(store, 1);
    await invite(store);
    await invite(store, { id: 'inv_b', tokenSha256: 'e'.repeat(64), expiresAtMs: startMs + 1 });
    await store.deleteOldInvitations(startMs + weekMs);
    const { items } = await store.invitationsOf({ projectId, page: firstPage });
    assert.deepEqual(
      items.map(({ id }) => id),
      ['inv_a'],
    );
  },

  'an owner who was removed still lets people in': async ({ store }) => {
    await withAccounts(store, 5);
    for (const at of [0, 1, 2]) await add(store, at, 'owner');
    const states = async (): Promise<Record<string, string>> => {
      const found: Record<string, string> = {};
      for (const owner of [projectId, null]) {
        const { items } = await store.invitationsOf({ projectId: owner, page: firstPage });
        for (const one of items) found[one.id] = one.revokedAtMs === null ? 'open' : 'ended';
      }
      return found;
    };
    const by = async (id: string, at: number, of: string | null = projectId): Promise<void> => {
      const shape = { id, createdBy: `user:${idOf(at)}`, projectId: of };
      const role = of === null ? { projectRole: null } : {};
      const tokenSha256 = id.padEnd(64, '0');
      const row = invitation({ ...shape, ...role, tokenSha256, email: emailOf(4) });
      assert.ok((await store.insertInvitation({ invitation: row, openLimit: 9, audit })).ok);
    };
    await by('inv_0', 0);
    await by('inv_1', 1);
    await by('inv_2', 2);
    await by('inv_3', 3);
    await by('inv_p', 3, null);
    await by('inv_q', 2, null);
    await remove(store, idOf(0));
    await setRole(store, idOf(1), 'member');
    const afterOwners = await states();
    assert.deepEqual(
      ['inv_0', 'inv_1', 'inv_2', 'inv_3'].map((id) => afterOwners[id]),
      ['ended', 'ended', 'open', 'open'],
    );
    const notes = await store.auditNotes({ projectId, page: firstPage });
    assert.deepEqual(
      notes.items.flatMap(({ changes }) => changes['endedInvitations']?.to ?? []),
      ['inv_1', 'inv_0'],
    );
    for (const at of [2, 3]) {
      const id = idOf(at);
      await store.updateUser({ id, expectedVersion: null, change: { role: 'admin' }, audit });
      await store.updateUser({ id, expectedVersion: null, change: { role: 'user' }, audit });
    }
    const afterOperators = await states();
    assert.equal(afterOperators['inv_2'], 'open', 'an owner still');
    assert.equal(afterOperators['inv_q'], 'ended');
    assert.equal(afterOperators['inv_3'], 'ended');
    assert.equal(afterOperators['inv_p'], 'ended');
    const disabled = { disabledAtMs: startMs };
    await store.updateUser({ id: idOf(2), expectedVersion: null, change: disabled, audit });
    assert.equal((await states())['inv_2'], 'ended');
  },

  'an invitation lets in somebody else, or when it is over': async ({ store }) => {
    await withAccounts(store, 2);
    await invite(store);
    const refused = (reason: string) => ({ ok: false, reason });
    assert.deepEqual(await accept(store, byExisting(idOf(1))), refused('another_address'));
    assert.deepEqual(await accept(store, byNew(7)), refused('another_address'));
    assert.deepEqual(await accept(store, byNew(7, emailOf(0))), refused('email_taken'));
    const late = { nowMs: startMs + weekMs };
    assert.deepEqual(await accept(store, byExisting(idOf(0)), late), refused('expired'));
    assert.deepEqual(await accept(store, byExisting(idOf(0)), { id: 'inv_x' }), refused('unknown'));
    await store.revokeInvitation({ id: 'inv_a', projectId, nowMs: startMs, audit });
    assert.deepEqual(await accept(store, byExisting(idOf(0))), refused('revoked'));
    assert.equal((await rolesOf(store)).size, 1);
    assert.equal(await store.userById(idOf(7)), null);
  },

  'an invitation is accepted twice': async ({ store, another }) => {
    const other = another();
    await other.open();
    await withAccounts(store, 1);
    await invite(store, { email: emailOf(50) });
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, (_none, at) =>
        accept(at % 2 === 0 ? store : other, byNew(50 + at, emailOf(50))),
      ),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    for (const outcome of outcomes) {
      assert.ok(outcome.ok || outcome.reason === 'used', JSON.stringify(outcome));
    }
    const user = await store.userByEmail(emailOf(50));
    const { items } = await store.invitationsOf({ projectId, page: firstPage });
    assert.equal(items[0]?.acceptedBy, user?.id);
    assert.equal((await rolesOf(store)).get(user?.id ?? ''), 'member');
    const revocation = { id: 'inv_a', projectId, nowMs: startMs, audit };
    assert.deepEqual(await store.revokeInvitation(revocation), { ok: false, reason: 'used' });
    await other.close();
  },

  'two invitations of one person at once make two accounts': async ({ store, another }) => {
    const other = another();
    await other.open();
    await withAccounts(store, 0);
    await invite(store, { email: emailOf(50) });
    await invite(store, { id: 'inv_b', tokenSha256: 'e'.repeat(64), email: emailOf(50) });
    const outcomes = await Promise.all([
      accept(store, byNew(50)),
      accept(other, byNew(51, emailOf(50)), { id: 'inv_b' }),
    ]);
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    const lost = outcomes.find((outcome) => !outcome.ok);
    assert.deepEqual(lost, { ok: false, reason: 'email_taken' });
    await other.close();
  },

  'an invitation takes a role away, or does not give the greater one': async ({ store }) => {
    await withAccounts(store, 2);
    await add(store, 0, 'owner');
    await invite(store, { projectRole: 'member' });
    assert.ok((await accept(store, byExisting(idOf(0)))).ok);
    assert.equal((await rolesOf(store)).get(idOf(0)), 'owner');
    await add(store, 1, 'member');
    const raise = { id: 'inv_b', tokenSha256: 'e'.repeat(64), projectRole: 'owner' as const };
    await invite(store, { ...raise, email: emailOf(1) });
    assert.ok((await accept(store, byExisting(idOf(1)), { id: 'inv_b' })).ok);
    assert.equal((await rolesOf(store)).get(idOf(1)), 'owner');
  },
};
