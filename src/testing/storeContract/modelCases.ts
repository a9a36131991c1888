/** Models of projects and of the catalogue, and the digests that shared agents may serve. */
import assert from 'node:assert/strict';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import {
  endpointUpdate,
  insertOtherProject,
  modelUpdate,
  newEndpoint,
  newModel,
} from '../router/catalogueRows.ts';
import { firstPage } from '../http/firstPage.ts';
import { auditNote, bootstrapRows, startMs } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const sha256 = 'd'.repeat(64);

const idsOf = async (store: Store, projectId: string | null, withCatalogue = false) => {
  const { items } = await store.modelPage({ projectId, withCatalogue, page: firstPage });
  return items.map(({ id }) => id);
};

const remove = (store: Store, id: string, projectId: string | null) =>
  store.deleteModel({
    id,
    projectId,
    audit: auditNote({ action: 'model.delete', targetKind: 'model', targetId: id }),
  });

const approve = (store: Store, over: { atMost?: number; digest?: string } = {}) =>
  store.approveModel({
    approval: {
      sha256: over.digest ?? sha256,
      note: 'read the model card',
      approvedBy: 'user:user_a',
      createdAtMs: startMs,
    },
    atMost: over.atMost ?? 10,
    audit: auditNote({ action: 'model_approval.create', projectId: null }),
  });

