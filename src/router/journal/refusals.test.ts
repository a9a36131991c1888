/** Records that the store refuses, and that the disk does not take either (E1, E2). */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { silentLogger, type LogFields } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { until } from '../../testing/processes/processes.ts';
import { hearing, JournalRig, record } from '../../testing/router/journalRig.ts';
import { MemoryPorts, settle } from '../../testing/router/routerHarness.ts';
import type { UsageRecord } from '../ports.ts';
import { Journal } from './journal.ts';
import { diskJournalFiles } from './journalFiles.ts';

const minuteMs = 60_000;

/** The disk takes segments, and no files of refused records; `heal` ends that. */
function takeNoRefused({ files }: JournalRig): { heal: () => void } {
  const extend = files.extend.bind(files);
  files.extend = () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
  return { heal: () => (files.extend = extend) };
}

/** Requests whose records stand whole in the log. */
const namedIn = (lines: readonly { fields: LogFields }[]): string[] =>
  lines.flatMap(({ fields }) => {
    const one = fields['record'] as UsageRecord | undefined;
    return one === undefined ? [] : [one.requestId];
  });

test('refused records that no disk takes stop all others once memory is full of them', async () => {
  const { log, lines } = hearing();
  const rig = await JournalRig.start(log);
  const disk = takeNoRefused(rig);
  await rig.serve(1);
  await rig.refuse(12_000);
  await rig.serve(100);
  await rig.live(5 * minuteMs);
  assert.equal(rig.recorded, 101, 'others are held up');
  const { refused, unkept, givenUp, state } = rig.journal.figures();
  assert.deepEqual([refused, unkept, givenUp, state], [0, 10_000, 2000, 'ok']);
  const named = namedIn(lines);
  assert.deepEqual([named.length, new Set(named).size], [2000, 2000], 'whole, once, in the log');
  assert.equal(lines.length - named.length, 1, 'it is said once that they cannot be kept');
  disk.heal();
  await rig.live(minuteMs);
  const healed = rig.journal.figures();
  assert.deepEqual([healed.refused, healed.unkept], [10_000, 0]);
  rig.ports.unfit.clear();
  await rig.live(6 * minuteMs);
  assert.equal(rig.recorded, 10_101);
  await rig.journal.stop();
  assert.equal(rig.files.segments.size, 0);
});

test('refused records fill the memory for lines of a full disk, and all are refused', async () => {
  const rig = await JournalRig.start();
  await rig.serve(1);
  rig.files.fault = 'ENOSPC';
  for (let part = 0; part < 24; part += 1) {
    await rig.serve(10);
    await rig.refuse(500);
    assert.ok(rig.journal.accepting(), `all are refused after ${rig.sent}`);
  }
  await rig.live(minuteMs);
  assert.equal(rig.recorded, 241);
  rig.files.fault = undefined;
  await rig.live(minuteMs);
  rig.ports.unfit.clear();
  await rig.live(6 * minuteMs);
  const { givenUp } = rig.journal.figures();
  assert.equal(rig.recorded + givenUp, rig.sent, 'lost without a word');
});

test('a store that took nothing for long is never asked whether it takes others', async () => {
  const rig = await JournalRig.start();
  takeNoRefused(rig);
  // More than fits into all of memory: the others come after those that lie in segments.
  await rig.refuse(31_000);
  await rig.live(10 * minuteMs);
  assert.equal(rig.journal.figures().givenUp, 0, 'of a store that may refuse everything');
  await rig.serve(100);
  await rig.live(5 * minuteMs);
  assert.equal(rig.recorded, 100);
  assert.equal(rig.journal.figures().givenUp, 21_000);
});

test('a stop on a full disk loses what is refused without a word', async () => {
  const { log, lines } = hearing();
  const rig = await JournalRig.start(log);
  await rig.serve(1);
  rig.files.fault = 'ENOSPC';
  await rig.refuse(300);
  await rig.journal.stop();
  assert.equal(new Set(namedIn(lines)).size, 300);
});

test('on a real disk: a folder that takes no files stops all others', async () => {
  const parent = await mkdtemp(path.join(tmpdir(), 'xim-refusals-'));
  const folder = path.join(parent, 'journal');
  const clock = new FakeClock();
  const ports = new MemoryPorts();
  const files = diskJournalFiles(folder);
  const options = { files, sink: ports.usage, clock, random: seededRandom(1), log: silentLogger };
  const journal = new Journal(options);
  const serve = async (ids: readonly string[]): Promise<void> => {
    for (const id of ids) journal.end(record(id));
    await settle();
  };
  const live = (isSo: () => boolean, what: string): Promise<void> =>
    until(() => clock.advanceAsync(1000).then(isSo), { what });
  try {
    await journal.start();
    await serve(['first']);
    await live(() => ports.usageRecords.length === 1, 'a segment that is open');
    await rename(folder, path.join(parent, 'aside'));
    await writeFile(folder, 'not a folder');
    const refused = Array.from({ length: 10_500 }, (_, n) => `u${n}`);
    for (const id of refused) ports.unfit.add(id);
    for (let from = 0; from < refused.length; from += 500) {
      await serve(refused.slice(from, from + 500));
      await live(() => journal.figures().undelivered <= 10_000, `what comes behind ${from}`);
    }
    await serve(['other']);
    await live(() => ports.usageRecords.length === 2, 'others');
    await rm(folder);
    await live(() => journal.figures().refused === 10_000, 'them to be noted');
    await journal.stop();
    assert.deepEqual(
      (await readdir(folder)).filter((name) => !name.startsWith('refused-')),
      [],
    );
  } finally {
    await rm(parent, { recursive: true });
  }
});
