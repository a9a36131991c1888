/**
 * The processes of a bench. Each is started on a core of its side, and all of them are ended by
 * their ids, also when the bench fails or is interrupted.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';
import path from 'node:path';
import { pinningTool } from './facts.ts';

/** `device`: what is measured, alone on its core. `others`: engine, clients, agent. */
export type Side = 'device' | 'others';

const coreOf: Readonly<Record<Side, string>> = { device: '0', others: '1' };
/** From SIGTERM to SIGKILL. */
const endTimeoutMs = 15_000;

export interface ChildOptions {
  name: string;
  side: Side;
  file: string;
  args: readonly string[];
  env?: Record<string, string>;
  /** Standard error goes to a file of that name here. */
  directory: string;
  /** Messages both ways (Node only). */
  ipc?: boolean;
}

export interface Child {
  readonly pid: number;
  readonly process: ChildProcess;
  /** Rejects when it ends before the bench is over. */
  readonly failed: Promise<never>;
}

export class Children {
  private readonly all = new Set<ChildProcess>();
  private ending = false;

  constructor() {
    process.on('exit', () => this.kill());
  }

  start(options: ChildOptions): Child {
    const { name, side, file, args, directory } = options;
    const pin = pinningTool();
    const command = pin === undefined ? [] : [pin, '-c', coreOf[side]];
    const [program = file, ...rest] = [...command, file, ...args];
    const log = openSync(path.join(directory, `${name}.log`), 'w');
    const child = spawn(program, rest, {
      stdio: ['pipe', 'pipe', log, ...(options.ipc === true ? ['ipc' as const] : [])],
      env: { ...cleanEnvironment(), ...options.env },
      cwd: path.join(import.meta.dirname, '..', '..'),
    });
    this.all.add(child);
    // Nobody writes to it, and its end is told by `exit`.
    child.stdin?.on('error', () => {});
    const failed = new Promise<never>((_, reject) => {
      child.on('error', (error) => reject(new Error(`${name}: ${error.message}`)));
      child.on('exit', (code, signal) => {
        this.all.delete(child);
        const where = path.join(directory, `${name}.log`);
        if (!this.ending) reject(new Error(`${name} ended (${code ?? signal}); see ${where}`));
      });
    });
    // Whoever waits for something of the child races against it; nobody has to.
    failed.catch(() => {});
    return { pid: child.pid ?? -1, process: child, failed };
  }

  /** Ends all of them in order, by force after fifteen seconds. */
  async stop(): Promise<void> {
    this.ending = true;
    const ended = [...this.all].map(
      (child) => new Promise<void>((resolve) => child.once('exit', () => resolve())),
    );
    for (const child of this.all) child.kill('SIGTERM');
    const force = setTimeout(() => this.kill(), endTimeoutMs);
    await Promise.all(ended);
    clearTimeout(force);
  }

  private kill(): void {
    this.ending = true;
    for (const child of this.all) child.kill('SIGKILL');
  }
}

/** Without what would configure the product from outside. */
function cleanEnvironment(): Record<string, string> {
  const own = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(XIM_|NODE_OPTIONS|NODE_TEST)/.test(name),
  );
  return Object.fromEntries(own) as Record<string, string>;
}

/** Rejects when `promise` is not settled in time. */
export async function within<Value>(
  promise: Promise<Value>,
  { ms, what }: { ms: number; what: string },
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));
