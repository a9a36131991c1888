import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { MemoryReceipts } from '../../testing/router/memoryReceipts.ts';
import { receiptSyncMs } from '../limits.ts';
import { endedRequest } from '../../testing/router/endedRequest.ts';
import { ReceiptShelf } from './receiptShelf.ts';

const nothing = { agent: () => undefined, outsiders: () => null };

function shelf(over: { files?: MemoryReceipts; receipts?: number; bytes?: number } = {}) {
  const { files = new MemoryReceipts(), receipts = 1e6, bytes = 1e9 } = over;
  const clock = new FakeClock();
  const bounds = { receipts, bytes };
  return { files, clock, shelf: new ReceiptShelf({ files, clock, log: silentLogger, bounds }) };
}

/** Enough to fill some segments: each receipt has the longest prompt. */
function fill(one: ReceiptShelf, options: { from: number; count: number }): void {
  for (let n = options.from; n < options.from + options.count; n += 1) {
    one.add(endedRequest({ requestId: `req_${n}`, blocks: 256 }), nothing);
  }
}

/** What is queued is written. */
const settled = (one: ReceiptShelf): Promise<void> => one.stop();

test('receipts grow without bound, or the newest go first', async () => {
  const { shelf: one, files } = shelf({ receipts: 3000, bytes: 1e9 });
  fill(one, { from: 0, count: 8000 });
  await settled(one);
  const { kept } = one.state();
  assert.ok(kept <= 3000 && kept > 1000, `${kept}`);
  assert.equal(await one.find('req_0'), undefined);
  assert.equal((await one.find('req_7999'))?.requestId, 'req_7999');
  assert.ok(files.segments.size <= 3, `${files.segments.size} files`);
});

test('the bound in bytes is not kept', async () => {
  const { shelf: one, files } = shelf({ bytes: 2.5e6 });
  fill(one, { from: 0, count: 8000 });
  await settled(one);
  const bytes = [...files.segments.values()].reduce((sum, { length }) => sum + length, 0);
  assert.ok(one.state().bytes <= 2.5e6);
  assert.ok(bytes <= 2.5e6 + 1.1e6, `${bytes}`);
});

test('receipts grow without bound while the disk hangs', async () => {
  const files = new MemoryReceipts();
  files.write = () => new Promise(() => {});
  const { shelf: one } = shelf({ files, receipts: 3000, bytes: 2.5e6 });
  fill(one, { from: 0, count: 20_000 });
  const { kept, bytes } = one.state();
  assert.ok(kept <= 4000 && bytes <= 2.5e6, `${kept} of ${bytes} bytes`);
  assert.equal((await one.find('req_19999'))?.requestId, 'req_19999');
});

test('the part of a segment that was written stays when the segment has fallen out', async () => {
  const { shelf: one, files, clock } = shelf({ receipts: 3000, bytes: 2.5e6 });
  void one.start();
  await clock.advanceAsync(1);
  fill(one, { from: 0, count: 10 });
  await clock.advanceAsync(receiptSyncMs);
  assert.equal(files.segments.size, 1);
  const [name = ''] = files.segments.keys();
  // While nothing can be written, it becomes old.
  const write = files.write.bind(files);
  let goOn = (): void => {};
  const held = new Promise<void>((resolve) => (goOn = resolve));
  files.write = async (...args) => held.then(() => write(...args));
  fill(one, { from: 10, count: 20_000 });
  goOn();
  await settled(one);
  assert.equal(files.segments.has(name), false);
});

test('a restart forgets receipts', async () => {
  const { shelf: one, files } = shelf();
  fill(one, { from: 0, count: 3000 });
  await settled(one);
  const { shelf: next } = shelf({ files });
  await next.start();
  assert.equal(next.state().kept, 3000);
  for (const id of ['req_0', 'req_1500', 'req_2999']) {
    assert.equal((await next.find(id))?.requestId, id);
  }
  let listed = 0;
  for await (const some of next.all()) listed += some.length;
  assert.equal(listed, 3000);
  await next.stop();
});

test('a crash loses more than the receipts since the last writing', async () => {
  const { shelf: one, files, clock } = shelf();
  await one.start();
  fill(one, { from: 0, count: 10 });
  await clock.advanceAsync(receiptSyncMs);
  fill(one, { from: 10, count: 1 });
  const { shelf: next } = shelf({ files });
  await next.start();
  assert.equal(next.state().kept, 10);
  await one.stop();
  await next.stop();
});

test('a full disk fails somebody, or the receipts that it lost are not counted', async () => {
  const { shelf: one, files } = shelf();
  files.fault = 'ENOSPC';
  fill(one, { from: 0, count: 2000 });
  await settled(one);
  const { lost, kept } = one.state();
  assert.ok(lost > 0);
  assert.equal(lost + kept, 2000);
  assert.equal((await one.find('req_1999'))?.requestId, 'req_1999');
});

test('a segment that is torn or of something else stops the start', async () => {
  const files = new MemoryReceipts();
  files.segments.set('000-1.receipts', Buffer.from('what is this'));
  const { shelf: one } = shelf();
  fill(one, { from: 0, count: 5 });
  await settled(one);
  const { shelf: next } = shelf({ files });
  await next.start();
  assert.equal(next.state().kept, 0);
  assert.equal(files.segments.size, 0);
  await next.stop();
});
