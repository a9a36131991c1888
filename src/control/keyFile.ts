/**
 * `secrets.key`: 32 random bytes beside the database and never inside it, so that a copy of the
 * database opens nothing. Everything secret that the server must be able to read again hangs on it.
 *
 * Invariants
 * K1 The file is 0600 from its first byte, and under its final name it is whole and on disk.
 * K2 A key is made only where there was none; one that is there is never replaced.
 */
import { chmod, link, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from '../lib/log.ts';
import { directoryProblem } from '../lib/files/makeDirectory.ts';
import type { Random } from '../lib/random.ts';

const keyBytes = 32;

/** The key file is not usable; `message` says what to do. */
export class KeyFileError extends Error {
  readonly kind: 'missing' | 'malformed' | 'not_readable' | 'not_writable' | 'wrong_key';

  constructor(kind: KeyFileError['kind'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'KeyFileError';
    this.kind = kind;
  }
}

/**
 * Reads the key, or makes it where there is none yet. With `databaseExists` a missing file is an
 * error: a new key would open nothing that the database holds. Rejects with a `KeyFileError`.
 */
export async function readOrCreateKeyFile(options: {
  file: string;
  databaseExists: boolean;
  random: Random;
  log: Logger;
}): Promise<Buffer> {
  const { file, databaseExists, random, log } = options;
  const present = await readKey(file, log);
  if (present !== undefined) return present;
  if (databaseExists) {
    const restore = 'put the file back from your backup, or start with an empty data directory';
    throw new KeyFileError('missing', `${file} is missing and the database needs it: ${restore}`);
  }
  await createKey(file, random);
  // Read back what is there: another process may have been quicker (K2).
  const created = await readKey(file, log);
  if (created === undefined)
    throw new KeyFileError('missing', `${file} vanished after its creation`);
  return created;
}

async function readKey(file: string, log: Logger): Promise<Buffer | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
    await keepPrivate(file, log);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new KeyFileError('not_readable', `${file} cannot be read (${codeOf(error)})`, error);
  }
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length === keyBytes) return key;
  const advice = 'restore it from your backup';
  throw new KeyFileError('malformed', `${file} does not hold a ${keyBytes}-byte key: ${advice}`);
}

async function keepPrivate(file: string, log: Logger): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o077) === 0) return;
  log.warn({ file, mode: (mode & 0o777).toString(8) }, 'key file was open to others, now 0600');
  await chmod(file, 0o600);
}

/** K1: whole and synced under another name first; K2: `link` fails where the name is taken. */
async function createKey(file: string, random: Random): Promise<void> {
  const temporary = `${file}.${random.bytes(8).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(`${random.bytes(keyBytes).toString('base64')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await giveName({ temporary, file });
    await syncDirectory(path.dirname(file));
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    const why = directoryProblem(error);
    throw new KeyFileError('not_writable', `${file} cannot be written: ${why}`, error);
  } finally {
    await unlink(temporary).catch(() => {}); // It may never have come to be.
  }
}

async function giveName({ temporary, file }: { temporary: string; file: string }): Promise<void> {
  try {
    await link(temporary, file);
  } catch (error) {
    // File systems without hard links: there K2 rests on the check that was made before.
    if (!['EPERM', 'ENOTSUP', 'ENOSYS'].includes(codeOf(error))) throw error;
    await rename(temporary, file);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
