/** Endpoints and models. */
import assert from 'node:assert/strict';
import type { StoreCases } from './storeCases.ts';
import { modelEntry } from '../router/directoryEntries.ts';
import { bootstrapRows, startMs } from '../database/storeRows.ts';

export const catalogueCases: StoreCases = {
  'a field is lost or changed on its way through the tables': async ({ store }) => {
    const rows = bootstrapRows();
    await store.bootstrap(rows);
    const unchanged = { updatedAtMs: startMs, version: 1 };
    assert.deepEqual(
      await store.endpointsOf('proj_a'),
      rows.endpoints.map((endpoint) => ({ ...endpoint, ...unchanged })),
    );
    const page = { after: null, limit: 10 };
    const keys = await store.joinKeysPage({ projectId: null, page });
    assert.deepEqual(keys, { items: rows.joinKeys, next: null });
    assert.deepEqual(await store.modelById('model_a'), {
      ...modelEntry({ sizeBytes: 2 ** 40, contextLength: 8_192 }),
      createdAtMs: startMs,
      ...unchanged,
    });
  },

  'things of one project show in another': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    assert.deepEqual(await store.endpointsOf('proj_b'), []);
    for (const projectId of ['proj_a', 'proj_b']) {
      const page = { after: null, limit: 10 };
      assert.deepEqual((await store.joinKeysPage({ projectId, page })).items, []);
    }
    assert.equal(await store.modelById('model_b'), null);
  },

  'the data plane does not hear of another source of a model': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const { revision } = await store.directoryHead();
    const source = {
      name: 'other',
      source: 'file:/models/other.gguf',
      sha256: 'c'.repeat(64),
      sizeBytes: 100,
      contextLength: 2_048,
    };
    await store.updateModelSource({ id: 'model_a', nowMs: startMs, ...source });
    await store.updateModelSource({ id: 'model_x', nowMs: startMs, ...source });
    assert.deepEqual(await store.changesSince({ revision, limit: 10 }), {
      ok: true,
      changes: [
        { revision: revision + 1, kind: 'model', id: 'model_a', entry: modelEntry(source) },
      ],
    });
  },
};
