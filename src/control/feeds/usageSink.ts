/** Finished requests and linked time, from the data plane into the store. */
import { timeCostMicros } from '../../domain/metering/price.ts';
import type { ControlParts } from '../parts.ts';
import type { UptimeRow, UsageRow } from '../../store/contract/usageStore.ts';

export interface UsageSink {
  /** Durable when it resolves; the same request twice has the effect of once. */
  record(batch: readonly UsageRow[]): Promise<void>;
  /** Each moment of an agent is counted once, however often told. */
  uptime(batch: readonly Omit<UptimeRow, 'hourPriceMicros'>[]): Promise<void>;
}

export function createUsageSink({
  store,
  config,
}: Pick<ControlParts, 'store' | 'config'>): UsageSink {
  const hourPriceMicros = timeCostMicros(config.tiers.self_hosted.price, 3600);
  return {
    record: (batch) => store.recordUsage(batch),
    uptime: (batch) => store.recordUptime(batch.map((one) => ({ ...one, hourPriceMicros }))),
  };
}
