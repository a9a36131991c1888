/** Sums of usage, and lists of records by what they are about. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { usageDimensions, type UsageDimension } from '../../domain/metering/usageDimensions.ts';
import type { Place } from '../../lib/page.ts';
import type {
  UsageFilter,
  UsageGroup,
  UsageRow,
  UsageSums,
} from '../../store/contract/usageStore.ts';
import type { Store } from '../../store/store.ts';
import { bootstrapRows, startMs, usageRow } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const projectId = 'proj_a';

/** A record of one of few things, within three days. */
const anyRow = fc
  .record({
    atMs: fc.nat(3 * dayMs - 1),
    endpoint: fc.constantFrom('a', 'b'),
    key: fc.constantFrom('key_a', 'key_b', 'key_c'),
    modelId: fc.constantFrom('model_a', 'model_b'),
    agent: fc.constantFrom('agent-1', 'agent-2', 'shared-1', 'shared-2', null),
    outcome: fc.constantFrom('completed', 'completed', 'client_closed', 'queue_timeout'),
    tokens: fc.option(fc.nat(1000)),
    costMicros: fc.nat(5000),
    project: fc.constantFrom(projectId, projectId, 'proj_b'),
  })
  .map((one) => ({ ...one, isShared: one.agent?.startsWith('shared') === true }));

function rowsOf(made: readonly (typeof anyRow extends fc.Arbitrary<infer One> ? One : never)[]) {
  return made.map((one, at) =>
    usageRow(at, {
      projectId: one.project,
      startedAtMs: startMs + one.atMs,
      endpointId: `ep_${one.endpoint}`,
      endpointSlug: one.endpoint,
      apiKeyId: one.key,
      modelId: one.modelId,
      agentId: one.agent,
      shared: one.isShared,
      tier: one.isShared ? 'free' : 'self_hosted',
      outcome: one.outcome,
      inputTokens: one.tokens,
      cachedTokens: one.tokens === null ? null : Math.floor(one.tokens / 3),
      outputTokens: one.tokens === null ? null : one.tokens * 2,
      costMicros: one.costMicros,
    }),
  );
}

const agentOf = (row: UsageRow): string => (row.shared ? 'shared' : (row.agentId ?? ''));

const keyOf: Readonly<Record<UsageDimension, (row: UsageRow) => Partial<UsageGroup>>> = {
  hour: (row) => ({ atMs: row.startedAtMs - (row.startedAtMs % hourMs) }),
  day: (row) => ({ atMs: row.startedAtMs - (row.startedAtMs % dayMs) }),
  endpoint: (row) => ({ endpointId: row.endpointId, endpointSlug: row.endpointSlug }),
  model: (row) => ({ modelId: row.modelId }),
  api_key: (row) => ({ apiKeyId: row.apiKeyId }),
  agent: (row) => ({ agentId: agentOf(row) }),
  tier: (row) => ({ tier: row.tier }),
};

function passes(row: UsageRow, filter: UsageFilter & { outcome?: string | undefined }): boolean {
  const { endpoint, fromMs = 0, toMs = Infinity } = filter;
  return (
    row.projectId === projectId &&
    row.startedAtMs >= fromMs &&
    row.startedAtMs < toMs &&
    [undefined, row.endpointId, row.endpointSlug].includes(endpoint) &&
    [undefined, row.modelId].includes(filter.modelId) &&
    [undefined, row.apiKeyId].includes(filter.apiKeyId) &&
    [undefined, agentOf(row)].includes(filter.agentId) &&
    [undefined, row.tier].includes(filter.tier) &&
    [undefined, row.outcome].includes(filter.outcome)
  );
}

function sumOf(rows: readonly UsageRow[]): UsageSums {
  const sum = (of: (row: UsageRow) => number | null): number =>
    rows.reduce((total, row) => total + (of(row) ?? 0), 0);
  return {
    requests: rows.length,
    succeeded: sum((row) => Number(row.outcome === 'completed')),
    inputTokens: sum((row) => row.inputTokens),
    cachedTokens: sum((row) => row.cachedTokens),
    outputTokens: sum((row) => row.outputTokens),
    costMicros: sum((row) => row.costMicros),
    agentMs: 0,
    agentCostMicros: 0,
  };
}

const filters = fc.record({
  endpoint: fc.option(fc.constantFrom('a', 'ep_b', 'nobody'), { nil: undefined, freq: 4 }),
  modelId: fc.option(fc.constant('model_b'), { nil: undefined, freq: 4 }),
  apiKeyId: fc.option(fc.constantFrom('key_a', 'key_c'), { nil: undefined, freq: 4 }),
  agentId: fc.option(fc.constantFrom('agent-1', 'shared'), { nil: undefined, freq: 4 }),
  tier: fc.option(fc.constantFrom('free', 'self_hosted'), { nil: undefined, freq: 4 }),
});

/** A span in whole hours, in which sums count. */
const span = fc.tuple(fc.nat(72), fc.nat(72)).map(([from, hours]) => ({
  fromMs: startMs + from * hourMs,
  toMs: startMs + (from + hours) * hourMs,
}));

