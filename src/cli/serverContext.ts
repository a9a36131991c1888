/**
 * Which server a command talks to, and as whom. Three places say so, in this order: what
 * `--context` or `--data-dir` name; the context that was chosen by `xim login` or
 * `xim context use`; `credentials.json`, as a server writes it into its data directory at the first
 * start. That file can be copied to another machine and named there.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from '../lib/config.ts';
import { pinPattern } from '../lib/network/pinnedTls.ts';
import { userDataDirectory } from '../lib/files/userDirectories.ts';
import {
  contextStore,
  isContextName,
  localContextName,
  parseContext,
  type ServerContext,
} from './connection/contextStore.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The file's format. Members may be added, never renamed. */
export interface Credentials {
  version: 1;
  /** Where the server answers, without a slash at the end. */
  server: string;
  /** `sha256//…` of its private certificate, or null. */
  pin: string | null;
  project: string;
  endpoint: string;
  /** The endpoint's base URL; ends in `/v1`. */
  base_url: string;
  dashboard_url: string;
  /** Scope `inference`: for clients. */
  api_key: string;
  /** Scope `management`: for this CLI. */
  management_key: string;
  /** `password` stands here until it was shown once. */
  admin: { email: string; password?: string };
}

export const credentialsFileName = 'credentials.json';

/** Options of every command that talks to a server. */
export const serverOptions = defineConfig({
  context: {
    type: 'text',
    flag: 'context',
    env: 'XIM_CONTEXT',
    default: undefined,
    placeholder: 'NAME|FILE',
    help:
      'The context to use (see: xim context list), or a file, such as a copy of a server’s ' +
      'credentials.json.',
    group: 'Server',
  },
  dataDir: {
    type: 'text',
    flag: 'data-dir',
    env: 'XIM_DATA_DIR',
    default: undefined,
    placeholder: 'DIR',
    help: 'Data directory of a server on this machine, whose credentials.json is used.',
    group: 'Server',
  },
  output: {
    type: 'choice',
    flag: 'output',
    choices: ['table', 'json'],
    default: 'table',
    help: 'What to print; -o for short.',
    group: 'Output',
  },
});

/** Options of every command about something that belongs to a project. */
export const projectOptions = defineConfig({
  project: {
    type: 'text',
    flag: 'project',
    env: 'XIM_PROJECT',
    default: undefined,
    placeholder: 'SLUG',
    help: 'The project; by default the one of the context (see: xim projects use).',
    group: 'Server',
  },
  ...serverOptions,
});

export interface ServerOptions {
  readonly project?: string | undefined;
  readonly context: string | undefined;
  readonly dataDir: string | undefined;
  readonly output: 'table' | 'json';
}

export type ServerContextOutcome =
  | {
      kind: 'ok';
      context: ServerContext;
      /** Of a context that can be changed; null: a file of somebody else's. */
      name: string | null;
    }
  /** A sentence that ends with the next step. */
  | { kind: 'missing'; message: string };

/** Finds and reads the context. Never throws on what is in a file. */
export function readServerContext(
  options: Pick<ServerOptions, 'context' | 'dataDir'>,
  env: Environment,
): ServerContextOutcome {
  const { context, dataDir } = options;
  if (context !== undefined && context !== localContextName) {
    return isContextName(context) ? readStored(context, env) : readContextFile(context);
  }
  const store = contextStore(env);
  const current = dataDir === undefined && context === undefined ? store.current() : undefined;
  if (current !== undefined) return readStored(current, env);
  return readContextFile(localCredentials(env, dataDir));
}

/** Where the server of this machine keeps its credentials. */
export function localCredentials(env: Environment, dataDir?: string): string {
  return path.join(dataDir ?? userDataDirectory('xim', env), credentialsFileName);
}

function readStored(name: string, env: Environment): ServerContextOutcome {
  const read = contextStore(env).read(name);
  switch (read.kind) {
    case 'ok':
      return { kind: 'ok', context: read.context, name };
    case 'none':
      return missing(
        `there is no context "${name}". xim context list shows those there are; ` +
          'xim login makes one.',
      );
    case 'unusable':
      return missing(`${read.file} ${read.why}. Remove it and sign in again: xim login`);
  }
}

function readContextFile(file: string): ServerContextOutcome {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return missing(
      code === 'ENOENT'
        ? `there is no ${file}. Sign in to a server (xim login URL), start one here (xim serve), ` +
            'or name the file of one with --context FILE or its directory with --data-dir DIR. ' +
            'If a server’s file was lost, start it once with --new-credentials.'
        : `${file} cannot be read (${code}). Run this as the server's user, or name another ` +
            'file with --context FILE.',
    );
  }
  const credentials = parseCredentials(text);
  if (credentials !== undefined) {
    return { kind: 'ok', context: contextOfCredentials(credentials), name: null };
  }
  const context = parseContext(text);
  if (context !== undefined) return { kind: 'ok', context, name: null };
  return missing(
    `${file} is not a credentials file of this program. Name one with --context FILE.`,
  );
}

const missing = (message: string): ServerContextOutcome => ({ kind: 'missing', message });

function contextOfCredentials(credentials: Credentials): ServerContext {
  const { server, pin, project, endpoint, management_key: key } = credentials;
  const chat_keys = { [project]: credentials.api_key };
  return { server, pin, project, endpoint, auth: { kind: 'key', key }, chat_keys };
}

/** The credentials in a file's text; undefined when it is none. */
export function parseCredentials(text: string): Credentials | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isCredentials(value) ? value : undefined;
}

const textMembers = [
  'server',
  'project',
  'endpoint',
  'base_url',
  'dashboard_url',
  'api_key',
  'management_key',
] as const;

function isCredentials(value: unknown): value is Credentials {
  const read = (value ?? {}) as Partial<Record<string, unknown>>;
  const admin = (read['admin'] ?? {}) as Partial<Record<string, unknown>>;
  return (
    read['version'] === 1 &&
    textMembers.every((name) => typeof read[name] === 'string') &&
    URL.canParse(read['server'] as string) &&
    (read['pin'] === null || (typeof read['pin'] === 'string' && pinPattern.test(read['pin']))) &&
    typeof admin['email'] === 'string'
  );
}
