/** What a figure depends on beside the code: the machine and the programs on it. */
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, release } from 'node:os';
import { systemBinary } from '../../src/testing/processes/systemBinary.ts';

export interface MachineFacts {
  cores: number;
  cpu: string;
  kernel: string;
  node: string;
  /** Processes are pinned: the device under test has a core of its own. */
  pinned: boolean;
  /** Runnable processes over the last minute, before the bench began: other work disturbs it. */
  load_before: number;
}

export function machineFacts(): MachineFacts {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    kernel: release(),
    node: process.versions.node,
    pinned: pinningTool() !== undefined,
    load_before: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

let tool: string | undefined | null = null;

/** The program that pins a process to a core; undefined where there is none, or only one core. */
export function pinningTool(): string | undefined {
  if (tool !== null) return tool;
  const found = systemBinary({ names: ['taskset'], debianPackage: 'util-linux' });
  const works =
    availableParallelism() >= 2 &&
    found.kind === 'found' &&
    spawnSync(found.path, ['-c', '0,1', 'true']).status === 0;
  tool = works && found.kind === 'found' ? found.path : undefined;
  return tool;
}
