/** What one HEARTBEAT says, as numbers that can be compared and summed up. */
import type { HealthNumbers } from '../../domain/agents/agentHealth.ts';
import type { HeartbeatMessage } from '../../protocol/messages/agentControl.ts';

export function healthNumbers(message: HeartbeatMessage): HealthNumbers {
  const { load, engines, accelerators = [] } = message;
  const memoryUsed = accelerators.map(({ memoryUsedBytes }) => memoryUsedBytes);
  const memoryTotal = accelerators.map(({ memoryTotalBytes }) => memoryTotalBytes);
  const warmths = [message.temperatureC, ...accelerators.map(({ temperatureC }) => temperatureC)];
  return {
    inFlight: load?.running ?? sum(engines.map(({ running }) => running)),
    slots: load?.slots ?? null,
    waiting: sum([load?.waiting, ...engines.map(({ queued }) => queued)]),
    tokensPerSecond: sum(engines.map(({ tokensPerSecond }) => tokensPerSecond)),
    promptTokensPerSecond: sum(engines.map((engine) => engine.promptTokensPerSecond)),
    kvCacheUse: greatest(engines.map(({ kvCacheUse }) => kvCacheUse)),
    acceleratorUse: mean(accelerators.map(({ utilization }) => utilization)),
    acceleratorMemoryUsedBytes: sum(memoryUsed),
    acceleratorMemoryTotalBytes: sum(memoryTotal),
    temperatureC: greatest(warmths),
    diskFreeBytes: message.diskFreeBytes ?? null,
    diskTotalBytes: message.diskTotalBytes ?? null,
    memoryAvailableBytes: message.memoryAvailableBytes ?? null,
    memoryTotalBytes: message.memoryTotalBytes ?? null,
  };
}

type Said = readonly (number | undefined)[];

const known = (values: Said): number[] => values.filter((value) => value !== undefined);

function sum(values: Said): number | null {
  const all = known(values);
  return all.length === 0
    ? null
    : Math.min(
        Number.MAX_VALUE,
        all.reduce((total, value) => total + value, 0),
      );
}

function mean(values: Said): number | null {
  const total = sum(values);
  return total === null ? null : total / known(values).length;
}

function greatest(values: Said): number | null {
  const all = known(values);
  return all.length === 0 ? null : Math.max(...all);
}
