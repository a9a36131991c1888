/**
 * Enrolment in one transaction.
 *
 * C1 A join key is consumed at most max_uses times, under any concurrency: its row is locked before
 *    its uses are read, and a check in the table refuses one more than it allows.
 */
import { timingSafeEqualHex } from '../../lib/crypto/hashing.ts';
import type { EnrollInput, EnrollOutcome } from '../contract/enrolmentStore.ts';
import type { JoinKeyRow } from '../contract/joinKeyStore.ts';
import type { Row } from '../tables.ts';
import { forUpdate } from '../transaction.ts';
import type { Tx } from '../transaction.ts';
import { appendAgentEvent } from './agentEvents.ts';
import { isNameTaken } from './agentNames.ts';
import { insertAgent, toAgentRow } from './agents.ts';
import { appendChanges } from '../directory/changes.ts';
import { toJoinKey } from './joinKeys.ts';

export async function enroll(tx: Tx, input: EnrollInput): Promise<EnrollOutcome> {
  const key = await lockJoinKey(tx, input.joinKeyId);
  if (key === null) return { ok: false, reason: 'unknown_key' };
  if (!timingSafeEqualHex(key.secretSha256, input.secretSha256)) {
    return { ok: false, reason: 'wrong_secret' };
  }
  if (key.revokedAtMs !== null) return { ok: false, reason: 'revoked' };
  const earlier = await lockEarlierAgent(tx, input);
  return earlier === undefined
    ? createAgent(tx, { ...input, key })
    : resumeAgent(tx, { ...input, key, earlier });
}

async function lockJoinKey(tx: Tx, id: string): Promise<JoinKeyRow | null> {
  const query = tx.db.selectFrom('join_keys').selectAll().where('id', '=', id);
  const row = await forUpdate(tx, query).executeTakeFirst();
  return row === undefined ? null : toJoinKey(row);
}

/** The agent that this key pair made with this join key. */
async function lockEarlierAgent(
  tx: Tx,
  { joinKeyId, agent }: EnrollInput,
): Promise<Row<'agents'> | undefined> {
  const query = tx.db
    .selectFrom('agents')
    .selectAll()
    .where('join_key_id', '=', joinKeyId)
    .where('public_key', '=', agent.publicKey);
  return forUpdate(tx, query).executeTakeFirst();
}

async function createAgent(
  tx: Tx,
  { key, agent, nowMs, resume }: EnrollInput & { key: JoinKeyRow },
): Promise<EnrollOutcome> {
  if (resume !== null) return { ok: false, reason: 'stale' };
  if (nowMs >= key.expiresAtMs) return { ok: false, reason: 'expired' };
  if (key.uses >= key.maxUses) return { ok: false, reason: 'used_up' };
  if (agent.joinKeyId !== key.id || agent.projectId !== key.projectId) {
    throw new Error('the agent to enrol does not belong to the owner of its join key');
  }
  // Two join keys of one owner may want one name at once.
  if (await isNameTaken(tx, agent)) return { ok: false, reason: 'name_taken' };
  await tx.db
    .updateTable('join_keys')
    .set((expression) => ({ uses: expression('uses', '+', 1) }))
    .where('id', '=', key.id)
    .execute();
  const created = await insertAgent(tx, agent);
  await recordEnrollment(tx, { agentId: created.id, nowMs, detail: 'enrolled' });
  return { ok: true, agent: created, resumed: false };
}

/** A retry: the same agent, with tokens that void all earlier ones, and no use consumed. */
async function resumeAgent(
  tx: Tx,
  input: EnrollInput & { key: JoinKeyRow; earlier: Row<'agents'> },
): Promise<EnrollOutcome> {
  const { key, earlier, resume, nowMs, retryGraceMs } = input;
  if (earlier.state === 'dead') return { ok: false, reason: 'agent_dead' };
  if (earlier.state === 'suspended') return { ok: false, reason: 'agent_suspended' };
  if (earlier.first_linked_at_ms !== null) return { ok: false, reason: 'already_linked' };
  if (nowMs >= key.expiresAtMs + retryGraceMs) return { ok: false, reason: 'expired' };
  if (resume?.agentId !== earlier.id || resume.generation !== earlier.generation) {
    return { ok: false, reason: 'stale' };
  }
  if (resume.next.generation < earlier.generation + 2) {
    throw new Error('a retried enrolment must move on two generations to void earlier tokens');
  }
  const row = await tx.db
    .updateTable('agents')
    .set({
      generation: resume.next.generation,
      token_hash: resume.next.tokenHash,
      previous_token_hash: null,
      state_since_ms: nowMs,
    })
    .where('id', '=', earlier.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await recordEnrollment(tx, { agentId: earlier.id, nowMs, detail: 'enrolled again' });
  return { ok: true, agent: toAgentRow(row), resumed: true };
}

async function recordEnrollment(
  tx: Tx,
  { agentId, nowMs, detail }: { agentId: string; nowMs: number; detail: string },
): Promise<void> {
  await appendAgentEvent(tx, { agentId, atMs: nowMs, kind: 'enrolled', actor: 'agent', detail });
  await appendChanges(tx, [{ kind: 'agent', id: agentId }]);
}
