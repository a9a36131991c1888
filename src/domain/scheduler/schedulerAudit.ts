/** R5, L1 and W1 as sums, for tests: what is counted in one place is counted again in another. */
import type { LimitBook } from '../quotas/limitBook.ts';
import type { Claim, KnownAgent, WaitingRequest } from './schedulerState.ts';
import type { WaitingQueue } from '../waiting/waitingQueue.ts';

export interface SchedulerAudit extends ReturnType<WaitingQueue['audit']> {
  claims: number;
  /**
   * Reservations of projects that accounts count, those that belong to a claim or to a request that
   * waits (L1), and holds of keys (L5).
   */
  reserved: number;
  reservations: number;
  keyHolds: number;
  inFlight: number;
  /** Instances whose count fell below zero. */
  overGranted: string[];
  /** Requests that wait though they could be claimed. */
  claimable: string[];
}

export function schedulerAudit(parts: {
  claims: readonly Claim[];
  agents: Iterable<KnownAgent>;
  limits: LimitBook;
  queue: WaitingQueue;
  claimable: readonly WaitingRequest[];
}): SchedulerAudit {
  const instances = new Set(parts.claims.map((claim) => claim.instance));
  for (const agent of parts.agents) {
    for (const instance of agent.instances.values()) instances.add(instance);
  }
  const holders = [...parts.claims, ...[...parts.queue.all()].map(({ left }) => left)];
  const held = new Set(holders.map((claim) => claim?.reservation ?? null));
  held.delete(null);
  const { running: reserved, keyHolds } = parts.limits.audit();
  return {
    claims: parts.claims.length,
    reserved,
    reservations: held.size,
    keyHolds,
    inFlight: [...instances].reduce((sum, one) => sum + one.inFlight, 0),
    overGranted: [...instances].filter((one) => one.inFlight < 0).map((one) => one.id),
    claimable: parts.claimable.map(({ request }) => request.id),
    ...parts.queue.audit(),
  };
}
