/** The first rows, users and sessions. */
import assert from 'node:assert/strict';
import type { StoreCases } from './storeCases.ts';
import { endpointEntry } from '../directoryEntries.ts';
import { bootstrapRows, startMs, userRow } from '../storeRows.ts';

const session = (token: string, expiresAtMs: number) => ({
  tokenSha256: token,
  userId: 'user_a',
  createdAtMs: startMs,
  expiresAtMs,
});

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
    const { revision, projects } = await store.directory();
    assert.deepEqual({ revision, projects }, { revision: 0, projects: [] });
    assert.deepEqual(await store.bootstrap(bootstrapRows()), { ok: true });
    assert.equal(await store.isBootstrapped(), true);
  },

  'an address in other capitals is an unknown user': async ({ store }) => {
    await store.bootstrap(bootstrapRows({ admin: userRow({ email: 'Admin@Example.org' }) }));
    assert.deepEqual(await store.userByEmail('ADMIN@example.ORG'), userRow());
    assert.equal(await store.userByEmail('nobody@example.org'), null);
  },

  'an expired or a closed session still signs in': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await store.insertSession(session('aa', startMs + 1_000));
    await store.insertSession(session('bb', startMs + 2_000));
    assert.deepEqual(await store.sessionByHash('aa', startMs + 999), {
      ...session('aa', startMs + 1_000),
      user: userRow(),
    });
    assert.equal(await store.sessionByHash('aa', startMs + 1_000), null);
    assert.equal(await store.sessionByHash('cc', startMs), null);
    await store.deleteSession('bb');
    assert.equal(await store.sessionByHash('bb', startMs), null);
  },

  'expired sessions are kept for ever, or living ones deleted': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await store.insertSession(session('aa', startMs + 1_000));
    await store.insertSession(session('bb', startMs + 2_000));
    await store.deleteExpiredSessions(startMs + 1_000);
    assert.equal(await store.sessionByHash('aa', startMs), null);
    assert.notEqual(await store.sessionByHash('bb', startMs), null);
  },

  'a session of nobody is stored': async ({ store }) => {
    await assert.rejects(store.insertSession(session('aa', startMs + 1_000)));
    assert.equal(await store.sessionByHash('aa', startMs), null);
  },
};
