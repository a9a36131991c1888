import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { record } from '../../testing/router/journalRig.ts';
import { MemoryJournal } from '../../testing/router/memoryJournal.ts';
import { MemoryPorts, settle } from '../../testing/router/routerHarness.ts';
import type { UsageRecord } from '../ports.ts';
import { Journal } from './journal.ts';
import { diskJournalFiles, type JournalFiles } from './journalFiles.ts';

const begun = (requestId: string): UsageRecord =>
  record(requestId, { outcome: 'interrupted', status: 500 });

interface Rig {
  journal: Journal;
  ports: MemoryPorts;
  files: MemoryJournal;
  clock: FakeClock;
}

async function rig(files = new MemoryJournal(), ports = new MemoryPorts()): Promise<Rig> {
  const clock = new FakeClock();
  const journal = journalOn({ files, ports, clock });
  await journal.start();
  return { journal, ports, files, clock };
}

function journalOn(options: {
  files: JournalFiles;
  ports: MemoryPorts;
  clock: FakeClock;
}): Journal {
  const { files, ports, clock } = options;
  const random = seededRandom(1);
  return new Journal({ files, sink: ports.usage, clock, random, log: silentLogger });
}

const outcomes = (ports: MemoryPorts): Record<string, string> =>
  Object.fromEntries(ports.usageRecords.map((one) => [one.requestId, one.outcome]));

test('the lines of one turn go out in one write', async () => {
  const { journal, files, clock, ports } = await rig();
  let written = 0;
  for (let n = 0; n < 50; n += 1) {
    journal.begin(begun(`r${n}`));
    journal.end(record(`r${n}`), () => (written += 1));
  }
  await settle();
  assert.equal(files.writes, 1);
  assert.equal(written, 50);
  await clock.advanceAsync(300);
  assert.equal(ports.usageRecords.length, 50);
});

const linesIn = (files: MemoryJournal): string[] =>
  [...files.segments.values()].flatMap((bytes) => bytes.toString('utf8').split('\n').slice(0, -1));

