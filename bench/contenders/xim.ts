/**
 * XIM as it is run: the server, and an agent that enrolled with a join key of the project, serves
 * the endpoint `own` and attaches the mock as its engine. Authentication, credits, usage, journal
 * and log are on; there is no TLS, as in front of nginx.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { spawnSync } from 'node:child_process';
import type { ReadyLine } from '../../src/testing/processes/serverProcess.ts';
import { repository } from '../../src/testing/processes/processes.ts';
import { nodeArguments } from '../../src/lib/process/nodeArguments.ts';
import { parseCredentials } from '../../src/cli/serverContext.ts';
import type { Credentials } from '../../src/cli/serverContext.ts';
import { within, type Child, type Children } from '../machine/children.ts';
import type { Contender, Surroundings } from './contender.ts';

/** More than any load of a bench: what is measured is the relay, not a refusal. */
const manySlots = 4096;
const startTimeoutMs = 120_000;
/** As `npm start` does: what was compiled once is kept, for less memory. */
const environment = { NODE_COMPILE_CACHE: path.join(repository, 'build', 'compiled') };

const entry = (name: string): string => path.join(repository, 'src', 'main', name);

type Profiled = Surroundings & {
  /** Requests that the agent serves at once; more than any load by default. */
  slots?: number;
  /** Router and agent each write a CPU profile into a folder there when they end. */
  profileDirectory: string | undefined;
};

export async function startXim(children: Children, surroundings: Profiled): Promise<Contender> {
  const { directory } = surroundings;
  const dataDir = path.join(directory, 'data');
  const tiers = { self_hosted: { concurrentPerProject: manySlots } };
  const settings = {
    '--port': '0',
    '--data-dir': dataDir,
    '--tiers': JSON.stringify(tiers),
    '--log-level': 'info',
  };
  const server = children.start({
    name: 'router',
    side: 'device',
    file: process.execPath,
    args: [
      ...nodeArguments,
      ...profiling(surroundings, 'router'),
      entry('serve.ts'),
      ...flags(settings),
      '--json',
      '--no-agent',
    ],
    env: environment,
    directory,
  });
  const ready = JSON.parse(await line(server, /^\{"ready"/)) as ReadyLine;
  const credentials = parseCredentials(
    readFileSync(path.join(dataDir, 'credentials.json'), 'utf8'),
  );
  if (credentials === undefined) throw new Error('the server left no credentials');
  const agent = startAgent(children, { ...surroundings, joinKey: joinKey(dataDir), credentials });
  await line(agent, /"kind":"ready"/);
  const target = {
    port: Number(new URL(credentials.server).port),
    path: `/${credentials.project}/own/v1/chat/completions`,
    apiKey: credentials.api_key,
  };
  return { name: 'xim', target, devicePids: [ready.pid], agentPids: [agent.pid] };
}

function startAgent(
  children: Children,
  options: Profiled & { joinKey: string; credentials: Credentials },
): Child {
  const { directory, mockPort, joinKey: key, credentials } = options;
  const stateDir = path.join(directory, 'agent');
  mkdirSync(stateDir, { mode: 0o700 });
  const settings = {
    '--server': credentials.server,
    '--state-dir': stateDir,
    '--engine': 'url',
    '--engine-url': `http://127.0.0.1:${mockPort}`,
    '--slots': String(options.slots ?? manySlots),
    '--log-level': 'warn',
  };
  return children.start({
    name: 'agent',
    side: 'others',
    file: process.execPath,
    args: [
      ...nodeArguments,
      ...profiling(options, 'agent'),
      entry('agent.ts'),
      ...flags(settings),
      '--events',
    ],
    env: { ...environment, XIM_JOIN_KEY: key },
    directory,
  });
}

function profiling({ profileDirectory }: Profiled, name: string): string[] {
  if (profileDirectory === undefined) return [];
  return ['--cpu-prof', `--cpu-prof-dir=${path.resolve(profileDirectory, name)}`];
}

const flags = (settings: Readonly<Record<string, string>>): string[] =>
  Object.entries(settings).flat();

function joinKey(dataDir: string): string {
  const args = [entry('cli.ts'), 'join-keys', 'create', '--data-dir', dataDir, '--output', 'json'];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`no join key: ${stderr}`);
  return (JSON.parse(stdout) as { key: string }).key;
}

/** The first line of a child's output that matches; the rest is read and dropped. */
function line(child: Child, pattern: RegExp): Promise<string> {
  const { stdout } = child.process;
  if (stdout === null) throw new Error('the child has no output');
  const seen = new Promise<string>((resolve) => {
    createInterface({ input: stdout }).on('line', (text) => {
      if (pattern.test(text)) resolve(text);
    });
  });
  const what = `${pattern} of a process`;
  return within(Promise.race([seen, child.failed]), { ms: startTimeoutMs, what });
}
