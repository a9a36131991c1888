import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { UntimedEvent } from '../domain/scheduler/schedulerEvents.ts';
import { tierTable } from '../domain/tiers/tiers.ts';
import { silentLogger } from '../lib/log.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { usageRow } from '../testing/database/storeRows.ts';
import type { BudgetEntry } from '../domain/directory.ts';
import { BudgetBook } from './budgetBook.ts';
import { budgetReadAgainMs, budgetReadEveryMs } from './limits.ts';
import type { UsageRecord } from './ports.ts';

const dayMs = 86_400_000;

function budgetEntry(over: Partial<BudgetEntry> = {}): BudgetEntry {
  const ids = { id: 'proj_a', projectId: 'proj_a', apiKeyId: null };
  return { ...ids, amountMicros: 1_000, hardStop: true, ...over };
}

/** A store that takes what it is given, and a book over it. */
function rig(options: { stored?: number; entries?: BudgetEntry[] } = {}) {
  const clock = new FakeClock();
  const taken = new Map<string, UsageRecord>();
  const base = { micros: options.stored ?? 0 };
  const store = { away: false, hold: undefined as Promise<void> | undefined, readings: 0 };
  const marks: string[] = [];
  const events: string[] = [];
  const entries = new Map<string, BudgetEntry>();
  const sum = ({ projectId, apiKeyId }: BudgetEntry, fromMs: number, toMs: number): number =>
    [...taken.values()]
      .filter((one) => one.startedAtMs >= fromMs && one.startedAtMs < toMs)
      .filter((one) => one.projectId === projectId && (apiKeyId ?? one.apiKeyId) === one.apiKeyId)
      .reduce((all, one) => all + one.costMicros, 0);
  const book = new BudgetBook({
    clock,
    log: silentLogger,
    hourPrice: tierTable().self_hosted.price,
    tell: (event: UntimedEvent) => {
      if (event.type === 'budget') events.push(`${event.id} ${event.stop ? 'stopped' : 'goes on'}`);
    },
    sink: {
      record: async (batch) => {
        if (store.away) throw new Error('away');
        for (const one of batch) taken.set(one.requestId, one);
        await store.hold;
      },
      uptime: () => (store.away ? Promise.reject(new Error('away')) : Promise.resolve()),
    },
    ledger: {
      spent: ({ fromMs, toMs }) => {
        if (store.away) return Promise.reject(new Error('away'));
        store.readings += 1;
        const sums = [...entries.values()].map((entry) => {
          return { id: entry.id, spentMicros: base.micros + sum(entry, fromMs, toMs) };
        });
        return Promise.resolve(sums);
      },
      keyTokens: () => Promise.resolve([]),
      reached: ({ entry, mark }) => {
        if (store.away) return Promise.reject(new Error('away'));
        marks.push(`${entry.id} ${mark}`);
        return Promise.resolve();
      },
    },
  });
  const put = (entry: BudgetEntry): void => {
    entries.set(entry.id, entry);
    book.onDirectory({ kind: 'budget', id: entry.id, entry });
  };
  for (const entry of options.entries ?? [budgetEntry()]) put(entry);
  let made = 0;
  const record = (costMicros: number, over: Partial<UsageRecord> = {}): UsageRecord => {
    made += 1;
    const shape = usageRow(made, { startedAtMs: clock.now(), costMicros });
    return { ...shape, outcome: 'completed', ...over } as UsageRecord;
  };
  const spent = (id = 'proj_a'): number | undefined =>
    book.ofProject('proj_a').find(({ entry }) => entry.id === id)?.spentMicros;
  return { clock, book, put, record, spent, store, base, marks, events };
}

test('B4: a cost counts twice on its way to the store, or not until it is there', async () => {
  const { book, record, spent, clock, store } = rig({ stored: 100 });
  await book.start();
  const first = record(50);
  book.ended(first);
  assert.equal(spent(), 150);
  await book.sink.record([first]);
  assert.equal(spent(), 150);
  await clock.advanceAsync(budgetReadEveryMs);
  assert.equal(spent(), 150);
  assert.equal(store.readings, 2);
  const second = record(20);
  book.ended(second);
  await clock.advanceAsync(budgetReadEveryMs);
  assert.equal(spent(), 170, 'it was read while a record was on its way');
  book.stop();
});

test('B4: a record that is written while the sums are read counts twice for good', async () => {
  const { book, record, spent, clock, store, put } = rig();
  await book.start();
  let release = (): void => {};
  store.hold = new Promise((resolve) => (release = resolve));
  const one = record(70);
  book.ended(one);
  const writing = book.sink.record([one]);
  put(budgetEntry({ id: 'key_a', apiKeyId: one.apiKeyId }));
  release();
  await writing;
  await clock.advanceAsync(2_000);
  assert.deepEqual([spent(), spent('key_a')], [70, 70]);
  book.stop();
});

test('what an earlier process had not delivered is not counted', async () => {
  const { book, record, spent } = rig();
  await book.start();
  await book.sink.record([record(30, { replayed: true }), record(0, { replayed: true })]);
  assert.equal(spent(), 30);
  book.stop();
});

test('a key pays for another one, or a project for another', async () => {
  const key = budgetEntry({ id: 'key_x', apiKeyId: 'key_x' });
  const { book, record, spent } = rig({ entries: [budgetEntry(), key] });
  await book.start();
  book.ended(record(10, { apiKeyId: 'key_x' }));
  book.ended(record(5, { apiKeyId: 'key_y' }));
  book.ended(record(1, { projectId: 'proj_b' }));
  assert.deepEqual([spent(), spent('key_x')], [15, 10]);
  book.stop();
});

