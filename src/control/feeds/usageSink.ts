/** Finished requests, from the data plane's journal into the store. */
import type { UsageRow } from '../../store/contract/usageStore.ts';
import type { Store } from '../../store/store.ts';

export interface UsageSink {
  /** Durable when it resolves; the same request twice has the effect of once. */
  record(batch: readonly UsageRow[]): Promise<void>;
}

export function createUsageSink(store: Pick<Store, 'recordUsage'>): UsageSink {
  return { record: (batch) => store.recordUsage(batch) };
}
