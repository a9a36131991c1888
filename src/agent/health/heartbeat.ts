/** What HEARTBEAT says: gathered from what everybody has at hand, without waiting for anything. */
import { statfsSync } from 'node:fs';
import os from 'node:os';
import { maxInstances } from '../../protocol/limits.ts';
import type { HeartbeatMessage } from '../../protocol/messages/agentControl.ts';
import type { EngineMetrics, ModelEnsurer } from '../engines/engine.ts';
import { mostEngineMetrics } from '../limits.ts';
import type { MachineHealth } from './machineHealth.ts';

export interface HeartbeatParts {
  models: HeartbeatMessage['models'];
  load: NonNullable<HeartbeatMessage['load']>;
  engines: readonly EngineMetrics[];
  /** Tokens per second by instance, for engines that do not say. */
  answerRate: (instance: string) => number | undefined;
  cache: ModelEnsurer | null;
  /** Its disk is shown where there is no cache. */
  stateDir: string;
  machine: MachineHealth;
  memory: MachineMemory;
}

export type MachineMemory = Pick<
  HeartbeatMessage,
  'residentBytes' | 'memoryAvailableBytes' | 'memoryTotalBytes'
>;

/** Of this process and its machine, now: two reads of the kernel's files. */
export function thisMemory(): MachineMemory {
  return {
    residentBytes: process.memoryUsage.rss(),
    memoryAvailableBytes: process.availableMemory(),
    memoryTotalBytes: os.totalmem(),
  };
}

export function heartbeatOf(parts: HeartbeatParts): HeartbeatMessage {
  const { models, load, cache, machine } = parts;
  const { accelerators, temperatureC } = machine;
  return {
    type: 'heartbeat',
    models,
    load,
    engines: parts.engines
      .slice(0, maxInstances)
      .map((engine) => engineNumbers(engine, parts.answerRate)),
    ...diskOf(cache, parts.stateDir),
    ...said({ storage: cache?.storage(), temperatureC }),
    ...parts.memory,
    ...(accelerators.length === 0 ? {} : { accelerators }),
  };
}

function engineNumbers(
  engine: EngineMetrics,
  answerRate: HeartbeatParts['answerRate'],
): HeartbeatMessage['engines'][number] {
  const { instance, running, metrics } = engine;
  const tokensPerSecond = positive(engine.tokensPerSecond ?? answerRate(instance));
  const kvCacheUse = engine.kvCacheUse;
  return {
    instance,
    running,
    ...said({
      queued: positive(engine.queued),
      tokensPerSecond,
      promptTokensPerSecond: positive(engine.promptTokensPerSecond),
      kvCacheUse: kvCacheUse === undefined ? undefined : Math.min(1, Math.max(0, kvCacheUse)),
      metrics: metrics === undefined ? undefined : someOf(metrics),
    }),
  };
}

/** Within the bounds of the message, whatever an engine calls its numbers. */
function someOf(metrics: Record<string, number>): Record<string, number> {
  const fitting = Object.entries(metrics).filter(
    ([name, value]) => name.length <= 64 && Number.isFinite(value),
  );
  return Object.fromEntries(fitting.slice(0, mostEngineMetrics));
}

function diskOf(
  cache: ModelEnsurer | null,
  stateDir: string,
): Pick<HeartbeatMessage, 'diskFreeBytes' | 'diskTotalBytes'> {
  const disk = cache === null ? diskBelow(stateDir) : cache.disk();
  if (disk === undefined) return {};
  return { diskFreeBytes: disk.freeBytes, diskTotalBytes: disk.totalBytes };
}

function diskBelow(directory: string): { freeBytes: number; totalBytes: number } | undefined {
  try {
    const { bavail, blocks, bsize } = statfsSync(directory);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    return undefined;
  }
}

const positive = (value: number | undefined): number | undefined =>
  value === undefined || !Number.isFinite(value) ? undefined : Math.max(0, value);

/** Without the members that nobody knows. */
function said<Facts extends object>(facts: Facts): Partial<NonNullableMembers<Facts>> {
  const known = Object.entries(facts).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as Partial<NonNullableMembers<Facts>>;
}

type NonNullableMembers<Facts> = { [Name in keyof Facts]: NonNullable<Facts[Name]> };
