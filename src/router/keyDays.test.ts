import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { UntimedEvent } from '../domain/scheduler/schedulerEvents.ts';
import { silentLogger } from '../lib/log.ts';
import { usageRow } from '../testing/database/storeRows.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { KeyDays } from './keyDays.ts';
import { budgetReadAgainMs, budgetReadEveryMs, replayedReadMs } from './limits.ts';
import type { UsageRecord } from './ports.ts';

const dayMs = 86_400_000;

/** A store that takes what it is given, and what the scheduler was told. */
function rig() {
  const clock = new FakeClock();
  const taken = new Map<string, UsageRecord>();
  const store = { away: false, readings: 0 };
  /** By the begin of the day and the key. */
  const told = new Map<string, number>();
  const put = (records: readonly UsageRecord[]): void => {
    for (const one of records) if (!taken.has(one.requestId)) taken.set(one.requestId, one);
  };
  const sumsOf = (fromMs: number): Map<string, number> => {
    const sums = new Map<string, number>();
    for (const one of taken.values()) {
      if (one.startedAtMs < fromMs || one.startedAtMs >= fromMs + dayMs) continue;
      if (!one.apiKeyId.startsWith('key_q')) continue;
      sums.set(one.apiKeyId, (sums.get(one.apiKeyId) ?? 0) + (one.outputTokens ?? 0));
    }
    return sums;
  };
  const days = new KeyDays({
    clock,
    log: silentLogger,
    isCounted: (id) => id.startsWith('key_q'),
    tell: (event: UntimedEvent) => {
      assert.ok(event.type === 'key_tokens');
      for (const { id, tokens } of event.keys) {
        const name = `${event.ofDayMs} ${id}`;
        told.set(name, (told.get(name) ?? 0) + tokens);
      }
    },
    sink: {
      record: async (batch) => {
        if (store.away) throw new Error('away');
        put(batch);
        await Promise.resolve();
      },
      uptime: () => Promise.resolve(),
    },
    ledger: {
      keyTokens: ({ fromMs }) => {
        if (store.away) return Promise.reject(new Error('away'));
        store.readings += 1;
        return Promise.resolve([...sumsOf(fromMs)].map(([id, tokens]) => ({ id, tokens })));
      },
    },
  });
  let made = 0;
  const record = (tokens: number, over: Partial<UsageRecord> = {}): UsageRecord => {
    made += 1;
    const size = { startedAtMs: clock.now(), inputTokens: 0, outputTokens: tokens };
    const shape = usageRow(made, { ...size, apiKeyId: 'key_q' });
    return { ...shape, outcome: 'completed', ...over } as UsageRecord;
  };
  const today = (): number => Math.floor(clock.now() / dayMs) * dayMs;
  const toldOf = (id = 'key_q'): number => told.get(`${today()} ${id}`) ?? 0;
  const storedOf = (id = 'key_q'): number => sumsOf(today()).get(id) ?? 0;
  return { clock, days, store, put, record, toldOf, storedOf };
}

test('a restart gives a key its day anew', async () => {
  const { days, put, record, toldOf } = rig();
  put([record(60), record(5)]);
  await days.start();
  assert.equal(toldOf(), 65);
  days.stop();
});

test('records that a crash left are no part of the key’s day, or count twice', async () => {
  const { days, clock, put, record, toldOf } = rig();
  const known = record(7);
  put([known]);
  await days.start();
  // One of the two had come to the store, and the journal did not hear of it.
  const left = [known, record(40)].map((one): UsageRecord => ({ ...one, replayed: true }));
  await days.sink.record([...left, record(100)]);
  await clock.advanceAsync(replayedReadMs);
  assert.equal(toldOf(), 47);
  days.stop();
});

test('what runs here is counted twice once the store has it', async () => {
  const { days, clock, record, toldOf, store } = rig();
  await days.start();
  await days.sink.record([record(100), record(1_000, { apiKeyId: 'key_other' })]);
  await clock.advanceAsync(budgetReadEveryMs);
  assert.equal(store.readings, 2);
  assert.deepEqual([toldOf(), toldOf('key_other')], [0, 0]);
  days.stop();
});

test('a record that comes to the store twice gives the key some of its day anew', async () => {
  const { days, clock, put, record, toldOf } = rig();
  await days.start();
  const twice = record(1_000);
  for (let n = 0; n < 300; n += 1) await days.sink.record([twice]);
  await clock.advanceAsync(budgetReadEveryMs);
  assert.equal(toldOf(), 0);
  // Nor does it hide what others use.
  put([record(50)]);
  await clock.advanceAsync(budgetReadEveryMs);
  assert.equal(toldOf(), 50);
  days.stop();
});

test('a database that was away at the start gives the day anew', async () => {
  const { days, clock, put, record, toldOf, store } = rig();
  put([record(60)]);
  store.away = true;
  await days.start();
  assert.equal(toldOf(), 0);
  store.away = false;
  await days.sink.record([record(9)]);
  await clock.advanceAsync(budgetReadAgainMs);
  assert.equal(toldOf(), 60);
  days.stop();
});

test('K1: some order of records, readings and servers counts too little or too much', async () => {
  const step = fc.record({
    what: fc.constantFrom('own', 'own', 'replayed', 'elsewhere', 'read', 'midnight', 'set_clock'),
    tokens: fc.nat(100),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { days, clock, put, record, toldOf, storedOf } = rig();
      await days.start();
      const own: UsageRecord[] = [];
      let wrongByMs = 0;
      for (const { what, tokens } of steps) {
        if (what === 'own') {
          const one = record(tokens);
          own.push(one);
          await days.sink.record([one]);
        } else if (what === 'replayed')
          await days.sink.record([record(tokens, { replayed: true })]);
        else if (what === 'elsewhere') put([record(tokens)]);
        else if (what === 'read') await clock.advanceAsync(budgetReadEveryMs);
        else if (what === 'midnight') await clock.advanceAsync(dayMs - (clock.now() % dayMs));
        else {
          // A day ahead for a while, and back.
          clock.jumpWall(wrongByMs === 0 ? dayMs : -wrongByMs);
          wrongByMs = wrongByMs === 0 ? dayMs : 0;
        }
      }
      if (wrongByMs > 0) clock.jumpWall(-wrongByMs);
      await clock.advanceAsync(2 * budgetReadEveryMs);
      const begin = Math.floor(clock.now() / dayMs) * dayMs;
      const here = own
        .filter(({ startedAtMs: at }) => at >= begin && at < begin + dayMs)
        .reduce((sum, one) => sum + (one.outputTokens ?? 0), 0);
      assert.equal(toldOf() + here, storedOf());
      days.stop();
    }),
    { numRuns: 100 },
  );
});
