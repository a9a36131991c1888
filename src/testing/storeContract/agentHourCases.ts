/** For how long private agents were linked, and what that costs. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { UptimeRow } from '../../store/contract/usageStore.ts';
import type { UsageDimension } from '../../domain/metering/usageDimensions.ts';
import type { Store } from '../../store/store.ts';
import { startMs, usageRow } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const hourMs = 3_600_000;
const projectId = 'proj_a';

function uptime(fromMs: number, toMs: number, over: Partial<UptimeRow> = {}): UptimeRow {
  const times = { fromMs: startMs + fromMs, toMs: startMs + toMs };
  return { agentId: 'agent-1', projectId, ...times, hourPriceMicros: 36_000, ...over };
}

async function timeOf(store: Store, by: UsageDimension[] = []) {
  const { total, groups } = await store.usageSummary({ projectId, filter: {}, by, limit: 100 });
  return { ms: total.agentMs, cost: total.agentCostMicros, total, groups };
}

/** Times of one agent in their order, with gaps, and how often each is told. */
const spans = fc.array(
  fc.record({
    gapMs: fc.constantFrom(0, 1, 40_000, 2 * hourMs),
    lengthMs: fc.constantFrom(1, 60_000, 59 * 60_000, 3 * hourMs),
    times: fc.integer({ min: 1, max: 3 }),
  }),
  { minLength: 1, maxLength: 12 },
);

export const agentHourCases: StoreCases = {
  'time that is told twice is charged twice, or a gap is charged': async ({ store }) => {
    let agents = 0;
    let expected = 0;
    await fc.assert(
      fc.asyncProperty(spans, fc.boolean(), async (all, atOnce) => {
        agents += 1;
        const agentId = `agent-${agents}`;
        const rows: UptimeRow[] = [];
        let atMs = 30 * 60_000;
        for (const { gapMs, lengthMs, times } of all) {
          atMs += gapMs;
          const row = uptime(atMs, atMs + lengthMs, { agentId });
          rows.push(...Array.from({ length: times }, () => row));
          atMs += lengthMs;
          expected += lengthMs;
        }
        if (atOnce) await store.recordUptime([...rows, ...rows]);
        else for (const row of rows) await store.recordUptime([row]);
        assert.equal((await timeOf(store)).ms, expected);
      }),
      { numRuns: 25 },
    );
  },

  'two servers that tell of the same time charge it twice': async ({ store, another }) => {
    const other = another();
    await other.open();
    const rows = Array.from({ length: 20 }, (_none, at) =>
      uptime(50 * 60_000, 70 * 60_000, { agentId: `agent-${at}` }),
    );
    await Promise.all([store, other, store, other].map((one) => one.recordUptime(rows)));
    await store.recordUptime(rows.toReversed());
    assert.equal((await timeOf(store)).ms, 20 * 20 * 60_000);
    await other.close();
  },

  'an hour costs something else than its price, or a later price changes what was': async ({
    store,
  }) => {
    await store.recordUptime([uptime(0, hourMs)]);
    assert.equal((await timeOf(store)).cost, 36_000);
    await store.recordUptime([uptime(hourMs, hourMs * 1.5, { hourPriceMicros: 72_000 })]);
    assert.equal((await timeOf(store)).cost, 72_000);
    await store.recordUptime([uptime(0, 0)]);
    await store.recordUptime([]);
    assert.equal((await timeOf(store)).cost, 72_000);
  },

  'time of an agent stands where nobody looks for it, or beside its requests': async ({
    store,
  }) => {
    await store.recordUptime([
      uptime(0, hourMs),
      uptime(0, hourMs, { projectId: 'proj_b', agentId: 'b' }),
    ]);
    await store.recordUsage([
      usageRow(1, { agentId: 'agent-1' }),
      usageRow(2, { agentId: 'x', shared: true, tier: 'free', costMicros: 5 }),
    ]);
    const { total, groups } = await timeOf(store, ['agent', 'tier', 'day']);
    assert.deepEqual(
      [total.costMicros, total.agentCostMicros, total.requests],
      [36_005, 36_000, 2],
    );
    assert.deepEqual(
      groups.map((one) => [one.agentId, one.tier, one.agentMs, one.costMicros, one.requests]),
      [
        ['agent-1', 'self_hosted', hourMs, 36_000, 1],
        ['shared', 'free', 0, 5, 1],
      ],
    );
    const byEndpoint = await timeOf(store, ['endpoint']);
    assert.deepEqual(
      byEndpoint.groups.map((one) => [one.agentMs, one.costMicros]),
      [[0, 5]],
    );
    assert.equal(byEndpoint.total.agentMs, hourMs);
    const ask = async (filter: object) =>
      (await store.usageSummary({ projectId, filter, by: [], limit: 1 })).total.agentMs;
    assert.equal(await ask({ tier: 'free' }), 0);
    assert.equal(await ask({ endpoint: 'main' }), 0);
    assert.equal(await ask({ agentId: 'agent-1', tier: 'self_hosted' }), hourMs);
    assert.equal(await ask({ fromMs: startMs + hourMs }), 0);
  },
};
