/**
 * Real processes of ours for end-to-end tests: started from their sources, watched on both streams,
 * ended by their id, and never left behind.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const repository = path.join(import.meta.dirname, '..', '..', '..');

/** Where tests keep the real model and other large things between runs. */
export const testCache = process.env['XIM_TEST_CACHE'] ?? path.join(repository, '.xim-test-cache');

export interface RunningProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** All of standard output and standard error so far. */
  out(): string;
  err(): string;
  /** Resolves with the first match on either stream, or rejects when it ends without one. */
  seen(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
  /** Sends a signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<number | string>;
}

const alive = new Set<ChildProcess>();
const groups = new WeakSet<ChildProcess>();

/** For an `after` of every test file that starts processes: what a failed test left is ended. */
export function endLeftovers(): void {
  for (const child of alive) signalTree(child, 'SIGKILL');
}

/** To the process, and where it leads a group (a shell with a pipeline) to all of the group. */
function signalTree(child: ChildProcess, signal: NodeJS.Signals): void {
  const { pid } = child;
  if (!groups.has(child) || pid === undefined) {
    child.kill(signal);
    return;
  }
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Variables that would leak from whoever runs the tests into what is tested. */
function cleanEnvironment(extra: Record<string, string>): Record<string, string> {
  const own = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(XIM_|NODE_OPTIONS|NODE_TEST)/.test(name),
  );
  return { ...(Object.fromEntries(own) as Record<string, string>), ...extra };
}

/** Starts a program and collects what it says. */
export function startProcess(
  file: string,
  args: readonly string[],
  options: {
    env?: Record<string, string>;
    cwd?: string;
    /** Leads a process group of its own; signals go to all of it. */
    group?: boolean;
  } = {},
): RunningProcess {
  const child = spawn(file, args, {
    cwd: options.cwd ?? repository,
    env: cleanEnvironment(options.env ?? {}),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: options.group === true,
  });
  if (options.group === true) groups.add(child);
  alive.add(child);
  child.once('close', () => alive.delete(child));
  const said = { out: '', err: '' };
  const listeners = new Set<() => void>();
  const collect = (stream: 'out' | 'err') => (text: string) => {
    said[stream] += text;
    for (const listener of listeners) listener();
  };
  child.stdout.setEncoding('utf8').on('data', collect('out'));
  child.stderr.setEncoding('utf8').on('data', collect('err'));
  child.stdin.on('error', () => {});
  const exited = new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'gone'));
  });
  const state = { said, listeners, exited };
  return {
    pid: child.pid ?? -1,
    child,
    out: () => said.out,
    err: () => said.err,
    seen: (pattern, timeoutMs = 60_000) => seen(state, pattern, timeoutMs),
    exited,
    async end(signal = 'SIGTERM') {
      signalTree(child, signal);
      return exited;
    },
  };
}

async function seen(
  state: {
    said: { out: string; err: string };
    listeners: Set<() => void>;
    exited: Promise<number | string>;
  },
  pattern: RegExp,
  timeoutMs: number,
): Promise<RegExpExecArray> {
  const { said, listeners, exited } = state;
  const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
  const look = (): void => {
    const found = pattern.exec(said.out) ?? pattern.exec(said.err);
    if (found !== null) resolve(found);
  };
  const fail = (why: string): void =>
    reject(new Error(`${why} before ${pattern}\n--- out\n${said.out}\n--- err\n${said.err}`));
  const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
  listeners.add(look);
  // It never rejects.
  void exited.then((how) => fail(`the process ended (${how})`));
  look();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    listeners.delete(look);
  }
}

/** Whether a process is there and no zombie. */
export function isAlive(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false;
  }
}

/** Ids of the processes that a process has started and that are alive. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number).filter(isAlive);
  } catch {
    return [];
  }
}

/** Resolves when `condition` holds, looking every 20 ms; rejects after the time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  options: { what: string; timeoutMs?: number },
): Promise<void> {
  const { what, timeoutMs = 15_000 } = options;
  const startedAtMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAtMs > timeoutMs) {
      throw new Error(`waited ${timeoutMs} ms for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
