/** Second factors, recovery codes, and identities of OpenID Connect. */
import assert from 'node:assert/strict';
import type { Store } from '../../store/store.ts';
import { auditNote, bootstrapRows, firstPage, startMs, userRow } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const audit = auditNote({ action: 'user.turn_on_second_factor', targetKind: 'user' });
const userId = 'user_a';
const recoveryHashes = ['1', '2', '3'].map((digit) => digit.repeat(64));

const begin = (store: Store, sealedSecret = 'sealed 1') =>
  store.beginSecondFactor({ userId, sealedSecret, nowMs: startMs, audit });
const confirm = (store: Store, sealedSecret = 'sealed 1') =>
  store.confirmSecondFactor({
    userId,
    sealedSecret,
    step: 100,
    recoveryHashes,
    nowMs: startMs + 1,
    audit,
  });

const identity = (over: { subject?: string; userId?: string } = {}) => ({
  issuer: 'https://login.example.org',
  subject: 'ada',
  userId,
  createdAtMs: startMs,
  ...over,
});

export const secondFactorCases: StoreCases = {
  'a second factor is asked for before it was confirmed, or not after': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    assert.equal(await store.secondFactor(userId), null);
    const stale = { ok: false, reason: 'stale' };
    assert.deepEqual(await confirm(store), stale);
    assert.ok((await begin(store)).ok);
    assert.equal((await store.userById(userId))?.secondFactor, false);
    assert.ok((await begin(store, 'sealed 2')).ok, 'one that was begun gives way');
    assert.deepEqual(await confirm(store), stale);
    assert.ok((await confirm(store, 'sealed 2')).ok);
    for (const user of [await store.userById(userId), await store.userByEmail(userRow().email)]) {
      assert.equal(user?.secondFactor, true);
    }
    assert.equal((await store.users({ page: firstPage })).items[0]?.secondFactor, true);
    assert.deepEqual(await store.secondFactor(userId), {
      userId,
      sealedSecret: 'sealed 2',
      createdAtMs: startMs,
      confirmedAtMs: startMs + 1,
      recoveryCodesLeft: 3,
    });
    const on = { ok: false, reason: 'already_on' };
    assert.deepEqual(await begin(store), on);
    assert.deepEqual(await confirm(store, 'sealed 2'), on);
  },

  'a code is good twice, also at once': async ({ store, another }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    await begin(store);
    await confirm(store);
    const use = (by: Store, step: number) => by.useSecondFactorStep({ userId, step });
    const replayed = { ok: false, reason: 'replayed' };
    assert.deepEqual(await use(store, 100), replayed, 'the one that confirmed it');
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, (_none, at) => use(at % 2 === 0 ? store : other, 101)),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    assert.deepEqual(await use(store, 99), replayed);
    assert.deepEqual(await use(store, 102), { ok: true });
    const code = { userId, codeSha256: recoveryHashes[0] ?? '' };
    const recovered = await Promise.all(
      Array.from({ length: 16 }, (_none, at) =>
        (at % 2 === 0 ? store : other).useRecoveryCode(code),
      ),
    );
    assert.equal(recovered.filter(({ ok }) => ok).length, 1);
    assert.equal((await store.secondFactor(userId))?.recoveryCodesLeft, 2);
    await other.close();
  },

  'old recovery codes stay good, or those of nobody': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const fresh = ['4', '5'].map((digit) => digit.repeat(64));
    const replace = () => store.replaceRecoveryCodes({ userId, recoveryHashes: fresh, audit });
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(await replace(), unknown);
    await begin(store);
    assert.deepEqual(await replace(), unknown);
    await confirm(store);
    assert.ok((await replace()).ok);
    const use = (codeSha256: string) => store.useRecoveryCode({ userId, codeSha256 });
    assert.deepEqual(await use(recoveryHashes[0] ?? ''), unknown);
    const elsewhere = { userId: 'user_x', codeSha256: fresh[0] ?? '' };
    assert.deepEqual(await store.useRecoveryCode(elsewhere), unknown);
    assert.deepEqual(await use(fresh[0] ?? ''), { ok: true });
  },

  'a second factor that was switched off leaves its codes': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await begin(store);
    await confirm(store);
    assert.deepEqual(await store.removeSecondFactor({ userId, audit }), { ok: true });
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(await store.removeSecondFactor({ userId, audit }), unknown);
    assert.equal((await store.userById(userId))?.secondFactor, false);
    const code = { userId, codeSha256: recoveryHashes[0] ?? '' };
    assert.deepEqual(await store.useRecoveryCode(code), unknown);
    const replayed = { ok: false, reason: 'replayed' };
    assert.deepEqual(await store.useSecondFactorStep({ userId, step: 500 }), replayed);
  },

  'an identity leads to two accounts, or an account has two of one provider': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const { issuer } = identity();
    assert.equal(await store.userByIdentity({ issuer, subject: 'ada' }), null);
    assert.ok((await store.linkIdentity({ identity: identity(), audit })).ok);
    assert.deepEqual(await store.userByIdentity({ issuer, subject: 'ada' }), userRow());
    const taken = { ok: false, reason: 'taken' };
    const second = identity({ subject: 'bob' });
    assert.deepEqual(await store.linkIdentity({ identity: second, audit }), taken);
    const other = userRow({ id: 'user_b', email: 'bob@example.org', role: 'user' });
    const insert = (subject: string, user = other) =>
      store.insertUserWithIdentity({
        user,
        identity: identity({ subject, userId: user.id }),
        audit,
      });
    assert.deepEqual(await insert('ada'), taken);
    assert.equal(await store.userById('user_b'), null, 'what is refused leaves an account');
    const known = userRow({ id: 'user_c' });
    assert.deepEqual(await insert('bob', known), { ok: false, reason: 'email_taken' });
    assert.ok((await insert('bob')).ok);
    assert.equal((await store.userByIdentity({ issuer, subject: 'bob' }))?.id, 'user_b');
    const elsewhere = { issuer: 'https://other.example.org', subject: 'ada' };
    assert.equal(await store.userByIdentity(elsewhere), null);
  },

  'somebody who signs in twice at once has two accounts': async ({ store, another }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, (_none, at) => {
        const user = userRow({ id: `user_${at}`, email: 'new@example.org', role: 'user' });
        return (at % 2 === 0 ? store : other).insertUserWithIdentity({
          user,
          identity: identity({ subject: 'new', userId: user.id }),
          audit,
        });
      }),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    const { issuer } = identity();
    const user = await store.userByIdentity({ issuer, subject: 'new' });
    assert.equal(user?.id, (await store.userByEmail('new@example.org'))?.id);
    await other.close();
  },
};
