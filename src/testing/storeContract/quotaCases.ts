/**
 * The free quota against a model: whatever is created, moved and removed at once, a project is
 * never over a bound that holds for it (F1).
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { freeQuota, quotaIsLifted, type Holdings } from '../../domain/settings/freeQuota.ts';
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import type { Store } from '../../store/store.ts';
import {
  endpointDeletion,
  endpointUpdate,
  newEndpoint,
  newModel,
} from '../router/catalogueRows.ts';
import { firstPage } from '../http/firstPage.ts';
import { auditNote, bootstrapRows } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

async function holdings(store: Store): Promise<Holdings> {
  const endpoints = await store.endpointsOf('proj_a');
  const models = await store.modelPage({
    projectId: 'proj_a',
    withCatalogue: false,
    page: firstPage,
  });
  return { tiers: endpoints.map(({ tier }) => tier), models: models.items.length };
}

async function assertWithinQuota(store: Store): Promise<void> {
  const has = await holdings(store);
  if (quotaIsLifted(has)) return;
  assert.ok(has.tiers.length <= freeQuota.endpoints, `${has.tiers.length} endpoints`);
  assert.ok(has.models <= freeQuota.models, `${has.models} models`);
}

/** A project without endpoints and models. The catalogue's model is small enough for `free`. */
async function emptyProject(store: Store): Promise<void> {
  await store.bootstrap(bootstrapRows());
  await store.updateModelSource({
    id: 'model_a',
    nowMs: 0,
    name: 'small',
    source: 'hf:org/small',
    sha256: null,
    sizeBytes: 1_000,
    contextLength: null,
  });
  assert.ok((await store.deleteEndpoint(endpointDeletion())).ok);
}

const tier = fc.constantFrom<TierSlug>('free', 'free', 'free', 'self_hosted', 'gpu_amd_shared');

type Step =
  | { kind: 'create'; tier: TierSlug }
  | { kind: 'move'; at: number; tier: TierSlug }
  | { kind: 'remove'; at: number }
  | { kind: 'create_model' }
  | { kind: 'remove_model'; at: number };

const kind = <Kind extends string>(name: Kind) => fc.constant(name);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: kind('create'), tier }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('move'), at: fc.nat({ max: 3 }), tier }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('remove'), at: fc.nat({ max: 3 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('create_model') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('remove_model'), at: fc.nat({ max: 3 }) }) },
);

let made = 0;

/** Without fallback, which on `self_hosted` would have to name a tier. */
function createOn(store: Store, on: TierSlug) {
  const slug = `e${(made += 1)}`;
  const fallback = { enabled: false, afterMs: 0, tier: null };
  return store.createEndpoint(newEndpoint({ slug, tier: on, fallback }));
}

const createModelOf = (store: Store) =>
  store.createModel(newModel({ id: `model_${(made += 1)}`, projectId: 'proj_a' }));

interface Ids {
  endpoints: string[];
  models: string[];
}

function run(store: Store, ids: Ids, action: Step): Promise<{ ok: boolean }> {
  const endpointId = ids.endpoints['at' in action ? action.at : 0] ?? 'ep_gone';
  switch (action.kind) {
    case 'create':
      return createOn(store, action.tier);
    case 'move': {
      const patch = { tier: action.tier };
      return store.updateEndpoint(endpointUpdate({ id: endpointId, patch }));
    }
    case 'remove':
      return store.deleteEndpoint(endpointDeletion({ id: endpointId }));
    case 'create_model':
      return createModelOf(store);
    case 'remove_model': {
      const id = ids.models[action.at] ?? 'model_gone';
      const audit = auditNote({ action: 'model.delete', targetKind: 'model', targetId: id });
      return store.deleteModel({ id, projectId: 'proj_a', audit });
    }
  }
}

async function idsOf(store: Store): Promise<Ids> {
  const endpoints = (await store.endpointsOf('proj_a')).map(({ id }) => id);
  const { items } = await store.modelPage({
    projectId: 'proj_a',
    withCatalogue: false,
    page: firstPage,
  });
  return { endpoints, models: items.map(({ id }) => id) };
}

export const quotaCases: StoreCases = {
  'a 64-way race creates a third free endpoint or a third model': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await emptyProject(store);
    const outcomes = await Promise.all(
      Array.from({ length: 64 }, (_none, at) => {
        const one = at % 4 < 2 ? store : other;
        return at % 2 === 0 ? createOn(one, 'free') : createModelOf(one);
      }),
    );
    assert.deepEqual(await holdings(store), { tiers: ['free', 'free'], models: 2 });
    const refusals = outcomes.filter((outcome) => !outcome.ok);
    assert.equal(refusals.length, 60);
    for (const refusal of refusals) assert.equal('reason' in refusal && refusal.reason, 'quota');
    await other.close();
  },

  'the endpoint that lifts the quota goes, or moves to free, while it is needed': async ({
    store,
  }) => {
    await emptyProject(store);
    const lifting = await createOn(store, 'self_hosted');
    assert.ok(lifting.ok);
    const { id } = lifting.detail.endpoint;
    for (let count = 0; count < 3; count += 1) assert.ok((await createModelOf(store)).ok);
    const excess = { quota: 'models', limit: 2, wanted: 3 };
    const refused = { ok: false, reason: 'quota', excess };
    assert.deepEqual(await store.deleteEndpoint(endpointDeletion({ id })), refused);
    const move = endpointUpdate({ id, patch: { tier: 'free' } });
    assert.deepEqual(await store.updateEndpoint(move), refused);
    const sideways = endpointUpdate({ id, patch: { tier: 'gpu_intel_shared' } });
    assert.ok((await store.updateEndpoint(sideways)).ok);
    const second = await createOn(store, 'cpu_amd_optimized');
    assert.ok(second.ok);
    assert.ok((await store.updateEndpoint(move)).ok, 'another one lifts it now');
    const last = endpointDeletion({ id: second.detail.endpoint.id });
    assert.deepEqual(await store.deleteEndpoint(last), refused);
  },

  'two requests at once each remove one of the two endpoints that lift the quota': async (
    fixture,
  ) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await emptyProject(store);
    const lifting = [await createOn(store, 'self_hosted'), await createOn(store, 'self_hosted')];
    for (let count = 0; count < 3; count += 1) assert.ok((await createModelOf(store)).ok);
    const outcomes = await Promise.all(
      lifting.map((one, at) => {
        assert.ok(one.ok);
        const deletion = endpointDeletion({ id: one.detail.endpoint.id });
        return (at === 0 ? store : other).deleteEndpoint(deletion);
      }),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    await other.close();
  },

  'some mix of creations, moves and removals breaks the free quota (F1)': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await emptyProject(store);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
        async (batches) => {
          for (const batch of batches) {
            const ids = await idsOf(store);
            await Promise.all(
              batch.map((action, at) => run(at % 2 === 0 ? store : other, ids, action)),
            );
            await assertWithinQuota(store);
          }
        },
      ),
      { numRuns: 30 },
    );
    await other.close();
  },
};
