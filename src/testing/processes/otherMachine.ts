/**
 * Another machine, as far as one machine can be two: a network namespace with a cable to this one,
 * a home of its own, and a PATH on which nothing lies but `sh`, the oldest Node that we promise to
 * run on, and what a test adds.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { oldNode } from './oldNode.ts';
import { startProcess } from './processes.ts';
import type { RunningProcess } from './processes.ts';
import { systemBinary } from './systemBinary.ts';

export interface OtherMachine {
  /** This machine's address, as the other one reaches it. */
  hostAddress: string;
  home: string;
  /** Runs a line by `sh` on the machine. */
  shell(line: string, env?: Record<string, string>): RunningProcess;
  /** Runs a program of this machine there, e.g. an engine that only that machine can reach. */
  start(file: string, args: readonly string[]): RunningProcess;
  remove(): void;
}

export type OtherMachineOutcome =
  | { kind: 'ready'; machine: OtherMachine }
  | { kind: 'missing'; reason: string };

/** `programs` are found on this machine and put on the other's PATH, e.g. `curl`. */
export function openOtherMachine(options: {
  directory: string;
  programs?: readonly string[];
}): OtherMachineOutcome {
  if (process.getuid?.() !== 0) return missing('a network namespace needs root');
  const ip = systemBinary({ names: ['ip'], debianPackage: 'iproute2' });
  if (ip.kind === 'missing') return ip;
  const node = oldNode();
  if (node.kind === 'missing') return node;
  const name = `xim${process.pid}`;
  const address = `10.213.${process.pid % 250}`;
  const run = (...args: string[]): void => void execFileSync(ip.path, args, { stdio: 'pipe' });
  try {
    run('netns', 'add', name);
    const [here, there] = [`xima${process.pid}`, `ximb${process.pid}`];
    run('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name);
    run('addr', 'add', `${address}.1/30`, 'dev', here);
    run('link', 'set', here, 'up');
    run('-n', name, 'addr', 'add', `${address}.2/30`, 'dev', there);
    run('-n', name, 'link', 'set', there, 'up');
    run('-n', name, 'link', 'set', 'lo', 'up');
  } catch (error) {
    spawnSync(ip.path, ['netns', 'del', name]);
    return missing(`no network namespace: ${(error as Error).message}`);
  }
  const inside = (
    file: string,
    args: readonly string[],
    env: Record<string, string>,
  ): RunningProcess => {
    const command = ['/usr/bin/env', '-i', ...words(env), file, ...args];
    return startProcess(ip.path, ['netns', 'exec', name, ...command], { group: true });
  };
  const home = path.join(options.directory, 'home');
  const bin = path.join(options.directory, 'bin');
  mkdirSync(home, { recursive: true });
  mkdirSync(bin, { recursive: true });
  symlinkSync('/bin/sh', path.join(bin, 'sh'));
  symlinkSync(node.path, path.join(bin, 'node'));
  for (const program of options.programs ?? []) {
    const found = systemBinary({ names: [program], debianPackage: program });
    if (found.kind === 'found') symlinkSync(found.path, path.join(bin, program));
  }
  const machine: OtherMachine = {
    hostAddress: `${address}.1`,
    home,
    shell: (line, env = {}) => inside('/bin/sh', ['-c', line], { PATH: bin, HOME: home, ...env }),
    start: (file, args) => inside(file, args, { PATH: '/usr/bin:/bin' }),
    remove: () => void spawnSync(ip.path, ['netns', 'del', name]),
  };
  return { kind: 'ready', machine };
}

const missing = (reason: string): { kind: 'missing'; reason: string } => ({
  kind: 'missing',
  reason,
});

const words = (env: Record<string, string>): string[] =>
  Object.entries(env).map(([name, value]) => `${name}=${value}`);
