/** An agent's health on the wire. */
import type { AgentHealthAnswer, HealthSampleAnswer } from '../../api/control/agentHealth.ts';
import type { AgentAnswer } from '../../api/control/agents.ts';
import type { HealthNumbers, HealthSample } from '../../domain/agents/agentHealth.ts';
import type { AgentHealth } from '../../router/health/healthBook.ts';
import { healthNumbers } from '../../router/health/healthNumbers.ts';
import type { AgentInstance } from '../../router/links/agentPresence.ts';
import { isoTime } from '../control/isoTime.ts';

export function agentHealthAnswer(known: {
  agent: Pick<AgentAnswer, 'id' | 'state'>;
  /** Undefined: it has no link. */
  now: AgentHealth | undefined;
  /** What it grants. */
  instances: readonly AgentInstance[];
  samples: readonly HealthSample[];
  modelName: (modelId: string) => string | undefined;
}): AgentHealthAnswer {
  const { agent, now, samples } = known;
  return {
    agent_id: agent.id,
    state: agent.state,
    now: now === undefined ? null : nowAnswer(now, known),
    samples: samples.map((sample) => ({ at: isoTime(sample.atMs), ...numbersAnswer(sample) })),
  };
}

type Live = Pick<Parameters<typeof agentHealthAnswer>[0], 'instances' | 'modelName'>;

function nowAnswer(
  { receivedAtMs, heartbeat }: AgentHealth,
  live: Live,
): NonNullable<AgentHealthAnswer['now']> {
  return {
    at: isoTime(receivedAtMs),
    ...numbersAnswer(healthNumbers(heartbeat)),
    resident_bytes: heartbeat.residentBytes ?? null,
    accelerators: (heartbeat.accelerators ?? []).map((one) => ({
      name: one.name,
      memory_used_bytes: one.memoryUsedBytes ?? null,
      memory_total_bytes: one.memoryTotalBytes ?? null,
      utilization: one.utilization ?? null,
      temperature_c: one.temperatureC ?? null,
      power_w: one.powerW ?? null,
    })),
    engines: heartbeat.engines.map((engine) => engineAnswer(engine, live)),
  };
}

function engineAnswer(
  engine: AgentHealth['heartbeat']['engines'][number],
  { instances, modelName }: Live,
): NonNullable<AgentHealthAnswer['now']>['engines'][number] {
  const granted = instances.find(({ instance }) => instance === engine.instance);
  return {
    instance: engine.instance,
    model_id: granted?.modelId ?? null,
    model: granted === undefined ? null : (modelName(granted.modelId) ?? null),
    engine: granted?.engine ?? null,
    running: engine.running,
    waiting: engine.queued ?? null,
    tokens_per_second: engine.tokensPerSecond ?? null,
    prompt_tokens_per_second: engine.promptTokensPerSecond ?? null,
    kv_cache_use: engine.kvCacheUse ?? null,
    metrics: engine.metrics ?? {},
  };
}

function numbersAnswer(numbers: HealthNumbers): Omit<HealthSampleAnswer, 'at'> {
  return {
    in_flight: numbers.inFlight,
    slots: numbers.slots,
    waiting: numbers.waiting,
    tokens_per_second: numbers.tokensPerSecond,
    prompt_tokens_per_second: numbers.promptTokensPerSecond,
    kv_cache_use: numbers.kvCacheUse,
    accelerator_use: numbers.acceleratorUse,
    accelerator_memory_used_bytes: numbers.acceleratorMemoryUsedBytes,
    accelerator_memory_total_bytes: numbers.acceleratorMemoryTotalBytes,
    temperature_c: numbers.temperatureC,
    disk_free_bytes: numbers.diskFreeBytes,
    disk_total_bytes: numbers.diskTotalBytes,
    memory_available_bytes: numbers.memoryAvailableBytes,
    memory_total_bytes: numbers.memoryTotalBytes,
  };
}
