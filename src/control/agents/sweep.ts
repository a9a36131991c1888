/**
 * Upkeep that time alone brings: agents that never linked within an hour, or were silent for too
 * long, die; expired sessions and idempotency keys, old join keys and audit notes go. Meant to be
 * called about once a minute.
 */
import { pendingDiesAfterMs } from '../../domain/agentState.ts';
import {
  auditKeptMs,
  auditNotesForgottenAtOnce,
  joinKeysForgottenAtOnce,
  joinKeysKeptMs,
  sweepAgentsAtOnce,
} from '../limits.ts';
import type { ControlParts } from '../parts.ts';

/**
 * `linkedAgentIds` are the agents whose link is up now: they are spared whatever the store says,
 * because a slow database must never make an agent look dead. Returns the ids of those that died.
 */
export async function sweep(
  { store, clock, config, log }: Pick<ControlParts, 'store' | 'clock' | 'config' | 'log'>,
  { linkedAgentIds }: { linkedAgentIds: readonly string[] },
): Promise<{ died: string[] }> {
  const nowMs = clock.now();
  const { disconnectedDiesAfterMs } = config;
  await store.deleteExpiredSessions(nowMs);
  await store.deleteExpiredIdempotencyKeys(nowMs);
  await store.deleteOldAuditNotes({
    beforeMs: nowMs - auditKeptMs,
    limit: auditNotesForgottenAtOnce,
  });
  await store.deleteOldJoinKeys({
    beforeMs: nowMs - joinKeysKeptMs,
    limit: joinKeysForgottenAtOnce,
  });
  const dead = await store.expireAgents({
    atMs: nowMs,
    pendingBeforeMs: nowMs - pendingDiesAfterMs,
    silentBeforeMs: disconnectedDiesAfterMs === null ? null : nowMs - disconnectedDiesAfterMs,
    linkedAgentIds,
    limit: sweepAgentsAtOnce,
  });
  for (const { id, name } of dead) log.info({ agentId: id, name }, 'agent died of silence');
  return { died: dead.map(({ id }) => id) };
}
