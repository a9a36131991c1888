/** What was away is back: whatever the journal was in, it goes on as if nothing had been (G5). */
import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { JournalRig as Rig, record } from '../../testing/router/journalRig.ts';
import { MemoryJournal } from '../../testing/router/memoryJournal.ts';
import { settle } from '../../testing/router/routerHarness.ts';
import { beginLine, endLine, refusedLine } from './journalLines.ts';

test('a record that the store cannot take holds up all others, across restarts', async () => {
  const rig = await Rig.start();
  for (const at of [3, 700, 701]) rig.ports.unfit.add(`r${at}`);
  await rig.serve(1500);
  await rig.pass(60_000);
  assert.equal(rig.recorded, 1497);
  rig.ports.unfit.delete('r3');
  for (let minute = 0; minute < 40; minute += 1) {
    await rig.serve(1);
    await rig.pass(60_000);
  }
  assert.equal(rig.recorded, 1538);
  await rig.journal.stop();
  const left = [...rig.files.segments.keys()];
  assert.ok(left.length === 1 && left[0]?.startsWith('refused-'), `${left.join()} is left`);
});

test('a store that takes nothing makes somebody give a record up', async () => {
  const rig = await Rig.start();
  rig.ports.storeAway = true;
  await rig.serve(100);
  for (let hour = 0; hour < 3; hour += 1) await rig.pass(3_600_000);
  assert.equal(rig.recorded, 0);
  rig.ports.storeAway = false;
  await rig.pass(60_000);
  assert.equal(rig.recorded, 100);
});

test('a call of the store that never comes back is the last one', async () => {
  const rig = await Rig.start();
  rig.ports.storeHangs = true;
  await rig.serve(10);
  await rig.pass(10_000);
  rig.ports.storeHangs = false;
  await rig.serve(10);
  await rig.pass(200_000);
  assert.equal(rig.recorded, 20);
});

test('a segment that cannot be read once is left behind until a restart', async () => {
  const rig = await Rig.start();
  rig.ports.storeAway = true;
  await rig.serve(21_000);
  rig.ports.storeAway = false;
  rig.files.readFault = 'EMFILE';
  await rig.pass(60_000);
  assert.ok(rig.recorded >= 20_000 && rig.recorded < 21_000);
  rig.files.readFault = undefined;
  await rig.pass(60_000);
  assert.equal(rig.recorded, 21_000);
});

test('a segment that can never be read holds up all behind it', async () => {
  let failures = 0;
  const error = (): void => void (failures += 1);
  const rig = await Rig.start({ ...silentLogger, error });
  rig.ports.storeAway = true;
  await rig.serve(20_000);
  const endpointSlug = 'x'.repeat(100_000);
  for (let part = 0; part < 8; part += 1) await rig.serve(50, { endpointSlug });
  const names = [...rig.files.segments.keys()];
  assert.ok(names.length >= 3);
  rig.files.unreadable.add(names[1] ?? '');
  rig.ports.storeAway = false;
  await rig.live(60_000);
  assert.ok(rig.recorded >= 20_200, `${rig.recorded} of 20,400`);
  await rig.live(600_000);
  assert.ok(failures <= 30, `${failures} lines in the log`);
  rig.files.unreadable.clear();
  await rig.live(120_000);
  assert.equal(rig.recorded, 20_400);
  await rig.journal.stop();
  assert.equal(rig.files.segments.size, 0);
});

test('a segment that was removed counts against the journal for ever', async () => {
  const rig = await Rig.start();
  rig.ports.storeAway = true;
  await rig.serve(21_000);
  const gone = rig.files.segments.size;
  rig.files.segments.clear();
  rig.ports.storeAway = false;
  await rig.pass(60_000);
  assert.ok(gone > 0 && rig.recorded >= 20_000);
  await rig.serve(5);
  await rig.pass(1000);
  assert.deepEqual([rig.journal.accepting(), rig.journal.state()], [true, 'ok']);
  await rig.journal.stop();
  assert.equal(rig.files.segments.size, 0);
});

test('a segment without a single record ends the replay of those behind it', async () => {
  const first = await Rig.start();
  first.ports.storeAway = true;
  await first.serve(3);
  const next = new Rig();
  // Left by a full disk, and before what holds records.
  next.files.segments.set('000000000000001-000001.jsonl', Buffer.alloc(0));
  next.files.segments.set('000000000000001-000002.jsonl', Buffer.from('{"end":{"reque'));
  for (const [name, bytes] of first.files.segments) next.files.segments.set(name, bytes);
  await next.journal.start();
  await next.pass(1000);
  assert.equal(next.recorded, 3);
});

