/** Samples of agents' health, from the data plane into the store. */
import type { HealthSample } from '../../domain/agents/agentHealth.ts';
import type { Store } from '../../store/store.ts';

export interface HealthSink {
  /** Whoever sends them does not send them again: what is refused is lost. */
  record(batch: readonly HealthSample[]): Promise<void>;
}

export function createHealthSink(store: Pick<Store, 'recordHealth'>): HealthSink {
  return { record: (batch) => store.recordHealth(batch) };
}
