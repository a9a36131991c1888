/**
 * What an agent remembers: its key, and who it is to which server. One JSON file, 0600, in a
 * directory that is its owner's alone (0700), replaced as a whole: temporary file, fsync, rename,
 * fsync of the directory. A crash leaves the old file or the new one.
 *
 * Invariants
 * F1 A rotation token is on disk before it is used for anything.
 * F2 The key pair is on disk before the server hears of it.
 */
import { chmod, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Random } from '../../lib/random.ts';
import { acquireLock, lockFileName, type StateLock } from './stateLock.ts';

export const stateFileName = 'agent.json';

export const enrolmentSchema = z.object({
  agentId: z.uuid(),
  workerId: z.string(),
  name: z.string(),
  region: z.string(),
  /** As the server named it; may be relative to the server's address. */
  linkUrl: z.string(),
  /** The newest one that is known. An older one is of no use: the server remembers both. */
  rotationToken: z.string().min(1),
});
export type Enrolment = z.infer<typeof enrolmentSchema>;

const stateSchema = z.object({
  version: z.literal(1),
  /** PKCS#8 PEM. */
  privateKey: z.string(),
  /** The server that the enrolment belongs to, as it was reached last. */
  server: z.object({ url: z.string(), pin: z.string().nullable() }).nullable(),
  enrolment: enrolmentSchema.nullable(),
});
export type AgentState = z.infer<typeof stateSchema>;

export type StateOutcome =
  | { kind: 'open'; store: StateStore }
  /** A plain sentence; the agent cannot start. */
  | { kind: 'refused'; message: string };

/** The state directory, locked. */
export interface StateStore {
  readonly directory: string;
  /** As it was read or saved last; undefined before the first save. */
  current(): AgentState | undefined;
  /** Durable when it resolves `saved`. `lost`: another agent holds the directory now. */
  save(state: AgentState): Promise<'saved' | 'lost'>;
  close(): Promise<void>;
}

/** Makes or opens the state directory and takes its lock. Throws on errors of the file system. */
export async function openState(options: {
  directory: string;
  random: Random;
}): Promise<StateOutcome> {
  const directory = path.resolve(options.directory);
  const unfit = await prepareDirectory(directory);
  if (unfit !== undefined) return { kind: 'refused', message: unfit };
  const locked = await acquireLock({ directory, random: options.random });
  if (locked.kind === 'busy') return { kind: 'refused', message: locked.message };
  const read = await readState(path.join(directory, stateFileName));
  if (read.kind === 'damaged') {
    await locked.lock.release();
    return { kind: 'refused', message: read.message };
  }
  return { kind: 'open', store: storeOf({ directory, lock: locked.lock, state: read.state }) };
}

function storeOf(parts: {
  directory: string;
  lock: StateLock;
  state: AgentState | undefined;
}): StateStore {
  const { directory, lock } = parts;
  let current = parts.state;
  let saving: Promise<unknown> = Promise.resolve();
  const save = async (state: AgentState): Promise<'saved' | 'lost'> => {
    if (!(await lock.held())) return 'lost';
    await replaceFile(path.join(directory, stateFileName), JSON.stringify(state, null, 2));
    current = state;
    return 'saved';
  };
  return {
    directory,
    current: () => current,
    save(state) {
      // One after the other: two renames of one temporary name would mix.
      const result = saving.then(() => save(state));
      saving = result.catch(() => undefined);
      return result;
    },
    async close() {
      await saving;
      await lock.release();
    },
  };
}

/** Undefined when the directory is fit for secrets, otherwise a sentence. */
async function prepareDirectory(directory: string): Promise<string | undefined> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { mode, uid } = await stat(directory);
    if ((mode & 0o077) === 0) return undefined;
    const inside = await readdir(directory);
    const ours =
      inside.length === 0 || [stateFileName, lockFileName].some((f) => inside.includes(f));
    if (ours && uid === process.getuid?.()) {
      await chmod(directory, 0o700);
      return undefined;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return `The state directory ${directory} cannot be used (${code}): give another with --state-dir.`;
  }
  return (
    `The state directory ${directory} can be read by others and holds other things: ` +
    'give one of its own with --state-dir, or close it with chmod 700.'
  );
}

type ReadOutcome =
  | { kind: 'read'; state: AgentState | undefined }
  | { kind: 'damaged'; message: string };

async function readState(file: string): Promise<ReadOutcome> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { kind: 'read', state: undefined };
    return { kind: 'damaged', message: `The state file ${file} cannot be read (${code}).` };
  }
  const parsed = stateSchema.safeParse(parseJson(text));
  if (parsed.success) return { kind: 'read', state: parsed.data };
  const message =
    `The state file ${file} is damaged. Move it away and start again with a new join key; ` +
    'the old agent can then be removed on the agents page.';
  return { kind: 'damaged', message };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.new`;
  try {
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  const directory = await open(path.dirname(file), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
