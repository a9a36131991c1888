/** A whole server as a process, on a free port and a directory of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Credentials } from '../../cli/serverContext.ts';
import { parseCredentials } from '../../cli/serverContext.ts';
import { nodeArguments } from '../../lib/process/nodeArguments.ts';
import { readFileSync } from 'node:fs';
import { childrenOf, repository, startProcess } from './processes.ts';
import type { RunningProcess } from './processes.ts';

/** The line of `--json`. */
export interface ReadyLine {
  ready: true;
  base_url: string;
  api_key: string | null;
  project: string;
  endpoint: string;
  dashboard_url: string;
  admin: { email: string; password: string | null };
  model: string | null;
  model_error: string | null;
  pid: number;
}

export interface ServerProcess extends RunningProcess {
  ready: ReadyLine;
  dataDir: string;
  /** As in credentials.json now. */
  credentials(): Credentials;
  /** Id of the shared agent's process; undefined when there is none. */
  agentPid(): number | undefined;
}

const entry = path.join(repository, 'src', 'main', 'serve.ts');

export interface ServeOptions {
  dataDir: string;
  args?: readonly string[];
  env?: Record<string, string>;
  /** Until the ready line, in ms. */
  timeoutMs?: number;
}

/** `node src/main/serve.ts` as `npm start` has it; does not wait. */
export function spawnServer(options: ServeOptions): RunningProcess {
  const { dataDir, args = [], env = {} } = options;
  const flags = args.includes('--port') ? [] : ['--port', '0'];
  const all = [...nodeArguments, entry, '--data-dir', dataDir, '--json', ...flags, ...args];
  return startProcess(process.execPath, all, { env });
}

/** Starts a server and waits for its line of JSON. */
export async function startServerProcess(options: ServeOptions): Promise<ServerProcess> {
  const running = spawnServer(options);
  const [line] = await running.seen(/^\{"ready".*\}$/m, options.timeoutMs ?? 120_000);
  return {
    ...running,
    ready: JSON.parse(line) as ReadyLine,
    dataDir: options.dataDir,
    credentials() {
      const text = readFileSync(path.join(options.dataDir, 'credentials.json'), 'utf8');
      const credentials = parseCredentials(text);
      if (credentials === undefined) throw new Error(`no credentials: ${text}`);
      return credentials;
    },
    agentPid: () => childrenOf(running.pid)[0],
  };
}

/** A new directory, and what removes it. */
export async function temporaryDirectory(
  name: string,
): Promise<{ path: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(path.join(tmpdir(), `xim-${name}-`));
  return { path: directory, remove: () => rm(directory, { recursive: true, force: true }) };
}
