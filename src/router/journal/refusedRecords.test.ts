/** Records that the store refuses, each for itself, and lines that nobody can read (G6). */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { silentLogger, type Logger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { hearing, JournalRig, record } from '../../testing/router/journalRig.ts';
import { MemoryJournal } from '../../testing/router/memoryJournal.ts';
import { MemoryPorts, settle } from '../../testing/router/routerHarness.ts';
import { maxRefusedBytes } from '../limits.ts';
import type { UsageRecord } from '../ports.ts';
import { diskJournalFiles } from './journalFiles.ts';
import { refusedLine } from './journalLines.ts';
import { JournalReader } from './journalReader.ts';
import { RefusedRecords } from './refusedRecords.ts';
import { UnreadableLines } from './unreadableLines.ts';

const minuteMs = 60_000;

test('many records that the store refuses stop the delivery of all behind them', async () => {
  const rig = await JournalRig.start();
  await rig.refuse(11_000);
  await rig.serve(100);
  await rig.live(minuteMs);
  assert.equal(rig.recorded, 100);
});

test('what stands between refused records comes in one at a time', async () => {
  const rig = await JournalRig.start();
  for (let n = 0; n < 1000; n += 2) rig.ports.unfit.add(`r${n}`);
  await rig.serve(1000);
  await rig.live(1000);
  assert.equal(rig.recorded, 500);
});

test('what the store takes again comes to it hours later', async () => {
  const rig = await JournalRig.start();
  await rig.refuse(10_000);
  await rig.live(10 * minuteMs);
  rig.ports.unfit.clear();
  await rig.live(6 * minuteMs);
  assert.equal(rig.recorded, 10_000);
  await rig.journal.stop();
  assert.equal(rig.files.segments.size, 0, 'files that nobody needs are kept');
});

test('a record that is refused for long is given up', async () => {
  const rig = await JournalRig.start();
  await rig.refuse(1);
  for (let minute = 0; minute < 120; minute += 1) {
    await rig.serve(1, { endpointSlug: 'x'.repeat(500_000) });
    await rig.pass(minuteMs);
  }
  const next = await rig.restart();
  next.ports.unfit.clear();
  await next.live(minuteMs);
  assert.equal(next.recorded, 121);
});

test('each refused record holds sixteen megabytes of the disk', async () => {
  const rig = await JournalRig.start();
  const endpointSlug = 'x'.repeat(100_000);
  for (let segment = 0; segment < 10; segment += 1) {
    await rig.refuse(1);
    await rig.serve(170, { endpointSlug });
    await rig.live(1000);
  }
  assert.equal(rig.recorded, 1700);
  const { bytes } = rig.journal.figures();
  assert.ok(bytes < 32_000_000, `${bytes} bytes`);
});

test('a log line for each try of each refused record', async () => {
  const { log, lines } = hearing();
  const rig = await JournalRig.start(log);
  await rig.refuse(1000);
  for (let minute = 0; minute < 30; minute += 1) await rig.live(minuteMs);
  const next = await rig.restart(log);
  await next.live(10 * minuteMs);
  assert.ok(lines.length <= 30, `${lines.length} lines`);
  const named = JSON.stringify(lines).match(/"requestId":"r\d+"/g) ?? [];
  assert.equal(named.length, 1000, 'each once');
  assert.equal(new Set(named).size, 1000);
  assert.match(JSON.stringify(lines), /unfit r17"/, 'with the reason');
});

test('a line of the journal that cannot be read is lost without a word', async () => {
  const { log, lines } = hearing();
  const rig = await JournalRig.start();
  rig.ports.storeAway = true;
  rig.journal.begin(record('r1', { outcome: 'interrupted' }));
  await rig.live(10);
  await rig.serve(3);
  const [name = ''] = rig.files.segments.keys();
  const text = rig.files.text().replace('{"end":{"requestId":"r1"', '{"end":{"req\u0000Id":"r1"');
  rig.files.segments.set(name, Buffer.from(`${text}{"end":{"requestId":"r2","torn`));
  rig.ports.storeAway = false;
  const next = await rig.restart(log);
  await next.live(minuteMs);
  const outcomes = next.ports.usageRecords.map((one) => [one.requestId, one.outcome]);
  assert.deepEqual(
    new Map(outcomes as [string, string][]),
    new Map([
      ['r0', 'completed'],
      ['r2', 'completed'],
      ['r1', 'interrupted'],
    ]),
  );
  const told = lines.filter(({ fields }) => fields['unreadable'] === 1);
  assert.equal(told.length, 1);
  assert.ok(next.files.text().includes('req\u0000Id":"r1"'), 'kept for whoever can read it');
  assert.equal(next.journal.figures().unreadable, 1);
});

test('a killed process loses refused records, or doubles them', async () => {
  let rig = await JournalRig.start();
  await rig.refuse(700);
  await rig.serve(50);
  for (let kills = 0; kills < 40; kills += 1) {
    rig.journal.begin(record(`cut${kills}`, { outcome: 'interrupted' }));
    if (kills === 20) {
      for (let n = 0; n < 350; n += 1) rig.ports.unfit.delete(`r${n}`);
    }
    // In another place each time.
    for (let step = 0; step < kills; step += 1) {
      await rig.clock.advanceAsync(37);
      await settle(step % 7);
    }
    rig = await rig.restart();
  }
  await rig.live(minuteMs);
  assert.equal(rig.journal.figures().refused, 350);
  const bytes = [...rig.files.segments.values()].reduce((sum, one) => sum + one.length, 0);
  assert.ok(bytes < 350 * 1000, `${bytes} bytes for 350 records`);
  rig.ports.unfit.clear();
  await rig.live(10 * minuteMs);
  const recorded = new Set(rig.ports.usageRecords.map((one) => one.requestId));
  assert.equal([...recorded].filter((id) => id.startsWith('r')).length, 750);
  assert.ok(recorded.size > 780, 'what began leaves nothing');
  const wrong = rig.ports.usageRecords.filter(
    ({ requestId, outcome }) => (outcome === 'interrupted') !== requestId.startsWith('cut'),
  );
  assert.deepEqual(wrong, []);
  await rig.journal.stop();
  assert.equal(rig.files.segments.size, 0);
});

test('a full disk loses what is refused, or holds the others up', async () => {
  const rig = await JournalRig.start();
  await rig.serve(1);
  rig.files.fault = 'ENOSPC';
  rig.files.tornBytes = 300;
  rig.files.createsOnFullDisk = true;
  await rig.refuse(500);
  await rig.serve(100);
  await rig.live(5 * minuteMs);
  assert.equal(rig.recorded, 101);
  assert.ok(rig.files.segments.size <= 4, `${rig.files.segments.size} files`);
  // The store takes them again before the disk has room.
  for (let n = 1; n <= 250; n += 1) rig.ports.unfit.delete(`r${n}`);
  await rig.live(5 * minuteMs);
  assert.equal(rig.recorded, 351);
  rig.files.fault = undefined;
  await rig.live(5 * minuteMs);
  const next = await rig.restart();
  next.ports.unfit.clear();
  await next.live(minuteMs);
  assert.equal(next.recorded, 601);
});

test('of two causes the one that stays hides that the other one is gone', async () => {
  const rig = await JournalRig.start();
  await rig.refuse(2000);
  await rig.refuse(3);
  await rig.live(10 * minuteMs);
  for (let n = 2000; n < 2003; n += 1) rig.ports.unfit.delete(`r${n}`);
  await rig.live(10 * minuteMs);
  assert.equal(rig.recorded, 3);
  assert.equal(rig.journal.figures().refused, 2000);
});

test('a clock that is set back puts off what was refused', async () => {
  const rig = await JournalRig.start();
  await rig.refuse(100);
  rig.clock.jumpWall(-86_400_000);
  await rig.refuse(100);
  await rig.live(minuteMs);
  rig.ports.unfit.clear();
  await rig.live(6 * minuteMs);
  assert.equal(rig.recorded, 200);
  await rig.journal.stop();
  assert.equal(rig.files.segments.size, 0);
});

/** A folder in which there is no room for more that is refused; what is there is refused, too. */
async function fullFolder(log?: Logger): Promise<JournalRig> {
  const files = new MemoryJournal();
  const name = 'refused-000007.jsonl';
  const refused = { reason: 'unfit', process: 'another one' };
  const line = refusedLine({ record: record('old'), refused });
  files.segments.set(name, Buffer.from(line));
  files.list = () => Promise.resolve([{ name, bytes: maxRefusedBytes }]);
  const ports = new MemoryPorts();
  ports.unfit.add('old');
  return JournalRig.start(log, files, ports);
}

test('more is refused than there is room for, and stops the delivery of all others', async () => {
  const { log, lines } = hearing();
  const rig = await fullFolder(log);
  await rig.serve(100);
  await rig.refuse(300);
  await rig.live(minuteMs / 2);
  assert.equal(rig.recorded, 100);
  const figures = rig.journal.figures();
  assert.deepEqual([figures.refused, figures.givenUp, figures.undelivered], [1, 300, 0]);
  const records = lines.map(({ fields }) => fields['record'] as UsageRecord | undefined);
  const named = new Set(records.map((one) => one?.requestId));
  named.delete(undefined);
  assert.equal(named.size, 300, 'whole, in the log');
});

test('a store that takes nothing, and no room for more: records are given up', async () => {
  const rig = await fullFolder();
  await rig.refuse(10_500);
  await rig.live(10 * minuteMs);
  assert.equal(rig.journal.figures().givenUp, 0);
  rig.ports.unfit.clear();
  await rig.live(2 * minuteMs);
  assert.equal(rig.recorded, 10_501);
  await rig.journal.stop();
  assert.equal(rig.files.segments.size, 0);
});

test('what is refused while the disk is full stays in memory once it has room', async () => {
  const rig = await JournalRig.start();
  await rig.serve(1);
  rig.files.fault = 'ENOSPC';
  await rig.refuse(3000);
  assert.equal(rig.journal.figures().undelivered, 3000);
  rig.files.fault = undefined;
  await rig.live(minuteMs);
  const { undelivered, refused } = rig.journal.figures();
  assert.deepEqual([undelivered, refused], [0, 3000]);
});

test('on a real disk: what is refused is lost, or kept for ever', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'xim-refused-'));
  try {
    const files = diskJournalFiles(folder);
    const options = { files, clock: new FakeClock(), log: silentLogger };
    const unreadable = new UnreadableLines(options);
    const reader = new JournalReader(options);
    const make = (seed: number): RefusedRecords =>
      new RefusedRecords({ ...options, unreadable, reader, random: seededRandom(seed) });
    const kept = make(1);
    await kept.note(['a', 'b'].map((id) => ({ record: record(id), reason: 'why' })));
    await kept.note([{ record: record('c'), reason: 'why' }]);
    const next = make(2);
    const found = await files.list();
    assert.deepEqual(await Promise.all(found.map((one) => next.adopt(one))), [['a', 'b', 'c']]);
    next.beginRound();
    const records = (await next.next()) ?? [];
    assert.deepEqual(new Set(records.map((one) => one.replayed)), new Set([true]));
    next.taken(records.slice(0, 2));
    await next.concludeFile();
    const [name = '', ...others] = await readdir(folder);
    assert.deepEqual(others, []);
    const text = await readFile(path.join(folder, name), 'utf8');
    assert.match(text, /^\{"end":\{"requestId":"c".*"why".*\n$/);
    assert.equal((await stat(path.join(folder, name))).mode & 0o777, 0o600);
    next.beginRound();
    next.taken((await next.next()) ?? []);
    await next.concludeFile();
    assert.deepEqual(await readdir(folder), []);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a record that came through is delivered again while its file cannot be written', async () => {
  const rig = await JournalRig.start();
  await rig.refuse(2);
  rig.files.fault = 'ENOSPC';
  rig.ports.unfit.delete('r0');
  const before = rig.ports.usageCalls;
  await rig.live(60 * minuteMs);
  assert.equal(rig.recorded, 1);
  const calls = rig.ports.usageCalls - before;
  assert.ok(calls < 60, `${calls} calls in an hour: the pauses do not grow`);
  assert.equal(rig.journal.figures().refused, 1);
  rig.files.fault = undefined;
  await rig.live(6 * minuteMs);
  const file = rig.files.segments.get('refused-000001.jsonl')?.toString() ?? '';
  assert.match(file, /^\{"end":\{"requestId":"r1".*\n$/, 'it stays once the disk has room');
});

test('a record that came through is delivered again while its file cannot be removed', async () => {
  const rig = await JournalRig.start();
  await rig.refuse(1);
  const remove = rig.files.remove.bind(rig.files);
  rig.files.remove = () => Promise.reject(new Error('EPERM'));
  rig.ports.unfit.clear();
  const before = rig.ports.usageCalls;
  await rig.live(60 * minuteMs);
  assert.deepEqual([rig.recorded, rig.ports.usageCalls - before], [1, 1]);
  assert.equal(rig.journal.figures().refused, 0);
  // The file that stays takes others meanwhile.
  await rig.refuse(2);
  assert.equal(rig.journal.figures().refused, 2);
  rig.files.remove = remove;
  rig.ports.unfit.clear();
  await rig.live(6 * minuteMs);
  assert.equal(rig.recorded, 3);
  await rig.journal.stop();
  assert.equal(rig.files.segments.size, 0);
});

test('a timer that fires a little early ends the rounds of an idle server', async () => {
  const rig = await JournalRig.start();
  const setTimer = rig.clock.setTimer.bind(rig.clock);
  rig.clock.setTimer = (delayMs, fire) => setTimer(delayMs - 0.7, fire);
  await rig.refuse(1);
  await rig.live(20 * minuteMs);
  rig.ports.unfit.clear();
  await rig.live(6 * minuteMs);
  assert.equal(rig.recorded, 1);
});
