/**
 * Upkeep that time alone brings: agents that never linked within an hour, or were silent for too
 * long, die; expired sessions and idempotency keys, old join keys and audit notes go. Meant to be
 * called about once a minute.
 */
import type { ClockJumps } from '../../lib/process/clockJumps.ts';
import { pendingDiesAfterMs } from '../../domain/agents/agentState.ts';
import {
  auditKeptMs,
  auditNotesForgottenAtOnce,
  healthForgottenAtOnce,
  healthKeptMs,
  invitationsKeptMs,
  joinKeysForgottenAtOnce,
  joinKeysKeptMs,
  sweepAgentsAtOnce,
} from '../limits.ts';
import type { ControlParts } from '../parts.ts';

export interface SweepInput {
  /**
   * The agents whose link is up now: they are spared whatever the store says, because a slow
   * database must never make an agent look dead.
   */
  linkedAgentIds: readonly string[];
  /** What the clock did since the start: one that is set must not make an agent look dead. */
  jumps: ClockJumps;
}

/** Returns the ids of the agents that died. */
export async function sweep(
  { store, clock, config, log }: Pick<ControlParts, 'store' | 'clock' | 'config' | 'log'>,
  { linkedAgentIds, jumps }: SweepInput,
): Promise<{ died: string[] }> {
  const nowMs = clock.now();
  const { disconnectedDiesAfterMs } = config;
  const ago = (spanMs: number): number => jumps.cautiousNow(spanMs) - spanMs;
  await store.deleteExpiredSessions(nowMs);
  await store.deleteExpiredIdempotencyKeys(nowMs);
  await store.deleteOldAuditNotes({
    beforeMs: nowMs - auditKeptMs,
    limit: auditNotesForgottenAtOnce,
  });
  await store.deleteOldJoinKeys({
    beforeMs: ago(joinKeysKeptMs),
    limit: joinKeysForgottenAtOnce,
  });
  await store.deleteOldHealth({ beforeMs: nowMs - healthKeptMs, limit: healthForgottenAtOnce });
  await store.deleteOldInvitations(ago(invitationsKeptMs));
  const dead = await store.expireAgents({
    atMs: nowMs,
    pendingBeforeMs: ago(pendingDiesAfterMs),
    silentBeforeMs: disconnectedDiesAfterMs === null ? null : ago(disconnectedDiesAfterMs),
    linkedAgentIds,
    limit: sweepAgentsAtOnce,
  });
  for (const { id, name } of dead) log.info({ agentId: id, name }, 'agent died of silence');
  return { died: dead.map(({ id }) => id) };
}
