import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { MemoryJournal } from '../../testing/router/memoryJournal.ts';
import type { UsageRecord } from '../ports.ts';
import { JournalReader } from './journalReader.ts';
import { RefusedRecords } from './refusedRecords.ts';
import { UnreadableLines } from './unreadableLines.ts';
import { UsageDelivery } from './usageDelivery.ts';
import { StoreError } from '../../store/storeError.ts';

const storeMs = 5;

const recordOf = (requestId: string): UsageRecord =>
  ({ requestId, outcome: 'completed' }) as UsageRecord;

/** A store that takes its time, and one record a ms for it. */
function steadyLoad(
  how: {
    journal?: string[];
    refuses?: string;
    refusesMs?: number;
    /** To those alone that were refused before. */
    awayTo?: string;
    isUnreadable?: boolean;
  } = {},
) {
  const { refuses, refusesMs = 0, awayTo, isUnreadable = false } = how;
  let journal = how.journal ?? [];
  const clock = new FakeClock();
  const batches: string[][] = [];
  const random = seededRandom(1);
  const log = silentLogger;
  const files = new MemoryJournal();
  const unreadable = new UnreadableLines({ files, log });
  const reader = new JournalReader({ files, clock, log });
  const refused = new RefusedRecords({ files, random, log, unreadable, reader });
  const delivery = new UsageDelivery({
    refused,
    sink: {
      uptime: () => Promise.resolve(),
      record: (batch) =>
        new Promise((resolve, reject) => {
          clock.setTimer(storeMs, () => {
            const ids = batch.map(({ requestId }) => requestId);
            const isUnfit = ids.some((id) => id === refuses) && clock.monotonic() < refusesMs;
            if (isUnfit) return reject(new Error('a row that a constraint refuses'));
            const isAway = ids.length === 1 && ids[0] === awayTo;
            if (isAway) return reject(new StoreError('unavailable', 'away'));
            batches.push(ids);
            resolve();
          });
        }),
    },
    clock,
    random,
    log,
    onDelivered: () => {},
    readBack: () => {
      if (isUnreadable) return Promise.resolve({ kind: 'unreadable' });
      const records = journal.map(recordOf);
      journal = [];
      return Promise.resolve({ kind: 'records', records });
    },
    hasMore: () => isUnreadable || journal.length > 0,
  });
  const offered: string[] = [];
  const load = async (forMs: number): Promise<void> => {
    for (let ms = 0; ms < forMs; ms += 1) {
      const requestId = `r${offered.length}`;
      offered.push(requestId);
      delivery.offer(recordOf(requestId));
      await clock.advanceAsync(1);
    }
  };
  return { clock, batches, refused, offered, load };
}

test('a steady load makes the store sync its disk for every few records', async () => {
  const { clock, batches, offered, load } = steadyLoad();
  await load(2000);
  const underLoad = batches.length;
  // Each in turn, none twice and none left behind, soon after the last one.
  await clock.advanceAsync(300);
  assert.deepEqual(batches.flat(), offered);
  assert.ok(underLoad <= 40, `${underLoad} transactions in two seconds`);
  assert.ok(underLoad >= 10, 'somebody waits for the load to end');
});

test('what a killed router left waits until the load ends, or spoils its batches', async () => {
  const left = ['left 1', 'left 2'];
  const { batches, load } = steadyLoad({ journal: left });
  await load(2000);
  const delivered = batches.flat();
  assert.ok(delivered.indexOf('left 2') < 600, 'it went out late, or not at all');
  assert.equal(new Set(delivered).size, delivered.length);
  assert.ok(batches.length <= 40, `${batches.length} transactions in two seconds`);
});

test('what the store refused once waits until the load ends, or spoils its batches', async () => {
  const { batches, load } = steadyLoad({ refuses: 'r50', refusesMs: 1000 });
  await load(4000);
  assert.ok(batches.flat().includes('r50'));
  assert.ok(batches.length <= 100, `${batches.length} transactions in four seconds`);
});

test('a store that is away to a refused record counts as one that refuses it', async () => {
  // Unfit at first; from then on the store is away whenever it is asked for this one.
  const how = { refuses: 'r50', refusesMs: 400, awayTo: 'r50' };
  const { clock, batches, refused, load } = steadyLoad(how);
  await load(1000);
  for (let hour = 0; hour < 3; hour += 1) {
    await clock.advanceAsync(3_600_000);
    await load(100);
  }
  assert.equal(refused.records, 1, 'it was given up');
  assert.ok(batches.flat().includes('r1000'));
});

test('records wait behind a journal that cannot be read', async () => {
  const { clock, batches, offered, load } = steadyLoad({ isUnreadable: true });
  await load(3000);
  await clock.advanceAsync(400);
  assert.deepEqual(batches.flat(), offered);
  assert.ok(batches.length >= 10, `${batches.length} in three seconds`);
});
