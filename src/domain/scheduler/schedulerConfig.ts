/** What a scheduler is made with. */
import type { Random } from '../../lib/random.ts';
import type { LimitLease } from '../quotas/limitAccount.ts';
import type { TierTable } from '../tiers/tiers.ts';
import type { WaitingBounds } from '../waiting/waitingQueue.ts';

export interface SchedulerConfig {
  tiers: TierTable;
  waiting?: Partial<WaitingBounds>;
  /** The part of the limits that this process counts against; all of it by default. */
  lease?: LimitLease;
  /** Where the router is. */
  region?: string;
}

export interface SchedulerOptions {
  random: Random;
  config: SchedulerConfig;
}
