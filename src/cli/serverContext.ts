/**
 * Which server a command talks to, and as whom: `credentials.json`, as a server writes it into its
 * data directory at the first start. The same file can be copied to another machine.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from '../lib/config.ts';
import { pinPattern } from '../lib/pinnedTls.ts';
import { userDataDirectory } from '../lib/userDirectories.ts';

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
    env: 'XIM_CREDENTIALS',
    default: undefined,
    placeholder: 'FILE',
    help: 'The credentials.json of the server. By default the one in the data directory.',
    group: 'Server',
  },
  dataDir: {
    type: 'text',
    flag: 'data-dir',
    env: 'XIM_DATA_DIR',
    default: undefined,
    placeholder: 'DIR',
    help: 'Data directory of the server on this machine.',
    group: 'Server',
  },
  output: {
    type: 'choice',
    flag: 'output',
    choices: ['text', 'json'],
    default: 'text',
    help: 'What to print; -o for short.',
    group: 'Output',
  },
});

export interface ServerOptions {
  readonly context: string | undefined;
  readonly dataDir: string | undefined;
  readonly output: 'text' | 'json';
}

export type ServerContextOutcome =
  | { kind: 'ok'; credentials: Credentials }
  /** A sentence that ends with the next step. */
  | { kind: 'missing'; message: string };

/** Finds and reads the credentials. Never throws on what is in the file. */
export function readServerContext(
  options: Pick<ServerOptions, 'context' | 'dataDir'>,
  env: Readonly<Record<string, string | undefined>>,
): ServerContextOutcome {
  const directory = options.dataDir ?? userDataDirectory('xim', env);
  const file = options.context ?? path.join(directory, credentialsFileName);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return missing(
      code === 'ENOENT'
        ? `there is no ${file}. Start a server first (xim serve), or name the file of one with ` +
            '--context FILE or the directory of one with --data-dir DIR.'
        : `${file} cannot be read (${code}). Run this as the server's user, or name another ` +
            'file with --context FILE.',
    );
  }
  const credentials = parseCredentials(text);
  if (credentials !== undefined) return { kind: 'ok', credentials };
  return missing(
    `${file} is not a credentials file of this program. Name one with --context FILE.`,
  );
}

const missing = (message: string): ServerContextOutcome => ({ kind: 'missing', message });

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
