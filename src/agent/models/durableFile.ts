/** Files that are whole or absent after a crash: written beside, synced, renamed. */
import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import type { Random } from '../../lib/random.ts';
import { errorCode } from './fetchFailure.ts';
import { processIdentity } from './processIdentity.ts';

/** Writes `value` as JSON to `file` (0600). Rejects with the error of the file system. */
export async function writeJsonDurably(
  file: string,
  value: unknown,
  random: Random,
): Promise<void> {
  // Named after this process, so that the remains of a dead one can be told.
  const beside = `${file}.${processIdentity(random).name}.tmp`;
  const handle = await open(beside, 'wx', 0o600);
  try {
    await handle.writeFile(JSON.stringify(value));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await renameDurably(beside, file);
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