export const modelCases: StoreCases = {
  'a model is kept otherwise than it was wished, or shows in another project': async (fixture) => {
    const { store } = fixture;
    await store.bootstrap(bootstrapRows());
    await fixture.sql(insertOtherProject);
    const wish = newModel({
      id: 'model_b',
      name: 'Tiny',
      source: 'https://example.org/tiny.gguf',
      format: 'gguf',
      task: 'embed',
      sizeBytes: 123,
      sha256,
      contextLength: 512,
    });
    const created = await store.createModel(wish);
    assert.ok(created.ok);
    assert.deepEqual(created.model, {
      ...wish.model,
      approvedForShared: false,
      updatedAtMs: startMs,
      version: 1,
    });
    assert.deepEqual(await store.modelById('model_b'), created.model);
    assert.deepEqual(await idsOf(store, 'proj_a'), ['model_b']);
    assert.deepEqual(await idsOf(store, null), ['model_a']);
    assert.deepEqual(await idsOf(store, 'proj_b', true), ['model_a']);
    assert.deepEqual((await idsOf(store, 'proj_a', true)).toSorted(), ['model_a', 'model_b']);
    const stranger = modelUpdate({ id: 'model_b', projectId: 'proj_b', patch: { name: 'mine' } });
    assert.deepEqual(await store.updateModel(stranger), { ok: false, reason: 'not_found' });
    const refused = { ok: false, reason: 'not_found' };
    assert.deepEqual(await remove(store, 'model_b', 'proj_b'), refused);
    assert.deepEqual(await remove(store, 'model_a', 'proj_a'), refused);
  },

  'another source keeps the digest and size of the old file': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const wish = newModel({ id: 'model_b', sha256, sizeBytes: 5, contextLength: 99 });
    assert.ok((await store.createModel(wish)).ok);
    const { revision } = await store.directoryHead();
    const about = { id: 'model_b', projectId: 'proj_a' };
    const moved = await store.updateModel(
      modelUpdate({ ...about, patch: { source: 'hf:org/other' }, expectedVersion: 1 }),
    );
    assert.ok(moved.ok);
    const { source, sha256: digest, sizeBytes, contextLength, version } = moved.model;
    assert.deepEqual(
      [source, digest, sizeBytes, contextLength, version],
      ['hf:org/other', null, null, 99, 2],
    );
    const read = await store.changesSince({ revision, limit: 10 });
    assert.ok(read.ok);
    assert.deepEqual(
      read.changes.map(({ kind, id }) => `${kind} ${id}`),
      ['model model_b'],
    );
    const stale = modelUpdate({ ...about, patch: { name: 'x' }, expectedVersion: 1 });
    assert.deepEqual(await store.updateModel(stale), { ok: false, reason: 'version_conflict' });
    const { items } = await store.auditNotes({ projectId: 'proj_a', page: firstPage });
    assert.deepEqual(items[0]?.changes['sha256'], { from: sha256, to: null });
  },

  'a token in the query of a source stands in the audit log': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const source = 'https://models.test/a.gguf?token=secret';
    assert.ok((await store.createModel(newModel({ id: 'model_b', source }))).ok);
    const moved = { source: 'https://models.test/b.gguf?token=secret2' };
    const about = { id: 'model_b', projectId: 'proj_a', patch: moved };
    assert.ok((await store.updateModel(modelUpdate(about))).ok);
    const notes = JSON.stringify(await store.auditNotes({ projectId: 'proj_a', page: firstPage }));
    assert.ok(notes.includes('https://models.test/b.gguf?…'));
    assert.ok(!notes.includes('secret'));
  },

  'a model grows beyond the tier of an endpoint that uses it': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    assert.ok((await store.createModel(newModel({ id: 'model_b', sizeBytes: 1_000 }))).ok);
    const fallback = { enabled: true, afterMs: 0, tier: 'free' as const };
    const wish = newEndpoint({ slug: 'b', modelId: 'model_b', tier: 'self_hosted', fallback });
    assert.ok((await store.createEndpoint(wish)).ok);
    const about = { id: 'model_b', projectId: 'proj_a' };
    const grow = modelUpdate({ ...about, patch: { sizeBytes: 48_000_000_001 } });
    assert.deepEqual(await store.updateModel(grow), {
      ok: false,
      reason: 'model_too_large',
      endpoint: { project: 'a', slug: 'b' },
      tier: 'free',
      sizeBytes: 48_000_000_001,
      maxBytes: 48_000_000_000,
    });
    const off = { fallback: { enabled: false } };
    assert.ok((await store.updateEndpoint(endpointUpdate({ id: 'ep_b', patch: off }))).ok);
    assert.ok((await store.updateModel(grow)).ok);
  },

  'a model goes while an endpoint uses it, also when both happen at once': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    assert.deepEqual(await remove(store, 'model_a', null), {
      ok: false,
      reason: 'model_in_use',
      endpoints: [{ project: 'a', slug: 'main' }],
      count: 1,
    });
    for (let at = 0; at < 10; at += 1) {
      const id = `model_${at}`;
      assert.ok((await store.createModel(newModel({ id }))).ok);
      const [created, removed] = await Promise.all([
        store.createEndpoint(newEndpoint({ slug: `e${at}`, modelId: id })),
        remove(other, id, 'proj_a'),
      ]);
      assert.notEqual(created.ok, removed.ok, `round ${at}`);
    }
    await other.close();
  },

  'an approval does not reach the models of its digest, or outlives its end': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const wish = newModel({ id: 'model_b', sha256 });
    assert.ok((await store.createModel(wish)).ok);
    const { revision } = await store.directoryHead();
    assert.ok((await approve(store)).ok);
    assert.ok((await approve(store)).ok, 'again');
    const entry = async () => {
      const read = await store.changesSince({ revision, limit: 10 });
      assert.ok(read.ok);
      const last = read.changes.at(-1);
      return (
        last?.kind === 'model' && [last.id, last.entry?.approvedForShared, read.changes.length]
      );
    };
    assert.deepEqual(await entry(), ['model_b', true, 1]);
    assert.equal((await store.modelById('model_b'))?.approvedForShared, true);
    const later = await store.createModel(newModel({ id: 'model_c', sha256 }));
    assert.ok(later.ok && later.model.approvedForShared, 'a model that comes later');
    const withdrawal = { sha256, audit: auditNote({ action: 'model_approval.delete' }) };
    assert.deepEqual(await store.withdrawModelApproval(withdrawal), { ok: true });
    assert.deepEqual(await store.withdrawModelApproval(withdrawal), {
      ok: false,
      reason: 'not_found',
    });
    const { models } = await readDirectory(store);
    assert.deepEqual(
      models.filter(({ approvedForShared }) => approvedForShared),
      [],
    );
    const { items } = await store.modelApprovals({ page: firstPage });
    assert.deepEqual(items, []);
  },

  'approvals pile up without bound': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const digests = ['a', 'b', 'c', 'e'].map((digit) => digit.repeat(64));
    const outcomes = await Promise.all(
      digests.map((digest) => approve(store, { digest, atMost: 3 })),
    );
    assert.deepEqual(
      outcomes.filter(({ ok }) => !ok),
      [{ ok: false, reason: 'too_many_approvals', limit: 3 }],
    );
  },
};
