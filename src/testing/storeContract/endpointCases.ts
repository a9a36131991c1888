/** Endpoints: what is created, changed and deleted, and what goes with it. */
import assert from 'node:assert/strict';
import type { EndpointPatch } from '../../domain/settings/endpointSettings.ts';
import type { StoreCases } from './storeCases.ts';
import {
  endpointDeletion,
  endpointUpdate,
  insertOtherProject,
  newEndpoint,
  newModel,
  operatorRules,
  ownerRules,
} from '../router/catalogueRows.ts';
import { firstPage } from '../http/firstPage.ts';
import { auditNote, bootstrapRows, startMs, usageRow } from '../database/storeRows.ts';

export const endpointCases: StoreCases = {
  'an endpoint is kept otherwise than it was wished': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    assert.ok((await store.createModel(newModel({ id: 'model_mine' }))).ok);
    const wish = newEndpoint({
      slug: 'chat',
      modelId: 'model_mine',
      tier: 'self_hosted',
      fallback: { enabled: true, afterMs: 250, tier: 'free' },
      region: 'Lab-1',
      minimumIsolation: 'logical',
      resume: true,
      queueTimeoutMs: 1500,
      active: false,
    });
    const created = await store.createEndpoint(wish);
    assert.ok(created.ok, JSON.stringify(created));
    const expected = { ...wish.endpoint, updatedAtMs: startMs, version: 1 };
    assert.deepEqual(created.detail.endpoint, expected);
    for (const ref of ['chat', wish.endpoint.id]) {
      const found = await store.endpointByRef({ projectId: 'proj_a', ref });
      assert.deepEqual(found, created.detail);
    }
    assert.equal(await store.endpointByRef({ projectId: 'proj_b', ref: 'chat' }), null);
    const page = await store.endpointPage({ projectId: 'proj_a', page: firstPage });
    assert.deepEqual(
      page.items.map(({ endpoint, model }) => [endpoint.slug, model.id]),
      [
        ['main', 'model_a'],
        ['chat', 'model_mine'],
      ],
    );
  },

  'the data plane does not hear of a new, a changed or a deleted endpoint': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const { revision } = await store.directoryHead();
    const { endpoint } = newEndpoint({ slug: 'chat' });
    assert.ok((await store.createEndpoint(newEndpoint({ slug: 'chat' }))).ok);
    const patch = { active: false };
    assert.ok((await store.updateEndpoint(endpointUpdate({ id: endpoint.id, patch }))).ok);
    assert.ok((await store.updateEndpoint(endpointUpdate({ id: endpoint.id, patch }))).ok);
    const read = await store.changesSince({ revision, limit: 10 });
    const entry = { ...endpoint, active: false };
    const change = { kind: 'endpoint', id: endpoint.id };
    assert.deepEqual(read, {
      ok: true,
      changes: [
        { ...change, revision: revision + 1, entry },
        { ...change, revision: revision + 2, entry },
      ],
    });
    assert.ok((await store.deleteEndpoint(endpointDeletion({ id: endpoint.id }))).ok);
    const after = await store.changesSince({ revision: revision + 2, limit: 10 });
    assert.ok(after.ok);
    assert.deepEqual(after.changes, [{ ...change, revision: revision + 3, entry: null }]);
  },

  'a slug, a model or a project is used that is not there or another’s': async (fixture) => {
    const { store } = fixture;
    await store.bootstrap(bootstrapRows());
    await fixture.sql(insertOtherProject);
    const reason = async (...wish: Parameters<typeof newEndpoint>): Promise<string> => {
      const outcome = await store.createEndpoint(newEndpoint(...wish));
      return outcome.ok ? 'ok' : outcome.reason;
    };
    assert.ok((await store.createModel(newModel({ id: 'model_mine' }))).ok);
    assert.equal(await reason({ slug: 'main' }), 'slug_taken');
    assert.equal(await reason({ modelId: 'model_x' }), 'model_not_found');
    assert.equal(await reason({ projectId: 'proj_x' }), 'unknown_project');
    const foreign = { projectId: 'proj_b', slug: 'main' };
    assert.equal(await reason({ ...foreign, modelId: 'model_mine' }), 'model_not_found');
    assert.equal(await reason(foreign), 'ok', 'slugs of another project are free');
    assert.equal(await reason({ slug: 'x' }, { atMost: 1 }), 'too_many_endpoints');
    const elsewhere = endpointUpdate({ projectId: 'proj_b', patch: { active: false } });
    assert.deepEqual(await store.updateEndpoint(elsewhere), { ok: false, reason: 'not_found' });
    const deletion = endpointDeletion({ projectId: 'proj_b' });
    assert.deepEqual(await store.deleteEndpoint(deletion), { ok: false, reason: 'not_found' });
  },

  'a patch against an old version changes something (C6)': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const first = await store.updateEndpoint(
      endpointUpdate({ patch: { region: 'eu-2' }, expectedVersion: 1 }),
    );
    assert.ok(first.ok);
    assert.equal(first.detail.endpoint.version, 2);
    const stale = { ok: false, reason: 'version_conflict' };
    const second = endpointUpdate({ patch: { region: null }, expectedVersion: 1 });
    assert.deepEqual(await store.updateEndpoint(second), stale);
    const found = await store.endpointByRef({ projectId: 'proj_a', ref: 'ep_a' });
    assert.equal(found?.endpoint.region, 'eu-2');
  },

  'patches of two fields at once lose one another': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const patches = [
      { region: 'eu-2' },
      { resume: true },
      { queueTimeoutMs: 900 },
      { fallback: { afterMs: 30 } },
      { minimumIsolation: 'process' as const },
    ];
    const outcomes = await Promise.all(
      patches.map((patch) => store.updateEndpoint(endpointUpdate({ patch }))),
    );
    assert.ok(outcomes.every(({ ok }) => ok));
    const found = await store.endpointByRef({ projectId: 'proj_a', ref: 'ep_a' });
    assert.ok(found);
    const { region, resume, queueTimeoutMs, fallback, minimumIsolation, version } = found.endpoint;
    assert.deepEqual(
      { region, resume, queueTimeoutMs, afterMs: fallback.afterMs, minimumIsolation },
      {
        region: 'eu-2',
        resume: true,
        queueTimeoutMs: 900,
        afterMs: 30,
        minimumIsolation: 'process',
      },
    );
    assert.equal(version, 1 + patches.length);
  },

  'settings that contradict each other are stored': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const kind = async (patch: EndpointPatch): Promise<string> => {
      const outcome = await store.updateEndpoint(endpointUpdate({ patch }));
      return !outcome.ok && outcome.reason === 'bad_settings' ? outcome.problem.kind : 'none';
    };
    assert.equal(await kind({ tier: 'self_hosted' }), 'fallback_tier_needed');
    assert.equal(await kind({ fallback: { tier: 'self_hosted' } }), 'fallback_tier_private');
    assert.equal(await kind({ queueTimeoutMs: 30_001 }), 'queue_timeout');
    assert.equal(await kind({ queueTimeoutMs: 100, fallback: { afterMs: 101 } }), 'fallback_after');
    // The model of the first start has 2⁴⁰ bytes.
    assert.equal(await kind({ tier: 'free' }), 'model_too_large');
    assert.equal(await kind({ fallback: { tier: 'free' } }), 'model_too_large');
    const found = await store.endpointByRef({ projectId: 'proj_a', ref: 'ep_a' });
    assert.equal(found?.endpoint.version, 1);
  },

  'a tier’s isolation is undercut without the operator': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const { cpu_amd_optimized: tier } = ownerRules.tiers;
    const tiers = {
      ...ownerRules.tiers,
      cpu_amd_optimized: { ...tier, minimumIsolation: 'process' as const },
    };
    const patch = { minimumIsolation: 'logical' as const };
    const byOwner = endpointUpdate({ patch, rules: { ...ownerRules, tiers } });
    const refused = await store.updateEndpoint(byOwner);
    assert.deepEqual(refused, {
      ok: false,
      reason: 'bad_settings',
      problem: {
        kind: 'isolation_too_weak',
        demanded: 'logical',
        minimum: 'process',
        tier: 'cpu_amd_optimized',
      },
    });
    const byOperator = endpointUpdate({ patch, rules: { ...operatorRules, tiers } });
    assert.ok((await store.updateEndpoint(byOperator)).ok);
  },

  'a pin outlives its endpoint, usage does not, or the slug stays taken': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await store.recordUsage([usageRow(1)]);
    const { revision } = await store.directoryHead();
    const outcome = await store.deleteEndpoint(endpointDeletion());
    assert.deepEqual(outcome, { ok: true, revokedKeyIds: ['key_b'] });
    const keys = await store.apiKeysOf({ projectId: 'proj_a', page: firstPage });
    assert.deepEqual(
      keys.items.map(({ id, revoked, endpointId }) => [id, revoked, endpointId]),
      [
        ['key_a', false, null],
        ['key_b', true, null],
      ],
    );
    const read = await store.changesSince({ revision, limit: 10 });
    assert.ok(read.ok);
    assert.deepEqual(
      read.changes.map(({ kind, id }) => `${kind} ${id}`),
      ['endpoint ep_a', 'api_key key_b'],
    );
    const usage = await store.recentUsage({ projectId: 'proj_a', page: firstPage });
    assert.equal(usage.items.length, 1);
    assert.ok((await store.createEndpoint(newEndpoint({ slug: 'main' }))).ok);
  },

  'a change of an endpoint leaves no note, or one that says something else': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const audit = auditNote({
      action: 'endpoint.update',
      targetKind: 'endpoint',
      targetId: 'ep_a',
    });
    const patch = { region: 'eu-2', fallback: { enabled: false } };
    await store.updateEndpoint(endpointUpdate({ patch, audit }));
    // The same again changes nothing, and there is nothing to note.
    await store.updateEndpoint(endpointUpdate({ patch, audit }));
    await store.deleteEndpoint(endpointDeletion());
    const { items } = await store.auditNotes({ projectId: 'proj_a', page: firstPage });
    assert.deepEqual(
      items.map(({ action }) => action),
      ['endpoint.delete', 'endpoint.update'],
    );
    const fallback = { enabled: true, afterMs: 0, tier: null };
    assert.deepEqual(items[1]?.changes, {
      region: { from: 'eu', to: 'eu-2' },
      fallback: { from: fallback, to: { ...fallback, enabled: false } },
    });
    assert.deepEqual(items[0]?.changes['slug'], { from: 'main', to: null });
  },
};