test('a mark is told twice, or the next request passes before the hard stop is told', async () => {
  const { book, record, marks, events } = rig({ stored: 700 });
  await book.start();
  assert.deepEqual([marks, events, book.nearEnd('proj_a', 'key_x')], [[], [], null]);
  book.ended(record(100));
  assert.deepEqual([marks, events], [['proj_a 80'], []]);
  assert.equal(book.nearEnd('proj_a', 'key_x'), 0.8);
  assert.equal(book.nearEnd('proj_b', 'key_x'), null);
  book.ended(record(100));
  book.ended(record(100));
  book.ended(record(100));
  assert.deepEqual(marks, ['proj_a 80', 'proj_a 100']);
  assert.deepEqual(events, ['proj_a stopped']);
  book.stop();
});

test('a budget that is used up at the start lets requests through', async () => {
  const { book, events, marks } = rig({ stored: 1_000 });
  await book.start();
  assert.deepEqual(events, ['proj_a stopped']);
  assert.deepEqual(marks, ['proj_a 80', 'proj_a 100'], 'the store knows whether it was told');
  book.stop();
});

test('another amount, the end of a hard stop or of the budget does not let go on', async () => {
  const { book, events, put, marks } = rig({ stored: 1_000 });
  await book.start();
  put(budgetEntry({ hardStop: false }));
  put(budgetEntry());
  put(budgetEntry({ amountMicros: 1_200 }));
  assert.deepEqual(marks, ['proj_a 80', 'proj_a 100', 'proj_a 80'], 'the new one is warned of');
  put(budgetEntry({ amountMicros: 10 }));
  book.onDirectory({ kind: 'budget', id: 'proj_a', entry: null });
  const [stopped, goesOn] = ['proj_a stopped', 'proj_a goes on'];
  assert.deepEqual(events, [stopped, goesOn, stopped, goesOn, stopped, goesOn]);
  book.stop();
});

test('B5: a new month goes on with the old sum, or takes its last requests in', async () => {
  const { book, record, spent, clock, base, events, marks } = rig({ stored: 1_000 });
  await book.start();
  const late = record(1);
  base.micros = 0;
  await clock.advanceAsync(32 * dayMs);
  assert.deepEqual(events, ['proj_a stopped', 'proj_a goes on']);
  book.ended(late);
  assert.equal(spent(), 0);
  book.ended(record(800));
  assert.deepEqual([spent(), marks.length], [800, 3]);
  book.stop();
});

test('B4: the cost by which a month turns counts twice', async () => {
  const { book, record, spent, clock } = rig({ stored: 100 });
  await book.start();
  clock.jumpWall(31 * dayMs);
  book.ended(record(300));
  assert.equal(spent(), 300);
  book.stop();
});

test('a hard stop that nobody keeps, because one reading failed', async () => {
  const { book, events, store, clock, put } = rig({ stored: 2_000 });
  store.away = true;
  await book.start();
  put(budgetEntry({ id: 'key_a', apiKeyId: 'key_a' }));
  await clock.advanceAsync(1);
  assert.deepEqual(events, []);
  store.away = false;
  await clock.advanceAsync(budgetReadAgainMs);
  assert.deepEqual(events, ['proj_a stopped', 'key_a stopped']);
  book.stop();
});

test('a store that is away is not told of a mark later', async () => {
  const { book, record, store, marks, clock } = rig();
  await book.start();
  store.away = true;
  book.ended(record(900));
  await clock.advanceAsync(budgetReadEveryMs);
  assert.deepEqual(marks, []);
  store.away = false;
  await clock.advanceAsync(budgetReadEveryMs);
  assert.deepEqual(marks, ['proj_a 80']);
  book.stop();
});

test('the time of own agents is on nobody’s budget', async () => {
  const { book, spent, clock } = rig();
  await book.start();
  const span = { agentId: 'own', projectId: 'proj_a', fromMs: clock.now(), toMs: clock.now() };
  await book.sink.uptime([{ ...span, toMs: span.toMs + 3_600_000 }]);
  assert.equal(spent(), 27_397);
  book.stop();
});

/** What may happen to records between their end and the store, in any order. */
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('end' as const), micros: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ do: fc.constantFrom('deliver', 'lose the answer', 'refuse', 'read') }),
  ),
  { maxLength: 40 },
);

test('B4: whatever becomes of deliveries, too little is counted, or too much', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const { book, record, spent, store, clock } = rig({ stored: 5 });
      await book.start();
      let truth = 5;
      let waiting: UsageRecord[] = [];
      const deliver = async (how: string): Promise<void> => {
        store.away = how === 'refuse';
        store.hold = how === 'deliver' ? undefined : Promise.reject(new Error('lost'));
        store.hold?.catch(() => undefined);
        const outcome = await book.sink.record(waiting).then(
          () => 'taken',
          () => 'not taken',
        );
        if (outcome === 'taken') waiting = [];
        store.away = false;
        store.hold = undefined;
      };
      for (const step of all) {
        if ('micros' in step) {
          const one = record(step.micros);
          waiting.push(one);
          book.ended(one);
          truth += step.micros;
        } else if (step.do === 'read') await clock.advanceAsync(budgetReadEveryMs);
        else await deliver(step.do);
        assert.ok((spent() ?? 0) >= truth, `${spent()} of ${truth}`);
      }
      await deliver('deliver');
      await clock.advanceAsync(budgetReadEveryMs);
      assert.equal(spent(), truth);
      book.stop();
    }),
    { numRuns: 60 },
  );
});
