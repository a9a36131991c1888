/** Budgets: who has one, what it has come to, and which marks it has passed. */
import assert from 'node:assert/strict';
import { monthOf } from '../../domain/metering/budget.ts';
import type { BudgetEntry } from '../../domain/directory.ts';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import {
  apiKeyRow,
  auditNote,
  bootstrapRows,
  firstPage,
  startMs,
  usageRow,
} from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';

const projectId = 'proj_a';
const month = monthOf(startMs);
const audit = auditNote({ action: 'budget.set', targetKind: 'budget', targetId: projectId });

function entry(over: Partial<BudgetEntry> = {}): BudgetEntry {
  const ids = { id: projectId, projectId, apiKeyId: null };
  return { ...ids, amountMicros: 1_000, hardStop: true, ...over };
}

const ofKey = (id: string): BudgetEntry => entry({ id, apiKeyId: id, hardStop: false });

async function set(store: Store, budget: BudgetEntry, expectedVersion: number | null = null) {
  return store.setBudget({ budget, expectedVersion, audit });
}

const reached = (store: Store, mark: 80 | 100 = 80, monthMs = month.fromMs) =>
  store.markBudget({ id: projectId, mark, monthMs, audit });

export const budgetCases: StoreCases = {
  'a budget is lost, set by who knows an old one, or the data plane does not hear of it': async ({
    store,
  }) => {
    await store.bootstrap(bootstrapRows());
    const { revision, budgets } = await readDirectory(store);
    assert.deepEqual(budgets, []);
    const first = await set(store, entry(), 0);
    assert.ok(first.ok);
    assert.equal(first.budget.version, 1);
    assert.deepEqual(await set(store, entry({ amountMicros: 1 }), 0), {
      ok: false,
      reason: 'version_conflict',
    });
    const same = await set(store, entry());
    assert.ok(same.ok && same.budget.version === 1, 'nothing has changed');
    const second = await set(store, entry({ amountMicros: 5, hardStop: false }), 1);
    assert.ok(second.ok && second.budget.version === 2);
    assert.ok((await set(store, ofKey('key_a'))).ok);
    const after = entry({ amountMicros: 5, hardStop: false });
    assert.deepEqual((await readDirectory(store)).budgets.toSorted(byId), [ofKey('key_a'), after]);
    const read = await store.changesSince({ revision, limit: 10 });
    assert.ok(read.ok);
    assert.deepEqual(
      read.changes.map(({ kind, id, entry: now }) => [kind, id, now]),
      [
        ['budget', projectId, after],
        ['budget', projectId, after],
        ['budget', 'key_a', ofKey('key_a')],
      ],
    );
    const notes = await store.auditNotes({ projectId, action: 'budget.set', page: firstPage });
    assert.deepEqual(notes.items[1]?.changes, {
      amountMicros: { from: 1_000, to: 5 },
      hardStop: { from: true, to: false },
    });
    assert.equal(notes.items.length, 3);
  },

  'a budget of a key of somebody else': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(await set(store, ofKey('key_nobody')), unknown);
    assert.deepEqual(await set(store, { ...ofKey('key_a'), projectId: 'proj_b' }), unknown);
    assert.ok((await set(store, ofKey('key_a'))).ok);
    const away = { projectId: 'proj_b', id: 'key_a' };
    assert.equal(await store.budgetOf({ ...away, month }), null);
    assert.deepEqual(await store.removeBudget({ ...away, audit }), {
      ok: false,
      reason: 'not_found',
    });
  },

  'a budget pays for another month, project or key, or not for agents': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    for (const budget of [entry(), ofKey('key_a'), ofKey('key_b')]) await set(store, budget);
    const costs = { shared: true, apiKeyId: 'key_a' };
    await store.recordUsage([
      usageRow(1, { ...costs, costMicros: 100, startedAtMs: month.fromMs }),
      usageRow(2, { ...costs, costMicros: 20, startedAtMs: month.toMs - 1 }),
      usageRow(3, { ...costs, costMicros: 3, startedAtMs: month.toMs }),
      usageRow(4, { ...costs, costMicros: 4, startedAtMs: month.fromMs - 1 }),
      usageRow(5, { ...costs, costMicros: 500, apiKeyId: 'key_c' }),
      usageRow(6, { ...costs, costMicros: 6, projectId: 'proj_b' }),
    ]);
    const hour = { projectId, fromMs: startMs, toMs: startMs + 1_800_000, hourPriceMicros: 2_000 };
    await store.recordUptime([{ agentId: 'a', ...hour }]);
    const sums = [
      { id: 'key_a', spentMicros: 120 },
      { id: 'key_b', spentMicros: 0 },
      { id: projectId, spentMicros: 1_620 },
    ];
    const all = await store.budgetSums({ projectId: null, month });
    assert.deepEqual(all.toSorted(byId), sums);
    assert.deepEqual(await store.budgetSums({ projectId: 'proj_b', month }), []);
    const page = { after: null, limit: 2 };
    const listed = await store.budgetsOf({ projectId, month, page });
    assert.deepEqual(
      listed.items.map(({ id, apiKeyName, spentMicros }) => [id, apiKeyName, spentMicros]),
      [
        [projectId, null, 1_620],
        ['key_a', 'first', 120],
      ],
    );
    const rest = await store.budgetsOf({ projectId, month, page: { ...page, after: listed.next } });
    assert.deepEqual([rest.items.map(({ id }) => id), rest.next], [['key_b'], null]);
  },

  'a daily quota begins anew with every restart': async ({ store }) => {
    const quota = { requestsPerMinute: null, tokensPerMinute: null, tokensPerDay: 50 };
    const keys = [apiKeyRow({ quota }), apiKeyRow({ id: 'key_b', sha256: 'b'.repeat(64) })];
    await store.bootstrap(bootstrapRows({ apiKeys: keys }));
    const used = { apiKeyId: 'key_a', inputTokens: 3, outputTokens: 4 };
    const day = { fromMs: startMs, toMs: startMs + 86_400_000 };
    await store.recordUsage([
      usageRow(1, { ...used, startedAtMs: day.fromMs }),
      usageRow(2, { ...used, startedAtMs: day.toMs - 1 }),
      usageRow(3, { ...used, startedAtMs: day.toMs }),
      usageRow(4, { ...used, startedAtMs: day.fromMs - 1 }),
      usageRow(5, { ...used, apiKeyId: 'key_b' }),
    ]);
    assert.deepEqual(await store.keyTokens(day), [{ id: 'key_a', tokens: 14 }]);
  },

  'a mark is told twice in a month, or never again': async ({ store, another }) => {
    await store.bootstrap(bootstrapRows());
    await set(store, entry());
    const other = another();
    await other.open();
    const race = Array.from({ length: 64 }, (_none, at) => reached(at % 2 === 0 ? store : other));
    const first = (await Promise.all(race)).filter((outcome) => outcome.first);
    assert.equal(first.length, 1);
    await other.close();
    const firsts = async (): Promise<boolean[]> => [
      (await reached(store)).first,
      (await reached(store, 100)).first,
    ];
    assert.deepEqual(await firsts(), [false, true]);
    const at = async () => (await store.budgetOf({ projectId, id: projectId, month }))?.reachedAtMs;
    assert.deepEqual(await at(), { 80: startMs, 100: startMs });
    assert.equal((await reached(store, 80, month.toMs)).first, true, 'another month');
    await set(store, entry({ hardStop: false }));
    assert.deepEqual(await firsts(), [false, false]);
    await set(store, entry({ amountMicros: 2_000 }));
    assert.deepEqual(await at(), { 80: null, 100: null });
    assert.deepEqual(await firsts(), [true, true], 'another amount');
    assert.ok((await store.removeBudget({ projectId, id: projectId, audit })).ok);
    assert.equal((await reached(store)).first, false, 'it is gone');
    const notes = await store.auditNotes({ projectId, page: firstPage });
    assert.equal(notes.items.length, 4 + 5, 'changes, and each mark once');
  },

  'a budget outlives its project': async ({ store }) => {
    await store.bootstrap(bootstrapRows({ endpoints: [], apiKeys: [apiKeyRow()] }));
    for (const budget of [entry(), ofKey('key_a')]) await set(store, budget);
    await reached(store);
    const { revision } = await readDirectory(store);
    assert.deepEqual(await store.deleteProject({ id: projectId, audit }), { ok: true });
    assert.deepEqual(await store.budgetSums({ projectId: null, month }), []);
    const read = await store.changesSince({ revision, limit: 20 });
    assert.ok(read.ok);
    const gone = read.changes.filter(({ kind }) => kind === 'budget');
    assert.deepEqual(
      gone.toSorted(byId).map(({ id, entry: now }) => [id, now]),
      [
        ['key_a', null],
        [projectId, null],
      ],
    );
  },
};

const byId = (one: { id: string }, other: { id: string }): number => (one.id < other.id ? -1 : 1);