test('a request that ends at once leaves the line of its beginning, too', async () => {
  const { journal, files } = await rig();
  journal.begin(begun('short'));
  journal.begin(begun('long'));
  journal.end(record('short'));
  await settle();
  const kinds = linesIn(files).map((line) => {
    const [, kind, id] = /^\{"(\w+)":\{"requestId":"(\w+)"/.exec(line) ?? [];
    return `${kind} ${id}`;
  });
  assert.deepEqual(kinds, ['begin long', 'end short']);
  journal.end(record('long'));
  await settle();
  assert.equal(linesIn(files).length, 3);
});

test('a line that waits for company goes out when an earlier one would have had to', async () => {
  const { journal, files, clock } = await rig();
  journal.begin(begun('first'));
  await clock.advanceAsync(1);
  journal.end(record('first'));
  await settle();
  assert.equal(files.writes, 1);
  await clock.advanceAsync(0.5);
  journal.begin(begun('second'));
  await clock.advanceAsync(1);
  await settle();
  assert.equal(files.writes, 1, 'the time of the first is up, that of the second is not');
  await clock.advanceAsync(1.5);
  await settle();
  assert.equal(files.writes, 2);
});

test('nobody waits for an fsync, and there is one each second', async () => {
  const { journal, files, clock } = await rig();
  for (let n = 0; n < 30; n += 1) {
    journal.end(record(`r${n}`));
    await clock.advanceAsync(100);
  }
  assert.ok(files.syncs >= 2 && files.syncs <= 4, String(files.syncs));
});

test('G2 after a crash every begun request has one record, and only one', async () => {
  const { journal, files, ports } = await rig();
  ports.storeAway = true;
  journal.begin(begun('ended'));
  journal.end(record('ended'));
  journal.begin(begun('running'));
  await settle();
  // The process is gone here; another one finds the folder, with a torn last line.
  const [name = ''] = files.segments.keys();
  const torn = `{"end":{"requestId":"running","outc`;
  files.segments.set(name, Buffer.concat([files.segments.get(name) as Buffer, Buffer.from(torn)]));
  ports.storeAway = false;
  const again = await rig(files, ports);
  await again.clock.advanceAsync(2000);
  assert.deepEqual(outcomes(ports), { ended: 'completed', running: 'interrupted' });
  await again.journal.stop();
  assert.equal(files.segments.size, 0, 'segments that nobody needs are gone');
  const third = await rig(files, ports);
  await third.clock.advanceAsync(2000);
  assert.equal(ports.usageRecords.length, 2);
});

test('a crash during the replay loses nothing', async () => {
  const { journal, files, ports } = await rig();
  ports.storeAway = true;
  journal.begin(begun('a'));
  journal.begin(begun('b'));
  journal.end(record('b'));
  await settle();
  for (let crash = 0; crash < 3; crash += 1) {
    const next = await rig(files, ports);
    await next.clock.advanceAsync(500);
  }
  ports.storeAway = false;
  const last = await rig(files, ports);
  await last.clock.advanceAsync(3000);
  await settle();
  assert.deepEqual(outcomes(ports), { a: 'interrupted', b: 'completed' });
});

test('a store that is away costs nothing: records are delivered when it is back', async () => {
  const { journal, ports, clock, files } = await rig();
  ports.storeAway = true;
  for (let n = 0; n < 20; n += 1) {
    journal.begin(begun(`r${n}`));
    journal.end(record(`r${n}`));
    await clock.advanceAsync(1000);
  }
  assert.equal(journal.accepting(), true);
  assert.equal(ports.usageRecords.length, 0);
  ports.storeAway = false;
  await clock.advanceAsync(15_000);
  assert.equal(ports.usageRecords.length, 20);
  await journal.stop();
  assert.equal(files.segments.size, 0);
});

test('G3 what memory has no room for is read back from the disk', async () => {
  const { journal, ports, clock, files } = await rig();
  ports.storeAway = true;
  const many = 21_000;
  for (let n = 0; n < many; n += 1) {
    journal.end(record(`r${n}`));
    if (n % 500 === 0) await settle(3);
  }
  await settle();
  ports.storeAway = false;
  await clock.advanceAsync(30_000);
  await settle(200);
  await clock.advanceAsync(30_000);
  assert.equal(new Set(ports.usageRecords.map((one) => one.requestId)).size, many);
  await journal.stop();
  assert.equal(files.segments.size, 0);
});

test('disk full: answers go on, then requests are refused, then it heals', async () => {
  const { journal, ports, clock, files } = await rig();
  files.fault = 'ENOSPC';
  files.tornBytes = 40;
  let written = 0;
  let ended = 0;
  while (journal.accepting() && ended < 100_000) {
    journal.end(record(`r${ended}`), () => (written += 1));
    ended += 1;
    if (ended % 100 === 0) await settle(2);
  }
  assert.ok(ended > 1000 && ended < 100_000, `refused after ${ended}`);
  await settle();
  assert.equal(written, ended, 'an answer waited for a disk that was full');
  assert.equal(journal.state(), 'failing');
  files.fault = undefined;
  await clock.advanceAsync(15_000);
  await settle();
  assert.equal(journal.accepting(), true);
  assert.equal(journal.state(), 'ok');
  await clock.advanceAsync(5000);
  const replayed = new MemoryPorts();
  const next = journalOn({ files, ports: replayed, clock: new FakeClock() });
  await next.start();
  assert.equal(new Set(ports.usageRecords.map((one) => one.requestId)).size, ended);
});

test('a disk that hangs holds answers back for a bounded time only', async () => {
  const { journal, clock, files } = await rig();
  journal.end(record('first'));
  await settle();
  files.hold();
  let written = 0;
  journal.end(record('slow'), () => (written += 1));
  await clock.advanceAsync(1000);
  assert.equal(written, 0);
  await clock.advanceAsync(3000);
  assert.equal(written, 1);
  files.release();
  await settle();
  assert.equal(written, 1, 'J2: told twice');
  assert.match(files.text(), /"requestId":"slow"/);
});

test('segments are closed at their size and removed when the store has their records', async () => {
  const { journal, files, clock } = await rig();
  const large = 'x'.repeat(100_000);
  for (let n = 0; n < 400; n += 1) {
    journal.end(record(`r${n}`, { endpointSlug: large }));
    await settle(2);
  }
  assert.ok(files.segments.size >= 2);
  await clock.advanceAsync(2000);
  await settle(50);
  assert.equal(files.segments.size, 1);
});

test('a clock that is set back makes a finished request an interrupted one', async () => {
  const ports = new MemoryPorts();
  ports.storeAway = true;
  const { journal, files, clock } = await rig(new MemoryJournal(), ports);
  journal.begin(begun('long'));
  for (let n = 0; files.segments.size < 2; n += 1) {
    journal.end(record(`r${n}`, { endpointSlug: 'x'.repeat(1_000_000) }));
    await settle(2);
  }
  clock.jumpWall(-7 * 3_600_000);
  for (let n = 0; files.segments.size < 3; n += 1) {
    journal.end(record(`s${n}`, { endpointSlug: 'x'.repeat(1_000_000) }));
    await settle(2);
  }
  journal.end(record('long'));
  await settle();
  // The process dies here.
  ports.storeAway = false;
  const later = new FakeClock();
  const next = journalOn({ files, ports, clock: later });
  await next.start();
  await later.advanceAsync(2000);
  await settle(50);
  assert.equal(outcomes(ports)['long'], 'completed');
});

test('a folder that was removed refuses every request until a restart', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'xim-journal-'));
  try {
    const ports = new MemoryPorts();
    const files = diskJournalFiles(path.join(folder, 'journal'));
    const journal = journalOn({ files, ports, clock: new FakeClock() });
    await journal.start();
    await rm(path.join(folder, 'journal'), { recursive: true });
    journal.begin(begun('r1'));
    await new Promise<void>((resolve) => journal.end(record('r1'), resolve));
    assert.equal(journal.state(), 'ok');
    const [name = ''] = await readdir(path.join(folder, 'journal'));
    assert.match(await readFile(path.join(folder, 'journal', name), 'utf8'), /"end":/);
    assert.equal((await stat(path.join(folder, 'journal'))).mode & 0o777, 0o700);
    await journal.stop();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('on a real disk: private files, replay after a crash', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'xim-journal-'));
  try {
    const files = diskJournalFiles(path.join(folder, 'journal'));
    const ports = new MemoryPorts();
    ports.storeAway = true;
    const journal = journalOn({ files, ports, clock: new FakeClock() });
    await journal.start();
    journal.begin(begun('r1'));
    await new Promise<void>((resolve) => journal.end(record('r1'), resolve));
    const [name = ''] = await readdir(path.join(folder, 'journal'));
    const { mode } = await stat(path.join(folder, 'journal', name));
    assert.equal(mode & 0o777, 0o600);
    await writeFile(path.join(folder, 'journal', 'notes.txt'), 'not ours');
    ports.storeAway = false;
    const clock = new FakeClock();
    const next = journalOn({ files, ports, clock });
    await next.start();
    await clock.advanceAsync(500);
    while (ports.usageRecords.length === 0) await settle();
    await next.stop();
    assert.deepEqual(outcomes(ports), { r1: 'completed' });
  } finally {
    await rm(folder, { recursive: true });
  }
});
