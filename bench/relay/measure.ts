/** One window of one contender under one load: what it delivered, how fast, and what it cost. */
import type { Contender } from '../contenders/contender.ts';
import type { Generator, MockEngine } from '../load/helperProcesses.ts';
import type { Load, LoadResult } from '../load/messages.ts';
import { pause } from '../machine/children.ts';
import { cpuUs, residentMiB } from '../machine/cpuTime.ts';

/** Who works in a window; each is counted by itself. */
export const roles = ['device', 'agent', 'mock', 'generator'] as const;
export type Role = (typeof roles)[number];

export interface Measured extends LoadResult {
  /** CPU time of the window, in µs. */
  cpuUs: Record<Role, number>;
  /** Resident memory at the end of the window, in MiB. */
  residentMiB: { device: number; agent: number };
}

export interface MeasureOptions {
  contender: Contender;
  mock: MockEngine;
  generator: Generator;
  load: Load;
  settleMs: number;
  windowMs: number;
}

export async function measure(options: MeasureOptions): Promise<Measured> {
  const { contender, generator, load, settleMs, windowMs } = options;
  const pids: Record<Role, readonly number[]> = {
    device: contender.devicePids,
    agent: contender.agentPids,
    mock: [options.mock.pid],
    generator: [generator.pid],
  };
  const spent = (): number[] => roles.map((role) => cpuUs(pids[role]));
  await generator.start(load);
  await pause(settleMs);
  const before = spent();
  generator.open();
  await pause(windowMs);
  const ended = generator.close();
  const after = spent();
  const resident = {
    device: residentMiB(contender.devicePids),
    agent: residentMiB(contender.agentPids),
  };
  const result = await ended;
  const cost = roles.map((role, at) => [role, (after[at] ?? 0) - (before[at] ?? 0)]);
  return {
    ...result,
    cpuUs: Object.fromEntries(cost) as Record<Role, number>,
    residentMiB: resident,
  };
}
