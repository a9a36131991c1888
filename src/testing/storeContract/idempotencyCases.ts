/** Idempotency keys (C5): what was changed once under a key is never changed again. */
import assert from 'node:assert/strict';
import type { ClaimOutcome, IdempotencyClaim } from '../../store/contract/idempotencyStore.ts';
import type { Store } from '../../store/store.ts';
import type { StoreCases } from './storeCases.ts';
import { auditNote, bootstrapRows, joinKeyRow, startMs } from '../database/storeRows.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;

function claimOf(claimId: string, over: Partial<IdempotencyClaim> = {}): IdempotencyClaim {
  return { caller: 'user:user_a', key: 'order-1', claimId, ...over };
}

function claim(
  store: Store,
  over: Partial<IdempotencyClaim> & { nowMs?: number; requestSha256?: string } = {},
): Promise<ClaimOutcome> {
  const { nowMs = startMs, requestSha256 = 'a', claimId = 'first', ...rest } = over;
  return store.claimIdempotencyKey({
    ...claimOf(claimId, rest),
    requestSha256,
    nowMs,
    abandonedBeforeMs: nowMs - minuteMs,
    expiresAtMs: nowMs + dayMs,
  });
}

const taken: ClaimOutcome = { ok: true, answer: null };
const answer = { status: 201, sealedBody: 'sealed' };
const refused = (reason: string) => ({ ok: false, reason });

async function createUnder(
  store: Store,
  id: string,
  claimed: IdempotencyClaim,
): Promise<{ ok: true }> {
  const outcome = await store.insertJoinKey({
    row: joinKeyRow({ id }),
    audit: auditNote({ claim: claimed }),
  });
  assert.ok(outcome.ok);
  return outcome;
}

export const idempotencyCases: StoreCases = {
  'of 64 claims of one key two win': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    const outcomes = await Promise.all(
      Array.from({ length: 64 }, (_none, at) =>
        claim(at % 2 === 0 ? store : other, { claimId: `claim-${at}` }),
      ),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    const lost = outcomes.filter((outcome) => !outcome.ok);
    assert.ok(lost.every((outcome) => outcome.reason === 'still_running'));
    await other.close();
  },

  'keys of two callers, or two keys of one, stand in each other’s way': async ({ store }) => {
    assert.deepEqual(await claim(store), taken);
    assert.deepEqual(await claim(store, { caller: 'user:user_b' }), taken);
    assert.deepEqual(await claim(store, { key: 'order-2' }), taken);
  },

  'a repeated call does not get the first answer, or another call gets it': async ({ store }) => {
    await claim(store);
    await store.keepIdempotentAnswer({ ...claimOf('first'), ...answer });
    assert.deepEqual(await claim(store, { claimId: 'again' }), { ok: true, answer });
    const late = { claimId: 'again', nowMs: startMs + dayMs - 1 };
    assert.deepEqual(await claim(store, late), { ok: true, answer });
    const foreign = { claimId: 'again', requestSha256: 'b' };
    assert.deepEqual(await claim(store, foreign), refused('another_request'));
    assert.deepEqual(await claim(store, { ...late, nowMs: startMs + dayMs }), taken);
  },

  'a claim that died before it changed anything blocks its key for ever': async ({ store }) => {
    await claim(store);
    const early = { claimId: 'second', nowMs: startMs + minuteMs };
    assert.deepEqual(await claim(store, early), refused('still_running'));
    assert.deepEqual(await claim(store, { ...early, nowMs: startMs + minuteMs + 1 }), taken);
  },

  'what died between change and answer is changed again': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await claim(store);
    await createUnder(store, 'jk_1', claimOf('first'));
    assert.deepEqual(await claim(store, { claimId: 'second' }), refused('still_running'));
    const later = { claimId: 'second', nowMs: startMs + minuteMs + 1 };
    assert.deepEqual(await claim(store, later), refused('answer_lost'));
    await store.releaseIdempotencyKey(claimOf('first'));
    assert.deepEqual(await claim(store, later), refused('answer_lost'));
  },

  'a call that was overtaken changes something after all': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await claim(store);
    await claim(store, { claimId: 'second', nowMs: startMs + minuteMs + 1 });
    await assert.rejects(createUnder(store, 'jk_1', claimOf('first')), { kind: 'unavailable' });
    assert.equal(await store.joinKeyById('jk_1'), null);
    await createUnder(store, 'jk_2', claimOf('second'));
    // Nor does its answer replace the other one's, or free the key.
    await store.keepIdempotentAnswer({ ...claimOf('first'), ...answer });
    await store.releaseIdempotencyKey(claimOf('first'));
    const third = { claimId: 'third', nowMs: startMs + minuteMs + 2 };
    assert.deepEqual(await claim(store, third), refused('still_running'));
  },

  'a call that failed without a change keeps its key': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await claim(store);
    const revocation = { id: 'jk_x', projectId: 'proj_a', nowMs: startMs };
    const audit = auditNote({ claim: claimOf('first') });
    assert.ok(!(await store.revokeJoinKey({ ...revocation, audit })).ok);
    await store.releaseIdempotencyKey(claimOf('first'));
    assert.deepEqual(await claim(store, { claimId: 'second', requestSha256: 'b' }), taken);
  },

  'a race of a slow call and the one that takes its key over changes twice': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    for (let round = 0; round < 16; round += 1) {
      const key = `order-${round}`;
      await claim(store, { key });
      const first = createUnder(store, `jk_${round}_1`, claimOf('first', { key }));
      const over = { key, claimId: 'second', nowMs: startMs + minuteMs + 1 };
      const second = claim(other, over).then(async (outcome) => {
        if (outcome.ok) await createUnder(other, `jk_${round}_2`, claimOf('second', { key }));
      });
      await Promise.allSettled([first, second]);
      const made = await Promise.all(
        [1, 2].map((number) => store.joinKeyById(`jk_${round}_${number}`)),
      );
      assert.equal(made.filter((row) => row !== null).length, 1);
    }
    await other.close();
  },

  'keys that have ended fill the table': async ({ store }) => {
    await claim(store);
    await claim(store, { key: 'young', nowMs: startMs + 1 });
    await store.deleteExpiredIdempotencyKeys(startMs + dayMs);
    const soon = { claimId: 'second', nowMs: startMs + 2 };
    assert.deepEqual(await claim(store, soon), taken);
    assert.deepEqual(await claim(store, { ...soon, key: 'young' }), refused('still_running'));
  },
};
