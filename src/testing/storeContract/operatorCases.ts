/** What the operator says of tiers and regions, and what is measured of tiers. */
import assert from 'node:assert/strict';
import { measuresOf } from '../../domain/metering/tierMeasures.ts';
import { firstPage } from '../http/firstPage.ts';
import { auditNote, bootstrapRows, joinKeyRow, startMs, usageRow } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

export const operatorCases: StoreCases = {
  'what is said of a tier is lost, or an old version overwrites it': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    assert.deepEqual(await store.tierFeatures(), []);
    const audit = auditNote({ action: 'tier.update', targetKind: 'tier', projectId: null });
    const set = (features: string, expectedVersion: number | null) =>
      store.setTierFeatures({ tier: 'free', features, expectedVersion, audit });
    const first = await set('{"uptime":"99.9 %"}', 0);
    assert.ok(first.ok);
    assert.equal(first.row.version, 1);
    assert.deepEqual(await set('{}', 0), { ok: false, reason: 'version_conflict' });
    const second = await set('{"uptime":"99.5 %"}', null);
    assert.ok(second.ok);
    assert.deepEqual(await store.tierFeatures(), [
      { tier: 'free', features: '{"uptime":"99.5 %"}', updatedAtMs: startMs, version: 2 },
    ]);
    const { items } = await store.auditNotes({ projectId: undefined, page: firstPage });
    assert.deepEqual(items[0]?.changes['features'], {
      from: '{"uptime":"99.9 %"}',
      to: '{"uptime":"99.5 %"}',
    });
  },

  'the data plane does not hear of the map of near regions': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    assert.deepEqual((await store.directoryHead()).regionMap, { id: 'near', groups: [] });
    const { revision } = await store.directoryHead();
    const audit = auditNote({ action: 'region_map.update', projectId: null });
    const groups = [
      ['eu-1', 'eu-2'],
      ['eu-2', 'Lab'],
    ];
    const set = await store.setRegionMap({ groups, expectedVersion: 1, audit });
    assert.ok(set.ok);
    assert.deepEqual(set.map, { groups, updatedAtMs: startMs, version: 2 });
    const again = await store.setRegionMap({ groups: [], expectedVersion: 1, audit });
    assert.deepEqual(again, { ok: false, reason: 'version_conflict' });
    assert.ok((await store.setRegionMap({ groups, expectedVersion: null, audit })).ok);
    const read = await store.changesSince({ revision, limit: 10 });
    assert.deepEqual(read, {
      ok: true,
      changes: [
        {
          revision: revision + 1,
          kind: 'region_map',
          id: 'near',
          entry: { id: 'near', groups },
        },
      ],
    });
    assert.deepEqual((await store.directoryHead()).regionMap.groups, groups);
    assert.deepEqual(await store.regionMap(), set.map);
  },

  'measures count what is the client’s doing, or another span or tier': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const of = (number: number, over: Parameters<typeof usageRow>[1]) =>
      usageRow(number, { tier: 'free', startedAtMs: startMs, ...over });
    const failed = { ttftMs: null, outputTokens: null };
    await store.recordUsage([
      of(1, { ttftMs: 40, outputTokens: 100, latencyMs: 1_100, queueMs: 100 }),
      of(2, { ttftMs: 1_234, outputTokens: 300, latencyMs: 3_000, queueMs: 0 }),
      of(3, { ttftMs: 123_456, outputTokens: null }),
      of(4, { outcome: 'queue_timeout', status: 503, ...failed }),
      of(5, { outcome: 'client_closed', status: 499, ...failed }),
      of(6, { startedAtMs: startMs - 1 }),
      of(7, { startedAtMs: startMs + 1_000 }),
      of(8, { tier: 'self_hosted', ttftMs: 7 }),
    ]);
    const slices = await store.tierSlices({ fromMs: startMs, toMs: startMs + 1_000 });
    const free = slices.find(({ tier }) => tier === 'free');
    assert.ok(free);
    assert.deepEqual(
      { ...free, ttft: free.ttft.toSorted(([one], [other]) => one - other) },
      {
        tier: 'free',
        requests: 4,
        succeeded: 3,
        outputTokens: 400,
        servingMs: 4_000,
        ttft: [
          [40, 1],
          [1_230, 1],
          [123_000, 1],
        ],
      },
    );
    assert.deepEqual(measuresOf([free]), {
      requests: 4,
      successShare: 0.75,
      ttftP50Ms: 1_230,
      ttftP99Ms: 123_000,
      tokensPerSecond: 100,
    });
    assert.equal(slices.length, 2);
  },

  'join keys that have done their work pile up, or the bound lets one more in': async (fixture) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, (_none, at) =>
        (at % 2 === 0 ? store : other).insertJoinKey({
          row: joinKeyRow({ id: `jk_${at}`, createdAtMs: startMs + at }),
          openAtMost: 5,
          audit: auditNote(),
        }),
      ),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 5);
    const list = { projectId: 'proj_a', page: { after: null, limit: 3 } };
    const first = await store.joinKeysPage(list);
    assert.equal(first.items.length, 3);
    const rest = await store.joinKeysPage({ ...list, page: { after: first.next, limit: 3 } });
    const ages = [...first.items, ...rest.items].map(({ createdAtMs }) => createdAtMs);
    assert.deepEqual(
      ages,
      ages.toSorted((one, two) => two - one),
    );
    assert.deepEqual([ages.length, rest.next], [5, null]);
    const { expiresAtMs: beforeMs } = joinKeyRow();
    assert.equal(await store.deleteOldJoinKeys({ beforeMs, limit: 2 }), 0);
    assert.equal(await store.deleteOldJoinKeys({ beforeMs: beforeMs + 1, limit: 2 }), 2);
    await other.close();
  },
};
