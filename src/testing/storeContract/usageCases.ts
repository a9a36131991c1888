/** Usage records. */
import assert from 'node:assert/strict';
import type { StoreCases } from './storeCases.ts';
import { bootstrapRows, usageRow } from '../database/storeRows.ts';

const page = { after: null, limit: 2_000 };
const recent = { projectId: 'proj_a', page };

export const usageCases: StoreCases = {
  'a batch that is written again counts twice, or changes what was recorded (S4)': async ({
    store,
  }) => {
    await store.bootstrap(bootstrapRows());
    await store.recordUsage([usageRow(1), usageRow(2)]);
    await store.recordUsage([usageRow(2, { status: 500 }), usageRow(3), usageRow(3)]);
    assert.deepEqual((await store.recentUsage(recent)).items, [
      usageRow(3),
      usageRow(2),
      usageRow(1),
    ]);
  },

  'a batch longer than a statement takes is cut': async ({ store }) => {
    const rows = Array.from({ length: 1_234 }, (_none, at) => usageRow(at));
    await store.recordUsage(rows);
    assert.deepEqual((await store.recentUsage(recent)).items, rows.toReversed());
    const five = await store.recentUsage({ ...recent, page: { after: null, limit: 5 } });
    assert.equal(five.items.length, 5);
    const rest = await store.recentUsage({ ...recent, page: { ...page, after: five.next } });
    assert.deepEqual([...five.items, ...rest.items], rows.toReversed());
    assert.deepEqual((await store.recentUsage({ projectId: 'proj_b', page })).items, []);
    await store.recordUsage([]);
  },

  'a batch with one bad row is written in part (S1)': async ({ store }) => {
    const rows = Array.from({ length: 800 }, (_none, at) => usageRow(at));
    const bad = usageRow(900, { outcome: null as unknown as string });
    await assert.rejects(store.recordUsage([...rows, bad]));
    assert.deepEqual((await store.recentUsage(recent)).items, []);
  },

  'unknown figures become zero, or fractions of a millisecond are refused': async ({ store }) => {
    const unknown = usageRow(1, {
      agentId: null,
      inputTokens: null,
      cachedTokens: null,
      outputTokens: null,
      ttftMs: null,
      stream: false,
      usageClamped: true,
    });
    await store.recordUsage([unknown, usageRow(2, { ttftMs: 1.4, latencyMs: 2.6, queueMs: 0.2 })]);
    assert.deepEqual((await store.recentUsage(recent)).items, [
      usageRow(2, { ttftMs: 1, latencyMs: 3, queueMs: 0 }),
      unknown,
    ]);
  },

  'a request of another project is found, or an own one is not (P1)': async ({ store }) => {
    await store.recordUsage([usageRow(1), usageRow(2)]);
    const { requestId, projectId } = usageRow(2);
    assert.deepEqual(await store.usageRecord({ projectId, requestId }), usageRow(2));
    assert.equal(await store.usageRecord({ projectId: 'proj_other', requestId }), null);
    assert.equal(await store.usageRecord({ projectId, requestId: 'req_none' }), null);
  },

  'usage writes to the directory': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const { revision } = await store.directoryHead();
    await store.recordUsage([usageRow(1)]);
    assert.equal((await store.directoryHead()).revision, revision);
  },
};
