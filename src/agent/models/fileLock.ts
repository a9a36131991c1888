/**
 * A lock between processes, made of directories because renaming one onto another is atomic and
 * fails while the target holds a file.
 *
 * `<lock>/` holds one file named after its owner. To take the lock, a directory with one's own file
 * is renamed onto it: that works when the lock is absent or empty, and for one process only. A dead
 * owner is put away by unlinking *its* file, whose name nobody else ever had, so a slow breaker
 * cannot remove a new owner's.
 *
 * Invariants
 * K1 At most one living process holds a lock (owners of other containers count as living while they
 *    touch their file).
 * K2 A crash of the owner frees the lock: at once on the same machine, after `lockSilentMs`
 * elsewhere.
 */
import { mkdir, readdir, rename, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { sleep, type Clock, type Timer } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { lockPollMs, lockSilentMs, lockTouchMs } from '../limits.ts';
import { errorCode } from './fetchFailure.ts';
import { livenessOf, processIdentity } from './processIdentity.ts';

export interface HeldLock {
  /** Idempotent. */
  release(): Promise<void>;
}

export interface LockOptions {
  clock: Clock;
  random: Random;
  signal: AbortSignal;
  /** Called at every look while somebody else holds it. */
  onWait?: () => void;
}

/** Takes the lock at `lockPath`, waiting for it. Undefined when the signal aborted first. */
export async function acquireLock(
  lockPath: string,
  options: LockOptions,
): Promise<HeldLock | undefined> {
  const { clock, random, signal } = options;
  while (!signal.aborted) {
    const owner = processIdentity(random).name;
    if (await tryTake(lockPath, owner, clock)) return hold(path.join(lockPath, owner), clock);
    if (await putAwayDead(lockPath, clock)) continue;
    options.onWait?.();
    await sleep(clock, lockPollMs, signal);
  }
  return undefined;
}

async function tryTake(lockPath: string, owner: string, clock: Clock): Promise<boolean> {
  const own = `${lockPath}.${owner}`;
  await mkdir(own, { recursive: true, mode: 0o700 });
  await writeFile(path.join(own, owner), '');
  await touch(path.join(own, owner), clock);
  try {
    await rename(own, lockPath);
    return true;
  } catch (error) {
    await rm(own, { recursive: true, force: true });
    const code = errorCode(error);
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether a living process holds the lock. */
export async function isLocked(lockPath: string): Promise<boolean> {
  const owners = await namesIn(lockPath);
  return owners.some((owner) => livenessOf(owner) !== 'dead');
}

/** Removes owners that are gone. True when the lock may be free now. */
async function putAwayDead(lockPath: string, clock: Clock): Promise<boolean> {
  let freed = true;
  for (const owner of await namesIn(lockPath)) {
    const file = path.join(lockPath, owner);
    if (await isDead(file, owner, clock)) await unlinkQuietly(file);
    else freed = false;
  }
  return freed;
}

async function isDead(file: string, owner: string, clock: Clock): Promise<boolean> {
  const liveness = livenessOf(owner);
  if (liveness !== 'unknown') return liveness === 'dead';
  try {
    return clock.now() - (await stat(file)).mtimeMs > lockSilentMs;
  } catch {
    return true;
  }
}

function hold(file: string, clock: Clock): HeldLock {
  let timer: Timer | undefined;
  let released = false;
  const beat = (): void => {
    timer = clock.setTimer(lockTouchMs, () => {
      // A touch that fails shows as silence, which is what it is.
      void touch(file, clock).then(() => (released ? undefined : beat()));
    });
  };
  beat();
  return {
    async release() {
      if (released) return;
      released = true;
      timer?.cancel();
      await unlinkQuietly(file);
    },
  };
}

async function touch(file: string, clock: Clock): Promise<void> {
  const seconds = clock.now() / 1000;
  await utimes(file, seconds, seconds).catch(() => undefined);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function unlinkQuietly(file: string): Promise<void> {
  await unlink(file).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
  });
}
