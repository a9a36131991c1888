/** Samples of agents' health over the last day. */
import type { HealthSample } from '../../domain/agents/agentHealth.ts';

export interface HealthStore {
  /** One that is there already (the same agent and time) is not written again. */
  recordHealth(batch: readonly HealthSample[]): Promise<void>;
  /** Of one agent since `fromMs`, oldest first; the last `limit` of them. */
  healthOf(input: { agentId: string; fromMs: number; limit: number }): Promise<HealthSample[]>;
  /** Forgets samples from before `beforeMs`, at most `limit` at once; says how many. */
  deleteOldHealth(input: { beforeMs: number; limit: number }): Promise<number>;
}