const asText = (value: unknown): string => JSON.stringify(value);

async function checkSummary(store: Store, rows: readonly UsageRow[]): Promise<void> {
  const asked = fc.tuple(
    fc.uniqueArray(fc.constantFrom(...usageDimensions), { maxLength: 3 }),
    filters,
    span,
  );
  await fc.assert(
    fc.asyncProperty(asked, async ([by, some, when]) => {
      const dimensions = by.includes('hour') ? by.filter((one) => one !== 'day') : by;
      const filter = { ...some, ...when };
      const answer = await store.usageSummary({ projectId, filter, by: dimensions, limit: 1000 });
      const counted = rows.filter((row) => passes(row, filter));
      assert.deepEqual(answer.total, sumOf(counted));
      const groups = Map.groupBy(counted, (row) =>
        asText(Object.assign({}, ...dimensions.map((one) => keyOf[one](row)))),
      );
      const expected = [...groups].map(([key, members]) => ({
        ...(JSON.parse(key) as object),
        ...sumOf(members),
      }));
      const sorted = (all: readonly object[]): string[] =>
        all
          .map((one) => asText(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1))))
          .toSorted();
      assert.deepEqual(sorted(answer.groups), dimensions.length === 0 ? [] : sorted(expected));
    }),
    { numRuns: 60 },
  );
}

async function checkLists(store: Store, rows: readonly UsageRow[]): Promise<void> {
  const outcome = fc.option(fc.constantFrom('completed', 'client_closed'), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(filters, outcome, fc.integer({ min: 1, max: 9 }), async (some, how, limit) => {
      const filter = {
        ...some,
        outcome: how,
        fromMs: startMs + 5_000,
        toMs: startMs + 2.5 * dayMs,
      };
      const found: UsageRow[] = [];
      let after: Place | null = null;
      do {
        const { items, next } = await store.recentUsage({
          projectId,
          filter,
          page: { after, limit },
        });
        assert.ok(items.length <= limit);
        found.push(...items);
        after = next;
      } while (after !== null);
      const expected = rows
        .filter((row) => passes(row, filter))
        .toSorted((a, b) => b.startedAtMs - a.startedAtMs || (a.requestId < b.requestId ? 1 : -1));
      assert.deepEqual(found, expected);
    }),
    { numRuns: 40 },
  );
}

export const usageSumCases: StoreCases = {
  'sums differ from the records that they are of, or lists by what they are about': async ({
    store,
  }) => {
    const [made = []] = fc.sample(fc.array(anyRow, { minLength: 120, maxLength: 120 }), {
      numRuns: 1,
      seed: 7,
    });
    const rows = rowsOf(made);
    for (let at = 0; at < rows.length; at += 37) await store.recordUsage(rows.slice(at, at + 37));
    await checkSummary(store, rows);
    await checkLists(store, rows);
  },

  'a record that comes twice is summed twice (S4)': async ({ store, another }) => {
    const other = another();
    await other.open();
    const rows = Array.from({ length: 300 }, (_none, at) =>
      usageRow(at, { costMicros: 10, startedAtMs: startMs + (at % 5) * hourMs }),
    );
    const halves = [
      rows.slice(0, 200),
      rows.slice(100),
      [...rows.slice(0, 30), ...rows.slice(0, 30)],
    ];
    await Promise.all(
      [store, other, store, other].flatMap((one) => halves.map((half) => one.recordUsage(half))),
    );
    const { total } = await store.usageSummary({ projectId, filter: {}, by: [], limit: 1 });
    assert.deepEqual([total.requests, total.costMicros], [300, 3000]);
    await other.close();
  },

  'a long answer is cut without saying so, or begins with what matters least': async ({
    store,
  }) => {
    const rows = Array.from({ length: 10 }, (_none, at) =>
      usageRow(at, { apiKeyId: `key_${at}`, costMicros: at }),
    );
    await store.recordUsage(rows);
    const ask = (limit: number) =>
      store.usageSummary({ projectId, filter: {}, by: ['api_key'], limit });
    const three = await ask(3);
    assert.deepEqual(
      three.groups.map((group) => group.apiKeyId),
      ['key_9', 'key_8', 'key_7'],
    );
    assert.deepEqual([three.more, three.total.requests], [true, 10]);
    assert.equal((await ask(10)).more, false);
  },

  'names of another project’s things are told': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const wanted = { agentIds: ['agent-9'], apiKeyIds: ['key_a', 'key_x'], modelIds: ['model_a'] };
    const names = await store.usageNames({ projectId, ...wanted });
    assert.deepEqual(names, {
      agents: {},
      apiKeys: { key_a: 'first' },
      models: { model_a: 'small' },
    });
    const foreign = await store.usageNames({ projectId: 'proj_b', ...wanted });
    assert.deepEqual(foreign.apiKeys, {});
    const none = { agentIds: [], apiKeyIds: [], modelIds: [] };
    assert.deepEqual((await store.usageNames({ projectId, ...none })).models, {});
  },
};
