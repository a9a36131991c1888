import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import type { UsageRecord } from '../ports.ts';
import { UsageDelivery } from './usageDelivery.ts';

const storeMs = 5;

test('a steady load makes the store sync its disk for every few records', async () => {
  const clock = new FakeClock();
  const batches: string[][] = [];
  const delivery = new UsageDelivery({
    sink: {
      uptime: () => Promise.resolve(),
      record: (batch) =>
        new Promise((resolve) => {
          clock.setTimer(storeMs, () => {
            batches.push(batch.map(({ requestId }) => requestId));
            resolve();
          });
        }),
    },
    clock,
    random: seededRandom(1),
    log: silentLogger,
    onDelivered: () => {},
    readBack: () => Promise.resolve({ kind: 'records', records: [] }),
    hasMore: () => false,
  });
  const offered: string[] = [];
  for (let ms = 0; ms < 2000; ms += 1) {
    const requestId = `r${ms}`;
    offered.push(requestId);
    delivery.offer({ requestId } as UsageRecord);
    await clock.advanceAsync(1);
  }
  const underLoad = batches.length;
  // Each in turn, none twice and none left behind, soon after the last one.
  await clock.advanceAsync(300);
  assert.deepEqual(batches.flat(), offered);
  assert.ok(underLoad <= 40, `${underLoad} transactions in two seconds`);
  assert.ok(underLoad >= 10, 'somebody waits for the load to end');
});
