/** Files that are whole or absent after a crash: written beside, synced, renamed. */
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Random } from '../../lib/random.ts';
import { errorCode } from './fetchFailure.ts';
import { livenessOf, processIdentity } from './processIdentity.ts';

/**
 * Writes `value` as JSON to `file` (0600). Rejects with the error of the file system; nothing is
 * left behind then.
 */
export async function writeJsonDurably(
  file: string,
  value: unknown,
  random: Random,
): Promise<void> {
  // Named after this process, so that the remains of a dead one can be told.
  const beside = `${file}.${processIdentity(random).name}.tmp`;
  try {
    await writeSynced(beside, JSON.stringify(value));
    await renameDurably(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what processes that were killed while they wrote left in a directory. */
export async function sweepUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const [, owner] = /\.json\.(.+)\.tmp$/.exec(name) ?? [];
    if (owner === undefined || livenessOf(owner) !== 'dead') continue;
    await rm(path.join(directory, name), { force: true });
  }
}

/** Reads JSON; undefined when there is no such file or it is not JSON. */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Renames and syncs the directory, so that the new name outlives a power cut. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  const directory = await open(path.dirname(to), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
