/**
 * One agent per state directory: two would rotate each other's tokens, which the server must take
 * for a theft.
 *
 * The lock is a file made with O_EXCL that names its holder: process id, the time at which that
 * process started (ids are used again) and the machine's boot. A holder that is gone leaves a stale
 * lock, which the next agent takes over without help.
 *
 * Invariants
 * K1 `acquireLock` gives the lock to at most one living process of a machine.
 * K2 `held()` is asked before the state is written, so that a lock lost by accident (somebody
 *    deleted the file) ends the agent and not its credentials.
 */
import { link, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Random } from '../../lib/random.ts';

export const lockFileName = 'agent.lock';

export interface StateLock {
  /** Whether the file still names this holder (K2). */
  held(): Promise<boolean>;
  /** Idempotent. */
  release(): Promise<void>;
}

export type LockOutcome =
  | { kind: 'acquired'; lock: StateLock }
  | { kind: 'busy'; pid: number; message: string };

interface Holder {
  pid: number;
  startedAt: string;
  boot: string;
  nonce: string;
}

/** Takes the lock of `directory`, which exists. Throws only on errors of the file system. */
export async function acquireLock(options: {
  directory: string;
  random: Random;
}): Promise<LockOutcome> {
  const file = path.join(options.directory, lockFileName);
  const self: Holder = {
    pid: process.pid,
    startedAt: (await startedAt(process.pid)) ?? '',
    boot: await bootId(),
    nonce: options.random.bytes(12).toString('hex'),
  };
  const own = `${file}.${self.nonce}`;
  await writeFile(own, JSON.stringify(self), { mode: 0o600, flag: 'wx' });
  try {
    for (;;) {
      // A hard link fails when the name is taken, and never shows a half-written file.
      if (await linked(own, file)) return { kind: 'acquired', lock: lockOf({ file, self }) };
      const holder = await readHolder(file);
      if (holder !== undefined && (await alive(holder))) return busy(holder.pid, options.directory);
      await removeStale({ file, expected: holder, aside: `${own}.stale` });
    }
  } finally {
    await unlink(own);
  }
}

function busy(pid: number, directory: string): LockOutcome {
  const message =
    `Another agent (process ${pid}) already runs with the state directory ${directory}. ` +
    'Stop it first, or give this one a directory of its own with --state-dir.';
  return { kind: 'busy', pid, message };
}

function lockOf({ file, self }: { file: string; self: Holder }): StateLock {
  const held = async (): Promise<boolean> => (await readHolder(file))?.nonce === self.nonce;
  let released = false;
  return {
    held,
    async release() {
      if (released) return;
      released = true;
      if (await held()) await unlink(file);
    },
  };
}

/**
 * Takes a dead holder's file away. Between reading and renaming another agent may have done the
 * same and locked: then its file was moved, and is put back unless a third one was quicker, whom
 * `held` (K2) tells from the rightful one.
 */
async function removeStale(options: {
  file: string;
  expected: Holder | undefined;
  aside: string;
}): Promise<void> {
  const { file, expected, aside } = options;
  const moved = await rename(file, aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  if (!moved) return;
  const found = await readHolder(aside);
  if (found !== undefined && found.nonce !== expected?.nonce) await linked(aside, file);
  await unlink(aside);
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The holder that the file names; undefined when it is gone or unreadable, which nobody defends. */
async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    const value = JSON.parse(await readFile(file, 'utf8')) as Partial<Holder> | null;
    const { pid, startedAt: started, boot, nonce } = value ?? {};
    if (typeof pid !== 'number' || typeof nonce !== 'string') return undefined;
    return { pid, startedAt: String(started), boot: String(boot), nonce };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function alive(holder: Holder): Promise<boolean> {
  if (holder.boot !== (await bootId())) return false;
  const started = await startedAt(holder.pid);
  if (started !== undefined) return started === holder.startedAt;
  try {
    // No /proc (not Linux): the bare id has to do.
    process.kill(holder.pid, 0);
    return holder.startedAt === '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' && holder.startedAt === '';
  }
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot; undefined when there is no such process. */
async function startedAt(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The second field, the command's name, stands in parentheses and may hold spaces.
  const rest = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie (its parent has not looked yet) holds nothing any more.
  return rest === undefined || rest[0] === 'Z' ? undefined : rest[19];
}

async function bootId(): Promise<string> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => '',
  );
}
