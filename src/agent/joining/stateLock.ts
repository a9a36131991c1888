/**
 * One agent per state directory: two would rotate each other's tokens, which the server must take
 * for a theft. The lock is the model cache's (`models/fileLock.ts`): one living process holds it,
 * and what a killed one left is taken over without help. Here nobody waits: a held lock is an
 * answer.
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { acquireLock, type HeldLock } from '../models/fileLock.ts';
import { livenessOf } from '../models/processIdentity.ts';

export const lockName = 'agent.lock';

export type StateLockOutcome =
  | { kind: 'held'; lock: HeldLock }
  /** A plain sentence that names the other process. */
  | { kind: 'busy'; message: string };

/** Takes the lock of `directory`, which exists. Rejects only on errors of the file system. */
export async function lockState(options: {
  directory: string;
  clock: Clock;
  random: Random;
}): Promise<StateLockOutcome> {
  const { directory, clock, random } = options;
  const lockPath = path.join(directory, lockName);
  await sweepAttempts(directory);
  const patience = new AbortController();
  const lock = await acquireLock(lockPath, {
    clock,
    random,
    signal: patience.signal,
    onWait: () => patience.abort(),
  });
  if (lock !== undefined) return { kind: 'held', lock };
  const message =
    `Another agent (process ${await holderPid(lockPath)}) already runs with the state directory ` +
    `${directory}. Stop it first, or give this one a directory of its own with --state-dir.`;
  return { kind: 'busy', message };
}

/** Removes what processes that were killed while they took the lock left beside it. */
async function sweepAttempts(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(`${lockName}.`)) continue;
    if (livenessOf(name.slice(lockName.length + 1)) !== 'dead') continue;
    await rm(path.join(directory, name), { recursive: true, force: true });
  }
}

/** The owner's file is named `<scope>.<pid>.<start>.<nonce>` (`models/processIdentity.ts`). */
async function holderPid(lockPath: string): Promise<string> {
  const [owner] = await readdir(lockPath).catch(() => []);
  return owner?.split('.')[1] ?? 'unknown';
}
