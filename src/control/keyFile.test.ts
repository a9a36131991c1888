import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { silentLogger } from '../lib/log.ts';
import { systemRandom } from '../lib/random.ts';
import { mountSmallDisk } from '../testing/database/smallDisk.ts';
import { KeyFileError, readOrCreateKeyFile } from './keyFile.ts';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'xim-key-'));
  file = path.join(directory, 'secrets.key');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const open = (databaseExists = false, at = file) =>
  readOrCreateKeyFile({ file: at, databaseExists, random: systemRandom, log: silentLogger });

const failsWith = (kind: KeyFileError['kind']) => (error: unknown) =>
  error instanceof KeyFileError && error.kind === kind && error.message.includes('secrets.key');

test('a key is open to others, changes at the next start, or leaves litter', async () => {
  const key = await open();
  assert.equal(key.length, 32);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await open(true), key);
  assert.deepEqual(await readdir(directory), ['secrets.key']);
});

test('two first starts at once end with two keys', async () => {
  const keys = await Promise.all(Array.from({ length: 8 }, () => open()));
  for (const key of keys) assert.deepEqual(key, keys[0]);
  assert.deepEqual(await readdir(directory), ['secrets.key']);
});

test('a lost key file is replaced by one that opens nothing', async () => {
  await assert.rejects(open(true), failsWith('missing'));
  assert.deepEqual(await readdir(directory), []);
});

test('a cut-off key file is taken, or overwritten', async () => {
  await writeFile(file, 'c2hvcnQ=\n', { mode: 0o600 });
  await assert.rejects(open(), failsWith('malformed'));
  await writeFile(file, '', { mode: 0o600 });
  await assert.rejects(open(), failsWith('malformed'));
});

test('a key file that was opened to others stays so', async () => {
  const key = await open();
  await chmod(file, 0o644);
  assert.deepEqual(await open(true), key);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
});

test('a data directory that cannot be one gives an error that says nothing', async () => {
  const nowhere = path.join(directory, 'missing', 'secrets.key');
  await assert.rejects(open(false, nowhere), failsWith('not_writable'));
  await writeFile(file, 'x'.repeat(40));
  await assert.rejects(open(false, path.join(file, 'secrets.key')), failsWith('not_readable'));
});

test('a key on a full disk: half of one, or a code for a reason', async (t) => {
  const disk = mountSmallDisk(directory, { bytes: 64 * 1024 });
  if (disk.kind === 'missing') return t.skip(disk.reason);
  try {
    disk.fill({ leaveBytes: 0 });
    await assert.rejects(open(), /secrets\.key cannot be written: the disk is full$/);
    assert.deepEqual(await readdir(directory), ['ballast']);
    disk.makeRoom();
    assert.equal((await open()).length, 32);
  } finally {
    disk.remove();
  }
});
