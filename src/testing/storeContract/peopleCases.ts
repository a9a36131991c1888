/** The first rows, users and sessions. */
import assert from 'node:assert/strict';
import type { SessionRow, UserChange } from '../../store/contract/peopleStore.ts';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import type { StoreCases } from './storeCases.ts';
import { endpointEntry } from '../router/directoryEntries.ts';
import { auditNote, bootstrapRows, firstPage, startMs, userRow } from '../database/storeRows.ts';

const session = (token: string, expiresAtMs: number): SessionRow => ({
  tokenSha256: token,
  userId: 'user_a',
  method: 'password',
  createdAtMs: startMs,
  expiresAtMs,
});

const signedIn = (row: SessionRow) => ({ session: row, checkedHash: 'scrypt$1' });

const audit = auditNote({ action: 'user.update', targetKind: 'user', projectId: null });

function update(store: Store, id: string, change: UserChange, expectedVersion?: number) {
  return store.updateUser({ id, change, expectedVersion: expectedVersion ?? null, audit });
}

async function withUsers(store: Store, count: number, role: 'admin' | 'user'): Promise<void> {
  await store.bootstrap(bootstrapRows());
  for (let at = 0; at < count; at += 1) {
    const user = userRow({ id: `user_${at}`, email: `${at}@example.org`, role });
    assert.deepEqual(await store.insertUser({ user, audit }), { ok: true });
  }
}

async function livingAdmins(store: Store): Promise<string[]> {
  const { items } = await store.users({ page: firstPage });
  return items
    .filter(({ role, disabledAtMs }) => role === 'admin' && disabledAtMs === null)
    .map(({ id }) => id);
}

