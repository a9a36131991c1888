/**
 * Contexts: servers that somebody signed in to, each a file of its own (0600) below
 * `$XDG_CONFIG_HOME/xim/contexts` (0700), and beside them the name of the one in use.
 *
 * Invariants
 * X1 What is in a context opens a server: nobody else can read it, and it is never printed.
 * X2 A file is there whole or not at all.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pinPattern } from '../../lib/network/pinnedTls.ts';
import { openPrivateDirectory } from '../../lib/files/privateDirectory.ts';
import { userConfigDirectory } from '../../lib/files/userDirectories.ts';
import { writeFileAtomic } from '../../lib/files/writeFileAtomic.ts';

export interface ServerContext {
  /** Where the server answers, without a slash at the end. */
  server: string;
  /** `sha256//…` of its private certificate, or null. */
  pin: string | null;
  auth: ContextAuth;
  /** Slug; null: none was chosen. */
  project: string | null;
  /** Slug of the endpoint to chat with; null: none was chosen. */
  endpoint: string | null;
  /** Keys of scope `inference` to chat with, by the project's slug. */
  chat_keys: Readonly<Record<string, string>>;
}

export type ContextAuth =
  /** A management key of one project. */
  | { kind: 'key'; key: string }
  /** A person; `cookie` is `name=value` as the server set it. */
  | { kind: 'session'; email: string; cookie: string; expires_at: string };

export type ContextRead =
  | { kind: 'ok'; context: ServerContext }
  | { kind: 'none' }
  /** `why` is the end of a sentence about the file. */
  | { kind: 'unusable'; file: string; why: string };

/** The credentials of the server on this machine; never a file of ours. */
export const localContextName = 'local';

const namePattern = /^[a-z0-9][a-z0-9_-]{0,62}[a-z0-9]?$/;

/** What is none is taken for the name of a file. */
export function isContextName(text: string): boolean {
  return namePattern.test(text);
}

export interface ContextStore {
  /** Names, in order. */
  list(): string[];
  read(name: string): ContextRead;
  /** Throws the system's error, as all that write. */
  write(name: string, context: ServerContext): void;
  /** Of what it is now; nothing, where it is gone. */
  update(name: string, change: (now: ServerContext) => ServerContext): void;
  remove(name: string): void;
  /** The one in use; undefined: the server's of this machine. */
  current(): string | undefined;
  use(name: string | undefined): void;
}

export function contextStore(env: Readonly<Record<string, string | undefined>>): ContextStore {
  const directory = userConfigDirectory('xim', env);
  const contexts = path.join(directory, 'contexts');
  const currentFile = path.join(directory, 'current');
  const fileOf = (name: string): string => path.join(contexts, `${name}.json`);
  const read = (name: string): ContextRead => {
    const file = fileOf(name);
    const text = textOf(file);
    if (text === undefined) return { kind: 'none' };
    if (typeof text !== 'string') return { kind: 'unusable', file, why: text.why };
    const context = parseContext(text);
    if (context === undefined) return { kind: 'unusable', file, why: 'is damaged' };
    return { kind: 'ok', context };
  };
  const write = (name: string, context: ServerContext): void => {
    openPrivateDirectory({ directory: contexts, signs: [] });
    const text = JSON.stringify({ version: 1, ...context }, null, 2);
    writeFileAtomic(fileOf(name), `${text}\n`, 0o600);
  };
  return {
    list() {
      return filesIn(contexts)
        .flatMap((name) => /^(.*)\.json$/.exec(name)?.slice(1) ?? [])
        .filter(isContextName)
        .toSorted();
    },
    read,
    write,
    update(name, change) {
      const found = read(name);
      if (found.kind === 'ok') write(name, change(found.context));
    },
    remove: (name) => rmSync(fileOf(name), { force: true }),
    current() {
      const text = textOf(currentFile);
      const name = typeof text === 'string' ? text.trim() : '';
      return isContextName(name) ? name : undefined;
    },
    use(name) {
      if (name === undefined) return rmSync(currentFile, { force: true });
      openPrivateDirectory({ directory, signs: ['contexts'] });
      writeFileAtomic(currentFile, `${name}\n`, 0o600);
    },
  };
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Undefined: there is no such file. */
function textOf(file: string): string | { why: string } | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? undefined : { why: `cannot be read (${code})` };
  }
}

/** The context in a file's text; undefined when it is none. */
export function parseContext(text: string): ServerContext | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const read = asRecord(value);
  const { server, pin, project, endpoint } = read;
  const auth = authOf(asRecord(read['auth']));
  const keys = asRecord(read['chat_keys']);
  if (
    read['version'] !== 1 ||
    typeof server !== 'string' ||
    !URL.canParse(server) ||
    !(pin === null || (typeof pin === 'string' && pinPattern.test(pin))) ||
    !isTextOrNull(project) ||
    !isTextOrNull(endpoint) ||
    auth === undefined ||
    !Object.values(keys).every((key) => typeof key === 'string')
  ) {
    return undefined;
  }
  return { server, pin, auth, project, endpoint, chat_keys: keys as Record<string, string> };
}

function authOf(read: Readonly<Record<string, unknown>>): ContextAuth | undefined {
  const { kind, key, email, cookie, expires_at } = read;
  if (kind === 'key') return typeof key === 'string' ? { kind, key } : undefined;
  if (kind !== 'session' || typeof email !== 'string') return undefined;
  if (typeof cookie !== 'string' || typeof expires_at !== 'string') return undefined;
  return { kind, email, cookie, expires_at };
}

const isTextOrNull = (value: unknown): value is string | null =>
  value === null || typeof value === 'string';

const asRecord = (value: unknown): Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
