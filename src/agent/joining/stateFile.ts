/**
 * What an agent remembers: its key, and who it is to which server. One JSON file, 0600, in a
 * directory that is its owner's alone (0700), replaced as a whole: temporary file, fsync, rename,
 * fsync of the directory. A crash leaves the old file or the new one.
 *
 * Invariants
 * F1 A rotation token is on disk before it is used for anything.
 * F2 The key pair is on disk before the server hears of it.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Clock } from '../../lib/clock.ts';
import { directoryProblem } from '../../lib/files/makeDirectory.ts';
import { openPrivateDirectory } from '../../lib/files/privateDirectory.ts';
import type { Random } from '../../lib/random.ts';
import { sweepUnfinished, writeJsonDurably } from '../models/durableFile.ts';
import type { HeldLock } from '../models/fileLock.ts';
import { parseObject } from '../serving/jsonValue.ts';
import { lockName, lockState } from './stateLock.ts';

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
  /**
   * SHA-256 of the join key that made it, hex: the same key does not enrol a removed agent again.
   */
  joinKeyHash: z.string(),
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
  /** A plain sentence; the agent cannot start, now. */
  | { kind: 'unusable'; message: string };

/** The state directory, locked. */
export interface StateStore {
  readonly directory: string;
  /** As it was read or saved last; undefined before the first save. */
  current(): AgentState | undefined;
  /** Durable when it resolves. Rejects with the error of the file system. */
  save(state: AgentState): Promise<void>;
  close(): Promise<void>;
}

/** Makes or opens the state directory and takes its lock. */
export async function openState(options: {
  directory: string;
  clock: Clock;
  random: Random;
}): Promise<StateOutcome> {
  const { clock, random } = options;
  const directory = path.resolve(options.directory);
  const unfit = prepareDirectory(directory);
  if (unfit !== undefined) return { kind: 'unusable', message: unfit };
  const locked = await lockState({ directory, clock, random }).catch((error: unknown) => {
    return { kind: 'busy', message: unusable(directory, error) } as const;
  });
  if (locked.kind === 'busy') return { kind: 'unusable', message: locked.message };
  const { lock } = locked;
  await sweepUnfinished(directory);
  const read = await readState(path.join(directory, stateFileName));
  if (read.kind === 'damaged') {
    await lock.release();
    return { kind: 'unusable', message: read.message };
  }
  return { kind: 'open', store: storeOf({ directory, lock, random, state: read.state }) };
}

function storeOf(parts: {
  directory: string;
  lock: HeldLock;
  random: Random;
  state: AgentState | undefined;
}): StateStore {
  const { directory, lock, random } = parts;
  let current = parts.state;
  let saving: Promise<unknown> = Promise.resolve();
  const save = async (state: AgentState): Promise<void> => {
    await writeJsonDurably(path.join(directory, stateFileName), state, random);
    current = state;
  };
  return {
    directory,
    current: () => current,
    save(state) {
      // One after the other, so that the last word is the last file.
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
function prepareDirectory(directory: string): string | undefined {
  try {
    const signs = [stateFileName, lockName];
    if (openPrivateDirectory({ directory, signs }) === 'private') return undefined;
  } catch (error) {
    return unusable(directory, error);
  }
  return (
    `The state directory ${directory} can be read by others and holds other things: ` +
    'give one of its own with --state-dir, or close it with chmod 700.'
  );
}

/** The sentence for an error of the file system; any other error is a bug. */
function unusable(directory: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  const why = directoryProblem(error);
  return `The state directory ${directory} cannot be used: ${why}. Give another with --state-dir.`;
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
  const parsed = stateSchema.safeParse(parseObject(text));
  if (parsed.success) return { kind: 'read', state: parsed.data };
  const message =
    `The state file ${file} is damaged. Move it away and start again with a new join key; ` +
    'the old agent can then be removed on the agents page.';
  return { kind: 'damaged', message };
}
