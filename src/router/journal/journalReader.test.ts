/** Files of the journal that can never be read: nothing waits for them for ever. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { until } from '../../testing/processes/processes.ts';
import { hearing, JournalRig, record } from '../../testing/router/journalRig.ts';
import { MemoryJournal } from '../../testing/router/memoryJournal.ts';
import { MemoryPorts } from '../../testing/router/routerHarness.ts';
import { Journal } from './journal.ts';
import { diskJournalFiles } from './journalFiles.ts';
import { beginLine, endLine, refusedLine } from './journalLines.ts';

const minuteMs = 60_000;

const cut = (id: string): string => beginLine(record(id, { outcome: 'interrupted' }));
const segment = (n: number): string => `000000000000001-00000${n}.jsonl`;

/** A folder that a killed process left, with two files in it that cannot be read. */
function damaged(): MemoryJournal {
  const files = new MemoryJournal();
  const put = (name: string, text: string): void =>
    void files.segments.set(name, Buffer.from(text));
  const refused = { reason: 'unfit', process: 'another one' };
  put(segment(1), cut('ended') + cut('cut'));
  put(segment(2), endLine(record('ended')) + endLine(record('short')));
  put('refused-000001.jsonl', refusedLine({ record: record('refused'), refused }));
  files.unreadable.add(segment(2)).add('refused-000001.jsonl');
  return files;
}

const outcomesOf = ({ ports }: JournalRig): string[] =>
  ports.usageRecords.map((one) => `${one.requestId} ${one.outcome}`).toSorted();

test('a file that can never be read keeps interrupted requests, and their segments', async () => {
  const { log, lines } = hearing();
  const rig = await JournalRig.start(log, damaged());
  await rig.live(30 * minuteMs);
  assert.equal(rig.recorded, 0, 'it may be read yet');
  await rig.serve(1);
  await rig.live(210 * minuteMs);
  assert.deepEqual(outcomesOf(rig), ['cut interrupted', 'ended interrupted', 'r0 completed']);
  const told = lines.map(({ message }) => message).filter((one) => /cannot|set aside/.test(one));
  assert.equal(told.length, 4, `each when it fails and when it is set aside: ${told.join('; ')}`);
  assert.equal(rig.journal.figures().setAside, 2);
  await rig.journal.stop();
  const left = [...rig.files.segments.keys()].toSorted();
  assert.equal(left.length, 2, left.join());
  assert.ok(left[0]?.startsWith(segment(2)) && left[1]?.startsWith('refused-000001.jsonl'));
  assert.ok(left.every((name) => name.endsWith('.unreadable')));
  // Somebody has mended the disk, and does what the log says.
  for (const name of left) await rig.files.rename(name, name.replace(/\.\d+\.unreadable$/, ''));
  const next = await rig.restart();
  await next.live(6 * minuteMs);
  assert.ok(outcomesOf(next).includes('short completed'));
  assert.ok(outcomesOf(next).includes('refused completed'));
  await next.journal.stop();
  assert.equal(next.files.segments.size, 0);
});

test('a router without a descriptor to spare sets its whole journal aside', async () => {
  const files = damaged();
  files.unreadable.clear();
  files.readFault = 'EMFILE';
  const rig = await JournalRig.start(undefined, files);
  await rig.live(240 * minuteMs);
  files.readFault = undefined;
  await rig.live(6 * minuteMs);
  const right = ['ended completed', 'refused completed', 'short completed'];
  assert.deepEqual(
    right.filter((one) => !outcomesOf(rig).includes(one)),
    [],
  );
});

test('a disk that was away for hours has lost what it holds', async () => {
  const files = damaged();
  const rename = files.rename.bind(files);
  files.rename = () => Promise.reject(new Error('EIO'));
  const rig = await JournalRig.start(undefined, files);
  await rig.live(240 * minuteMs);
  assert.equal(rig.recorded, 0);
  files.unreadable.clear();
  files.rename = rename;
  await rig.live(6 * minuteMs);
  assert.equal(rig.recorded, 4);
});

test('on a real disk: what is no file keeps a server from starting, or is kept', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'xim-unreadable-'));
  const at = (name: string): string => path.join(folder, name);
  try {
    await writeFile(at(segment(1)), cut('cut'));
    await mkdir(at(segment(2)));
    await symlink(segment(3), at(segment(3)));
    const clock = new FakeClock();
    const ports = new MemoryPorts();
    const files = diskJournalFiles(folder);
    const random = seededRandom(1);
    const journal = new Journal({ files, sink: ports.usage, clock, random, log: silentLogger });
    await journal.start();
    const live = async (): Promise<boolean> => {
      await clock.advanceAsync(minuteMs);
      return ports.usageRecords.length > 0;
    };
    await until(live, { what: 'what was cut off, which waits for what can never be read' });
    await journal.stop();
    const left = (await readdir(folder)).toSorted();
    assert.equal(left.length, 2, left.join());
    assert.ok(left.every((name) => name.endsWith('.unreadable')));
  } finally {
    await rm(folder, { recursive: true });
  }
});
