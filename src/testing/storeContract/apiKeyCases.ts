/** API keys: made, changed, rotated, revoked. */
import assert from 'node:assert/strict';
import type { ApiKeyChange, ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import {
  apiKeyRow,
  auditNote,
  bootstrapRows,
  firstPage,
  projectRow,
  revocation,
  startMs,
} from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const audit = auditNote({ action: 'api_key.create', targetKind: 'api_key' });
const projectId = 'proj_a';
const dayMs = 86_400_000;
const aside = { projectId, livingLimit: 100, audit };

const hashOf = (at: number): string => at.toString(16).padStart(64, '0');

const insert = (store: Store, over: Partial<ApiKeyRow> = {}, livingLimit = 100) =>
  store.insertApiKey({
    key: apiKeyRow({ id: 'key_n', sha256: hashOf(99), ...over }),
    livingLimit,
    audit,
  });

const rotate = (
  store: Store,
  to: number,
  over: { expectedVersion?: number; nowMs?: number } = {},
) => {
  const { expectedVersion = null, nowMs = startMs } = over;
  return store.rotateApiKey({
    id: 'key_b',
    projectId,
    expectedVersion,
    sha256: hashOf(to),
    lastFour: 'wxyz',
    nowMs,
    graceUntilMs: nowMs + dayMs,
    audit,
  });
};

async function entryOf(store: Store, id: string) {
  return (await readDirectory(store)).apiKeys.find((key) => key.id === id);
}

export const apiKeyCases: StoreCases = {
  'a field of a key is lost on its way through the tables': async ({ store }) => {
    const rows = bootstrapRows();
    await store.bootstrap(rows);
    const full: ApiKeyRow = {
      id: 'key_full',
      projectId,
      name: 'all of it',
      sha256: hashOf(1),
      lastFour: 'zzzz',
      previous: { sha256: hashOf(2), untilMs: startMs + 5 },
      scopes: ['inference', 'management'],
      endpointId: 'ep_a',
      expiresAtMs: startMs + 9,
      ipAllowList: ['10.0.0.0/8', '::1'],
      quota: { requestsPerMinute: 5, tokensPerMinute: null, tokensPerDay: 2 ** 40 },
      revoked: false,
      revokedAtMs: null,
      rotatedAtMs: startMs + 3,
      lastUsedAtMs: startMs + 4,
      version: 8,
      createdAtMs: startMs + 2,
      createdBy: 'user:user_a',
    };
    assert.deepEqual(await insert(store, full), { ok: true, key: full });
    const listed = await store.apiKeysOf({ projectId, page: firstPage });
    assert.deepEqual(listed, { items: [...rows.apiKeys, full], next: null });
    assert.deepEqual(await store.apiKeyById({ id: 'key_full', projectId }), full);
    assert.equal(await store.apiKeyById({ id: 'key_full', projectId: 'proj_b' }), null);
    assert.deepEqual(await store.apiKeyByHash(hashOf(1)), full);
    assert.equal(await store.apiKeyByHash(hashOf(2)), null);
  },

  'a key is pinned to an endpoint of another project, or by a slug that moves': async ({
    store,
  }) => {
    await store.bootstrap(bootstrapRows());
    const project = projectRow({ id: 'proj_b', slug: 'b' });
    await store.insertProject({
      project,
      ownerId: null,
      ownedLimit: null,
      sharesAlone: false,
      audit,
    });
    const missing = { ok: false, reason: 'unknown_endpoint' };
    for (const endpointId of ['ep_x', 'nope']) {
      assert.deepEqual(await insert(store, { endpointId }), missing);
    }
    for (const endpointId of ['ep_a', 'main']) {
      assert.deepEqual(await insert(store, { projectId: 'proj_b', endpointId }), missing);
    }
    const made = await insert(store, { endpointId: 'main' });
    assert.ok(made.ok && made.key.endpointId === 'ep_a');
    assert.equal((await entryOf(store, 'key_n'))?.endpointId, 'ep_a');
    const change = { endpointId: 'nope' };
    const wish = { ...aside, id: 'key_n', expectedVersion: null, change };
    assert.deepEqual(await store.updateApiKey(wish), missing);
    const elsewhere = await insert(store, { projectId: 'proj_x' });
    assert.deepEqual(elsewhere, { ok: false, reason: 'unknown_project' });
  },

  'keys pile up beyond the bound, or dead ones count': async ({ store, another }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows({ apiKeys: [] }));
    await insert(store, { id: 'key_old', sha256: hashOf(50), expiresAtMs: startMs });
    await insert(store, { id: 'key_gone', sha256: hashOf(51) });
    await store.revokeApiKey(revocation('key_gone'));
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_none, at) =>
        insert(at % 2 === 0 ? store : other, { id: `key_${at}`, sha256: hashOf(at) }, 5),
      ),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 5);
    const [refused] = outcomes.filter((outcome) => !outcome.ok);
    assert.deepEqual(refused, { ok: false, reason: 'too_many' });
    const revived = (change: ApiKeyChange, livingLimit: number) =>
      store.updateApiKey({ ...aside, id: 'key_old', expectedVersion: null, change, livingLimit });
    assert.deepEqual(await revived({ expiresAtMs: null }, 5), refused);
    assert.deepEqual(await revived({ expiresAtMs: startMs + 1 }, 5), refused);
    assert.ok((await revived({ name: 'as dead as before' }, 5)).ok);
    assert.ok((await revived({ expiresAtMs: null }, 6)).ok);
    assert.ok((await revived({ expiresAtMs: startMs + 1 }, 5)).ok, 'it lives already');
    await other.close();
  },

  'a changed key is not seen by the data plane, or its past is forgotten': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const quota = { requestsPerMinute: 10, tokensPerMinute: null, tokensPerDay: 1_000 };
    const change = { name: 'new', endpointId: null, expiresAtMs: startMs + 7, quota };
    const wish = { ...aside, id: 'key_b', change };
    const updated = await store.updateApiKey({ ...wish, expectedVersion: 1 });
    assert.ok(updated.ok && updated.key.version === 2);
    const entry = await entryOf(store, 'key_b');
    assert.deepEqual(
      [entry?.endpointId, entry?.quota, entry?.expiresAtMs],
      [null, quota, startMs + 7],
    );
    const conflict = { ok: false, reason: 'version_conflict' };
    assert.deepEqual(await store.updateApiKey({ ...wish, expectedVersion: 1 }), conflict);
    const foreign = { ...wish, projectId: 'proj_b', expectedVersion: null };
    assert.deepEqual(await store.updateApiKey({ ...foreign, change: {} }), {
      ok: false,
      reason: 'unknown',
    });
    const { items } = await store.auditNotes({ projectId: undefined, page: firstPage });
    assert.deepEqual(items[0]?.changes, {
      name: { from: 'first', to: 'new' },
      endpointId: { from: 'ep_a', to: null },
      expiresAtMs: { from: null, to: startMs + 7 },
      quota: { from: null, to: quota },
    });
    await store.revokeApiKey(revocation('key_b'));
    const revoked = await store.updateApiKey({ ...wish, expectedVersion: null });
    assert.deepEqual(revoked, { ok: false, reason: 'revoked' });
  },

  'a rotation forgets the value before it, or remembers the one before that': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const { revision } = await store.directoryHead();
    const first = await rotate(store, 1);
    assert.ok(first.ok && first.key.version === 2 && first.key.lastFour === 'wxyz');
    const before = { sha256: 'b'.repeat(64), untilMs: startMs + dayMs };
    assert.deepEqual((await entryOf(store, 'key_b'))?.previous, before);
    await rotate(store, 2, { nowMs: startMs + 1 });
    const entry = await entryOf(store, 'key_b');
    assert.equal(entry?.sha256, hashOf(2));
    assert.deepEqual(entry.previous, { sha256: hashOf(1), untilMs: startMs + 1 + dayMs });
    const changes = await store.changesSince({ revision, limit: 10 });
    assert.ok(changes.ok && changes.changes.length === 2);
    const now = await store.rotateApiKey({
      id: 'key_b',
      projectId,
      expectedVersion: null,
      sha256: hashOf(3),
      lastFour: 'abcd',
      nowMs: startMs,
      graceUntilMs: startMs,
      audit,
    });
    assert.ok(now.ok && now.key.previous === null, 'without grace nothing of it stays');
    const { items } = await store.auditNotes({ projectId: undefined, page: firstPage });
    assert.ok(!JSON.stringify(items).includes(hashOf(2).slice(-8)), 'C2: no hash in the log');
  },

  'a key that is over, another project’s or changed meanwhile is rotated': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const refused = (reason: string) => ({ ok: false, reason });
    assert.deepEqual(await rotate(store, 1, { expectedVersion: 2 }), refused('version_conflict'));
    const wish = { sha256: hashOf(5), lastFour: 'abcd', nowMs: startMs + 1, expectedVersion: null };
    const of = { ...wish, graceUntilMs: startMs + 2, audit };
    const expired = await store.rotateApiKey({ ...of, id: 'key_a', projectId });
    assert.deepEqual(expired, refused('expired'));
    const foreign = await store.rotateApiKey({ ...of, id: 'key_b', projectId: 'proj_b' });
    assert.deepEqual(foreign, refused('unknown'));
    await store.revokeApiKey(revocation('key_b'));
    assert.deepEqual(await rotate(store, 1), refused('revoked'));
  },

  'rotations at once leave a value that opens for ever, or none that opens': async ({
    store,
    another,
  }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    const values = Array.from({ length: 64 }, (_none, at) => at + 1);
    const outcomes = await Promise.all(
      values.map((to) => rotate(to % 2 === 0 ? store : other, to)),
    );
    assert.ok(outcomes.every(({ ok }) => ok));
    const row = await store.apiKeyById({ id: 'key_b', projectId });
    assert.equal(row?.version, 65);
    const byVersion = new Map(
      outcomes.map((outcome) => (outcome.ok ? [outcome.key.version, outcome.key.sha256] : [0, ''])),
    );
    assert.equal(row.sha256, byVersion.get(65));
    assert.equal(row.previous?.sha256, byVersion.get(64));
    await other.close();
  },

  'one of many who rotate what they saw is not the only one': async ({ store, another }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    const values = Array.from({ length: 64 }, (_none, at) => at + 1);
    const outcomes = await Promise.all(
      values.map((to) => rotate(to % 2 === 0 ? store : other, to, { expectedVersion: 1 })),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    await other.close();
  },

  'a key that is revoked while it is rotated lives': async ({ store, another }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    await Promise.all([
      ...Array.from({ length: 8 }, (_none, at) => rotate(at % 2 === 0 ? store : other, at + 1)),
      other.revokeApiKey(revocation('key_b')),
    ]);
    assert.equal((await entryOf(store, 'key_b'))?.revoked, true);
    await other.close();
  },

  'a revoked key goes on working, or another project revokes it': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const { revision } = await store.directoryHead();
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(await store.revokeApiKey(revocation('key_a', 'proj_b')), unknown);
    assert.deepEqual(await store.revokeApiKey(revocation('key_x')), unknown);
    assert.deepEqual(await store.revokeApiKey(revocation('key_a')), { ok: true });
    assert.deepEqual(await store.revokeApiKey(revocation('key_a')), { ok: true });
    const changes = await store.changesSince({ revision, limit: 10 });
    assert.ok(changes.ok && changes.changes.length === 1);
    const [change] = changes.changes;
    assert.deepEqual([change?.kind, change?.id], ['api_key', 'key_a']);
    assert.equal(change?.kind === 'api_key' && change.entry?.revoked, true);
    const row = await store.apiKeyById({ id: 'key_a', projectId });
    assert.equal(row?.revokedAtMs, startMs);
    const { items } = await store.auditNotes({ projectId: undefined, page: firstPage });
    assert.equal(items.length, 1, 'the second time is no change');
  },

  'a use from before the last one, or of a key that is gone, is written': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const { revision } = await store.directoryHead();
    const usedAt = async () => (await store.apiKeyById({ id: 'key_b', projectId }))?.lastUsedAtMs;
    await store.markApiKeysUsed([
      { id: 'key_x', atMs: startMs },
      { id: 'key_b', atMs: startMs + 5 },
    ]);
    assert.equal(await usedAt(), startMs + 5);
    await store.markApiKeysUsed([{ id: 'key_b', atMs: startMs + 4 }]);
    assert.equal(await usedAt(), startMs + 5);
    await store.markApiKeysUsed([]);
    assert.equal((await store.directoryHead()).revision, revision, 'the directory need not know');
  },
};