test('records that memory had no room for wait for the next request once all is back', async () => {
  const rig = await Rig.start();
  rig.ports.storeAway = true;
  await rig.serve(19_500);
  // Neither memory nor the disk takes the last of these, but the writer's own memory.
  rig.files.fault = 'ENOSPC';
  await rig.serve(1000);
  rig.ports.storeAway = false;
  await rig.pass(60_000);
  assert.equal(rig.recorded, 20_000);
  rig.files.fault = undefined;
  await rig.pass(60_000);
  assert.equal(rig.recorded, 20_500);
});

test('a disk that stays full refuses requests whose records the store has', async () => {
  const rig = await Rig.start();
  rig.files.fault = 'ENOSPC';
  let refused = 0;
  for (let second = 0; second < 100; second += 1) {
    if (rig.journal.accepting()) await rig.serve(100, { endpointSlug: 'x'.repeat(1000) });
    else refused += 1;
    await rig.pass(1000);
  }
  assert.equal(refused, 0);
  assert.equal(rig.recorded, 10_000);
  assert.equal(rig.journal.state(), 'failing', 'and nobody would know');
  rig.files.fault = undefined;
  await rig.pass(30_000);
  await rig.serve(1);
  await rig.pass(30_000);
  assert.equal(rig.journal.state(), 'ok');
  assert.equal(rig.recorded, 10_001);
});

test('a disk that hangs for long refuses requests whose records the store has', async () => {
  const rig = await Rig.start();
  await rig.serve(1);
  rig.files.hold();
  for (let second = 0; second < 60; second += 1) {
    assert.ok(rig.journal.accepting(), `refused after ${second} s`);
    await rig.serve(100, { endpointSlug: 'x'.repeat(1000) });
    await rig.pass(1000);
  }
  rig.files.release();
  await rig.pass(10_000);
  assert.equal(rig.recorded, rig.sent);
  assert.equal(rig.journal.state(), 'ok');
});

test('each try on a full disk leaves an open file, or a file', async () => {
  const rig = await Rig.start();
  await rig.serve(1);
  rig.files.fault = 'ENOSPC';
  rig.files.failSyncs = true;
  rig.files.createsOnFullDisk = true;
  for (let minute = 0; minute < 60; minute += 1) {
    await rig.serve(1);
    await rig.pass(60_000);
  }
  assert.ok(rig.files.open <= 1, `${rig.files.open} files are open`);
  assert.ok(rig.files.segments.size <= 2, `${rig.files.segments.size} segments`);
});

test('an answer waits for the fsync of a segment that is full', async () => {
  const rig = await Rig.start();
  rig.files.heldSyncs = [];
  const large = 'x'.repeat(1_000_000);
  let written = 0;
  for (let n = 0; n < 20; n += 1) {
    rig.journal.end(record(`l${n}`, { endpointSlug: large }), () => (written += 1));
    await settle(4);
  }
  assert.ok(rig.files.segments.size >= 2);
  assert.equal(written, 20);
  for (const resume of rig.files.heldSyncs.splice(0)) resume();
});

test('what an earlier process left is taken for something that this one has counted', async () => {
  const dead = await Rig.start();
  dead.ports.storeAway = true;
  await dead.serve(2);
  dead.journal.begin(record('r_cut', { outcome: 'interrupted' }));
  await dead.pass(1_000);
  const next = await Rig.start(silentLogger, dead.files);
  await next.serve(1, { requestId: 'r_new' });
  await next.pass(60_000);
  const found = next.ports.usageRecords.map((one) => [one.requestId, one.replayed === true]);
  assert.deepEqual(
    new Map(found as [string, boolean][]),
    new Map([
      ['r0', true],
      ['r1', true],
      ['r_cut', true],
      ['r_new', false],
    ]),
  );
  await next.journal.stop();
});

test('a file that cannot be read at start makes finished requests interrupted ones', async () => {
  const cut = (id: string): string => beginLine(record(id, { outcome: 'interrupted' }));
  const files = new MemoryJournal();
  const put = (name: string, text: string): void =>
    void files.segments.set(name, Buffer.from(text));
  const refused = { reason: 'unfit', process: 'another one' };
  put('000000000000001-000001.jsonl', cut('refused') + cut('ended') + cut('cut'));
  put('000000000000001-000002.jsonl', endLine(record('ended')));
  put('refused-000001.jsonl', refusedLine({ record: record('refused'), refused }));
  files.unreadable.add('000000000000001-000002.jsonl').add('refused-000001.jsonl');
  const rig = await Rig.start(undefined, files);
  await rig.live(600_000);
  assert.equal(rig.recorded, 0);
  files.unreadable.clear();
  await rig.live(400_000);
  const outcomes = rig.ports.usageRecords.map((one) => `${one.requestId} ${one.outcome}`);
  assert.deepEqual(outcomes.toSorted(), [
    'cut interrupted',
    'ended completed',
    'refused completed',
  ]);
  await rig.journal.stop();
  assert.equal(files.segments.size, 0);
});