export const peopleCases: StoreCases = {
  'a second first start replaces the admin': async ({ store }) => {
    assert.deepEqual(await store.bootstrap(bootstrapRows()), { ok: true });
    const admin = userRow({ id: 'user_b', email: 'other@example.org' });
    assert.deepEqual(await store.bootstrap(bootstrapRows({ admin })), {
      ok: false,
      reason: 'already_bootstrapped',
    });
    assert.deepEqual(await store.userById('user_a'), userRow());
    assert.equal(await store.userById('user_b'), null);
  },

  'two first starts at the same instant make two admins': async ({ store, another }) => {
    const other = another();
    await other.open();
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_none, at) => {
        const admin = userRow({ id: `user_${at}`, email: `${at}@example.org` });
        return (at % 2 === 0 ? store : other).bootstrap(bootstrapRows({ admin }));
      }),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    const users = await Promise.all(outcomes.map((_each, at) => store.userById(`user_${at}`)));
    assert.equal(users.filter((user) => user !== null).length, 1);
    await other.close();
  },

  'a first start that fails half-way leaves its first half (S1)': async ({ store }) => {
    const twice = [endpointEntry(), endpointEntry({ id: 'ep_b' })];
    await assert.rejects(store.bootstrap(bootstrapRows({ endpoints: twice })));
    assert.equal(await store.isBootstrapped(), false);
    const { revision, projects } = await readDirectory(store);
    assert.deepEqual({ revision, projects }, { revision: 0, projects: [] });
    assert.deepEqual(await store.bootstrap(bootstrapRows()), { ok: true });
    assert.equal(await store.isBootstrapped(), true);
  },

  'an address in other capitals is an unknown user, or has two accounts': async ({ store }) => {
    await store.bootstrap(bootstrapRows({ admin: userRow({ email: 'Admin@Example.org' }) }));
    assert.deepEqual(await store.userByEmail('ADMIN@example.ORG'), userRow());
    assert.equal(await store.userByEmail('nobody@example.org'), null);
    const user = userRow({ id: 'user_b', email: 'ADMIN@example.org' });
    const taken = { ok: false, reason: 'email_taken' };
    assert.deepEqual(await store.insertUser({ user, audit }), taken);
    assert.equal(await store.userById('user_b'), null);
  },

  'a field of an account is lost, or accounts are listed twice or not at all': async ({
    store,
  }) => {
    await withUsers(store, 5, 'user');
    const odd = userRow({
      id: 'user_odd',
      email: 'odd@example.org',
      passwordHash: null,
      role: 'user',
      mustChangePassword: false,
      disabledAtMs: startMs + 5,
      lastSignInAtMs: startMs + 4,
      version: 7,
      createdAtMs: startMs + 1,
    });
    await store.insertUser({ user: odd, audit });
    const listed = [];
    let after: (string | number)[] | null = null;
    do {
      const page = await store.users({ page: { after, limit: 2 } });
      listed.push(...page.items);
      after = page.next === null ? null : [...page.next];
    } while (after !== null);
    const ids = ['user_0', 'user_1', 'user_2', 'user_3', 'user_4', 'user_a', 'user_odd'];
    assert.deepEqual(
      listed.map(({ id }) => id),
      ids,
    );
    assert.deepEqual(listed.at(-1), odd);
  },

  'an expired or a closed session still signs in': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await store.insertSession(signedIn(session('aa', startMs + 1_000)));
    await store.insertSession(signedIn(session('bb', startMs + 2_000)));
    assert.deepEqual(await store.sessionByHash('aa', startMs + 999), {
      ...session('aa', startMs + 1_000),
      user: userRow({ lastSignInAtMs: startMs }),
    });
    assert.equal(await store.sessionByHash('aa', startMs + 1_000), null);
    assert.equal(await store.sessionByHash('cc', startMs), null);
    await store.deleteSession('bb');
    assert.equal(await store.sessionByHash('bb', startMs), null);
  },

  'expired sessions are kept for ever, or living ones deleted': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await store.insertSession(signedIn(session('aa', startMs + 1_000)));
    await store.insertSession(signedIn(session('bb', startMs + 2_000)));
    await store.deleteExpiredSessions(startMs + 1_000);
    assert.equal(await store.sessionByHash('aa', startMs), null);
    assert.notEqual(await store.sessionByHash('bb', startMs), null);
  },

  'a session of nobody, or of somebody who changed the password': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const stale = { ok: false, reason: 'stale' };
    const of = { ...session('aa', startMs + 1_000), userId: 'user_x' };
    assert.deepEqual(await store.insertSession({ session: of, checkedHash: null }), stale);
    const old = { session: session('bb', startMs + 1_000), checkedHash: 'scrypt$0' };
    assert.deepEqual(await store.insertSession(old), stale);
    const oidc = { ...session('cc', startMs + 1_000), method: 'oidc' as const };
    assert.deepEqual(await store.insertSession({ session: oidc, checkedHash: null }), { ok: true });
    assert.equal((await store.sessionByHash('cc', startMs))?.method, 'oidc');
    for (const token of ['aa', 'bb']) {
      assert.equal(await store.sessionByHash(token, startMs), null);
    }
  },

  'somebody who was disabled goes on, or comes back with an old session': async ({ store }) => {
    await withUsers(store, 1, 'user');
    const open = (token: string) => {
      const of = { ...session(token, startMs + 1_000), userId: 'user_0' };
      return store.insertSession({ session: of, checkedHash: null });
    };
    assert.deepEqual(await open('aa'), { ok: true });
    const disabled = await update(store, 'user_0', { disabledAtMs: startMs });
    assert.ok(disabled.ok && disabled.user.version === 2);
    assert.equal(await store.sessionByHash('aa', startMs), null);
    assert.deepEqual(await open('bb'), { ok: false, reason: 'stale' });
    assert.ok((await update(store, 'user_0', { disabledAtMs: null })).ok);
    assert.equal(await store.sessionByHash('aa', startMs), null, 'its session lives again');
    assert.deepEqual(await open('cc'), { ok: true });
  },

  'a disabling and a sign-in at once leave a session': async ({ store, another }) => {
    const other = another();
    await other.open();
    await withUsers(store, 16, 'user');
    const ids = Array.from({ length: 16 }, (_none, at) => `user_${at}`);
    await Promise.all(
      ids.flatMap((id) => [
        store.insertSession({
          session: { ...session(id, startMs + 1_000), userId: id },
          checkedHash: null,
        }),
        update(other, id, { disabledAtMs: startMs }),
      ]),
    );
    await Promise.all(ids.map((id) => update(store, id, { disabledAtMs: null })));
    for (const id of ids) assert.equal(await store.sessionByHash(id, startMs), null);
    await other.close();
  },

  'a change against an old version, or of nobody, is made': async ({ store }) => {
    await withUsers(store, 1, 'user');
    assert.ok((await update(store, 'user_0', { role: 'admin' }, 1)).ok);
    const conflict = { ok: false, reason: 'version_conflict' };
    assert.deepEqual(await update(store, 'user_0', { role: 'user' }, 1), conflict);
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(await update(store, 'user_x', { role: 'user' }), unknown);
    assert.equal((await store.userById('user_0'))?.role, 'admin');
    const { items } = await store.auditNotes({ projectId: undefined, page: firstPage });
    assert.deepEqual(items[0]?.changes, { role: { from: 'user', to: 'admin' } });
  },

  'the last admin goes': async ({ store }) => {
    await withUsers(store, 1, 'user');
    const last = { ok: false, reason: 'last_admin' };
    assert.deepEqual(await update(store, 'user_a', { role: 'user' }), last);
    assert.deepEqual(await update(store, 'user_a', { disabledAtMs: startMs }), last);
    assert.ok((await update(store, 'user_0', { role: 'admin' })).ok);
    assert.ok((await update(store, 'user_0', { disabledAtMs: startMs })).ok);
    assert.deepEqual(
      await update(store, 'user_a', { role: 'user' }),
      last,
      'a disabled one counts',
    );
    assert.deepEqual(await livingAdmins(store), ['user_a']);
  },

  'admins who put each other out at once leave none': async ({ store, another }) => {
    const other = another();
    await other.open();
    await withUsers(store, 15, 'admin');
    const outcomes = await Promise.all(
      (await livingAdmins(store)).flatMap((id, at) => {
        const by = at % 2 === 0 ? store : other;
        return [update(by, id, { role: 'user' }), update(by, id, { disabledAtMs: startMs })];
      }),
    );
    assert.equal((await livingAdmins(store)).length, 1);
    const refused = outcomes.filter((outcome) => !outcome.ok);
    assert.ok(refused.length >= 1);
    for (const outcome of refused) assert.ok(!outcome.ok && outcome.reason === 'last_admin');
    await other.close();
  },

  'a new password leaves sessions of the old one': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    for (const token of ['aa', 'bb', 'cc']) {
      await store.insertSession(signedIn(session(token, startMs + 1_000)));
    }
    const change = {
      userId: 'user_a',
      passwordHash: 'scrypt$2',
      mustChangePassword: false,
      keepSessionSha256: 'bb',
      audit,
    };
    const stale = { ok: false, reason: 'stale' };
    assert.deepEqual(await store.setPassword({ ...change, expectedHash: 'scrypt$0' }), stale);
    assert.notEqual(await store.sessionByHash('aa', startMs), null);
    assert.deepEqual(await store.setPassword({ ...change, expectedHash: 'scrypt$1' }), {
      ok: true,
    });
    const user = await store.userById('user_a');
    assert.deepEqual([user?.passwordHash, user?.mustChangePassword], ['scrypt$2', false]);
    const left = await Promise.all(
      ['aa', 'bb', 'cc'].map((token) => store.sessionByHash(token, startMs)),
    );
    assert.deepEqual(
      left.map((row) => row?.tokenSha256),
      [undefined, 'bb', undefined],
    );
    assert.ok((await store.setPassword({ ...change, keepSessionSha256: null })).ok);
    assert.equal(await store.sessionByHash('bb', startMs), null);
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(await store.setPassword({ ...change, userId: 'user_x' }), unknown);
    const { items } = await store.auditNotes({ projectId: undefined, page: firstPage });
    assert.ok(!JSON.stringify(items).includes('scrypt'));
  },
};
