import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { openDataDirectory } from './dataDirectory.ts';
import { StartupError } from '../process/startupError.ts';

const base = mkdtempSync(path.join(os.tmpdir(), 'xim-data-'));
after(() => rmSync(base, { recursive: true, force: true }));
const module = path.join(import.meta.dirname, 'dataDirectory.ts');

function refusal(directory: string): string {
  try {
    openDataDirectory(directory).release();
  } catch (error) {
    assert.ok(error instanceof StartupError && error.kind === 'data_directory');
    return error.message;
  }
  return assert.fail('opened');
}

test('a data directory that others can read (D1)', () => {
  const made = path.join(base, 'made', 'deep');
  openDataDirectory(made).release();
  assert.equal(statSync(made).mode & 0o777, 0o700);
  const open = path.join(base, 'open');
  mkdirSync(open, { mode: 0o755 });
  openDataDirectory(open).release();
  assert.equal(statSync(open).mode & 0o777, 0o700);
});

test('a directory of others that is shut to them because it was named by mistake (D1)', () => {
  const others = path.join(base, 'others');
  mkdirSync(path.join(others, 'work'), { recursive: true, mode: 0o755 });
  chmodSync(others, 0o755);
  assert.match(refusal(others), /holds other things.*--data-dir DIR/);
  assert.equal(statSync(others).mode & 0o777, 0o755);
  assert.deepEqual(readdirSync(others), ['work']);
  // An earlier start's is closed again, and a new disk is as good as empty.
  writeFileSync(path.join(others, 'secrets.key'), '');
  openDataDirectory(others).release();
  assert.equal(statSync(others).mode & 0o777, 0o700);
  const disk = path.join(base, 'disk');
  mkdirSync(path.join(disk, 'lost+found'), { recursive: true });
  openDataDirectory(disk).release();
});

test('a place where nothing can be made, tried for ever', () => {
  assert.match(refusal('/proc/x'), /cannot be used: nothing can be made there\. Choose another/);
  assert.match(refusal('/proc/x/y'), /nothing can be made there/);
  symlinkSync(path.join(base, 'nowhere'), path.join(base, 'link'));
  assert.match(refusal(path.join(base, 'link')), /a link that leads nowhere/);
  assert.match(refusal(path.join(base, 'link', 'x')), /a link that leads nowhere/);
  assert.match(refusal(path.join(base, 'x'.repeat(300))), /the name is too long/);
});

test('secrets that a killed server was about to write and nobody removes', () => {
  const directory = path.join(base, 'unfinished');
  mkdirSync(directory, { mode: 0o700 });
  const secrets = ['credentials.json.42.tmp', 'credentials.json.pending.42.tmp'];
  for (const name of [...secrets, 'secrets.key.0a1b.tmp']) {
    writeFileSync(path.join(directory, name), 'secret');
  }
  const kept = ['credentials.json', 'credentials.json.old', 'credentials.json.pending', 'x.tmp'];
  for (const name of kept) writeFileSync(path.join(directory, name), '');
  openDataDirectory(directory).release();
  assert.deepEqual(readdirSync(directory).toSorted(), [...kept, 'lock'].toSorted());
});

test('a lock that is none, told as a code', () => {
  const damaged = path.join(base, 'damaged');
  mkdirSync(damaged, { mode: 0o700 });
  writeFileSync(path.join(damaged, 'lock'), 'nothing that SQLite knows '.repeat(8));
  assert.match(refusal(damaged), /damaged\/lock is not a lock of this program\. Remove it/);
  rmSync(path.join(damaged, 'lock'));
  mkdirSync(path.join(damaged, 'lock'));
  assert.match(refusal(damaged), /its file lock cannot be taken/);
});

test('a path through a file, without a sentence on what to do', () => {
  writeFileSync(path.join(base, 'file'), '');
  assert.match(refusal(path.join(base, 'file')), /cannot be used: it is a file, .*Choose another/);
  assert.match(refusal(path.join(base, 'file', 'x')), /a part of the path is a file/);
});

test('a directory that this user may not write', (t) => {
  const closed = path.join(base, 'closed');
  mkdirSync(closed);
  chmodSync(closed, 0o500);
  if (process.getuid?.() !== 0) {
    assert.match(refusal(path.join(closed, 'x')), /this user may not write there/);
    return;
  }
  // Root may write everywhere: ask as somebody else, who must be able to read the sources.
  chmodSync(base, 0o755);
  const program =
    `process.setgid(65534);process.setuid(65534);` +
    `const m=await import(${JSON.stringify(module)});` +
    `try{m.openDataDirectory(${JSON.stringify(path.join(closed, 'x'))})}` +
    `catch(e){console.log(e.kind,e.message)}`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  if (stdout === '' && /EACCES.*dataDirectory/.test(stderr)) {
    return t.skip('the sources cannot be read by another user');
  }
  assert.match(stdout, /^data_directory .*this user may not write there/, stderr);
});

test('two servers on one directory, or a lock that outlives a kill -9 (D2)', async () => {
  const shared = path.join(base, 'shared');
  const program =
    `(await import(${JSON.stringify(module)})).openDataDirectory(${JSON.stringify(shared)});` +
    `console.log('held');setInterval(()=>{},1000)`;
  const holder = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  assert.match(refusal(shared), /Another server already uses the data directory/);
  const gone = new Promise((resolve) => holder.once('exit', resolve));
  holder.kill('SIGKILL');
  await gone;
  const mine = openDataDirectory(shared);
  assert.match(refusal(shared), /Another server/);
  mine.release();
  openDataDirectory(shared).release();
});
