/** What was measured of tiers, over a real database. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Store } from '../../store/store.ts';
import { openControlHarness, type ControlHarness } from '../../testing/http/controlHarness.ts';
import { usageRow } from '../../testing/database/storeRows.ts';
import { createTierMeasures } from './tierMeasures.ts';

const hourMs = 3_600_000;

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

/** The same store, with what it was asked. */
function counted(store: Store): { store: Store; spans: number[]; failNext: () => void } {
  const spans: number[] = [];
  let failing = false;
  const tierSlices: Store['tierSlices'] = (span) => {
    if (failing) {
      failing = false;
      return Promise.reject(new Error('away'));
    }
    spans.push(span.toMs - span.fromMs);
    return store.tierSlices(span);
  };
  return { store: { ...store, tierSlices }, spans, failNext: () => (failing = true) };
}

let rows = 0;
async function served(atMs: number): Promise<void> {
  const over = { startedAtMs: atMs, tier: 'free', requestId: `req_${(rows += 1)}` };
  await harness.store.recordUsage([usageRow(rows, over)]);
}

test('a day is not 24 hours, late records are missed, or a day is read each time', async () => {
  const { clock, store } = harness;
  const asked = counted(store);
  const measure = createTierMeasures({ store: asked.store, clock });
  const nowMs = clock.now();
  await served(nowMs - 24 * hourMs - 1);
  await served(nowMs - 24 * hourMs);
  await served(nowMs - 12 * hourMs);
  await served(nowMs - 1);
  const requests = async (): Promise<number> => (await measure()).tiers.free.requests;
  assert.deepEqual(await Promise.all([requests(), requests()]), [3, 3]);
  assert.equal(asked.spans.length, 145, 'one look for both');
  assert.ok(asked.spans.every((span) => span <= hourMs / 6));

  // A request that began an hour ago has just ended.
  await served(nowMs - hourMs);
  assert.equal(await requests(), 3, 'shown for a minute');
  clock.advance(60_001);
  asked.spans.length = 0;
  // The one of exactly 24 hours ago has left meanwhile.
  assert.equal(await requests(), 3);
  assert.ok(asked.spans.length <= 15, `${asked.spans.length} slices were read again`);
  assert.equal((await measure()).sinceMs, clock.now() - 24 * hourMs);
});

test('a database that was away once is never asked again', async () => {
  const asked = counted(harness.store);
  const measure = createTierMeasures({ store: asked.store, clock: harness.clock });
  asked.failNext();
  await assert.rejects(measure(), /away/);
  assert.ok((await measure()).tiers.free.requests > 0);
});
