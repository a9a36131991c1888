import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemClock } from '../../lib/clock.ts';
import { systemRandom } from '../../lib/random.ts';
import { acquireLock, isLocked, type HeldLock } from './fileLock.ts';
import { livenessOf, processIdentity } from './processIdentity.ts';

const never = new AbortController().signal;
const options = { clock: systemClock, random: systemRandom, signal: never };

async function lockPathOf(context: TestContext): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'xim-lock-'));
  context.after(() => rm(dir, { recursive: true, force: true }));
  return path.join(dir, 'lock');
}

test('two hold one lock', async (context) => {
  const lockPath = await lockPathOf(context);
  let holders = 0;
  let most = 0;
  const takeTurn = async (): Promise<void> => {
    const lock = (await acquireLock(lockPath, options)) as HeldLock;
    holders += 1;
    most = Math.max(most, holders);
    await nextTurn();
    holders -= 1;
    await lock.release();
    await lock.release();
  };
  await Promise.all(Array.from({ length: 8 }, takeTurn));
  assert.equal(most, 1);
  assert.equal(await isLocked(lockPath), false);
});

test('a lock that cannot be had blocks a wait that was called off', async (context) => {
  const lockPath = await lockPathOf(context);
  const held = (await acquireLock(lockPath, options)) as HeldLock;
  const cancel = new AbortController();
  const waiting = acquireLock(lockPath, {
    ...options,
    signal: cancel.signal,
    onWait: () => cancel.abort(),
  });
  assert.equal(await waiting, undefined);
  assert.equal(await isLocked(lockPath), true);
  await held.release();
});

test('a dead owner keeps a lock for ever', async (context) => {
  const lockPath = await lockPathOf(context);
  const mine = processIdentity(systemRandom).name;
  assert.equal(livenessOf(mine), 'alive');
  const [scope, pid, , nonce] = mine.split('.');
  // Our own pid with another start time: the pid was given out again.
  const dead = [scope, pid, '1', nonce].join('.');
  assert.equal(livenessOf(dead), 'dead');
  await mkdir(lockPath);
  await writeFile(path.join(lockPath, dead), '');
  const lock = await acquireLock(lockPath, options);
  assert.notEqual(lock, undefined);
  assert.equal((await readdir(lockPath)).includes(dead), false);
  await lock?.release();
});

test('a killed owner keeps its lock while its parent does not reap it', async (context) => {
  if (!existsSync('/proc/self/stat')) return context.skip('no /proc on this system');
  const lockPath = await lockPathOf(context);
  // The shell becomes `sleep` before its child ends, and never asks how that one did.
  const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 60']);
  context.after(() => parent.kill('SIGKILL'));
  const pid = String(await once(parent.stdout, 'data')).trim();
  const [scope, , , nonce] = processIdentity(systemRandom).name.split('.');
  const zombie = [scope, pid, '0', nonce].join('.');
  await mkdir(lockPath);
  await writeFile(path.join(lockPath, zombie), '');
  while (!(await readFile(`/proc/${pid}/stat`, 'utf8')).includes(') Z ')) await nextTurn();
  assert.equal(livenessOf(zombie), 'dead');
  const lock = await acquireLock(lockPath, options);
  assert.notEqual(lock, undefined);
  await lock?.release();
});

test('a living owner in another container loses its lock', async (context) => {
  const lockPath = await lockPathOf(context);
  const foreign = 'elsewhere.1.1.x';
  assert.equal(livenessOf(foreign), 'unknown');
  await mkdir(lockPath);
  const file = path.join(lockPath, foreign);
  await writeFile(file, '');
  const cancel = new AbortController();
  const impatient = { ...options, signal: cancel.signal, onWait: () => cancel.abort() };
  assert.equal(await acquireLock(lockPath, impatient), undefined);
  const longAgo = Date.now() / 1000 - 3600;
  await utimes(file, longAgo, longAgo);
  const lock = await acquireLock(lockPath, options);
  assert.notEqual(lock, undefined);
  await lock?.release();
});
