/**
 * The rotation-token flow (S5). The store holds hashes of two tokens: the current one, and the one
 * before it, whose owner may have lost the answer that carried the current one. Using the current
 * token makes it the previous one, and so ends the life of the one before.
 */
import { timingSafeEqualHex } from '../../lib/hashing.ts';
import type { RotateInput, RotateOutcome } from '../contract/enrolmentStore.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { changeAgentState, lockAgent } from './agents.ts';
import { appendChanges } from './changes.ts';

const reuseRule = 'rotation_token_reused';

export async function rotateToken(tx: Tx, input: RotateInput): Promise<RotateOutcome> {
  const agent = await lockAgent(tx, input.agentId);
  if (agent === undefined) return { ok: false, reason: 'unknown_agent' };
  if (agent.state === 'dead') return { ok: false, reason: 'agent_dead' };
  if (agent.state === 'suspended') return { ok: false, reason: 'agent_suspended' };
  if (timingSafeEqualHex(agent.token_hash, input.presentedHash)) return advance(tx, agent, input);
  if (isPrevious(agent, input)) return { ok: true, generation: agent.generation };
  await changeAgentState(tx, {
    agent,
    state: 'suspended',
    atMs: input.nowMs,
    actor: `rule:${reuseRule}`,
    reason: reuseRule,
  });
  return { ok: false, reason: 'reused' };
}

async function advance(
  tx: Tx,
  agent: Row<'agents'>,
  { generation, nextHash }: RotateInput,
): Promise<RotateOutcome> {
  // `nextHash` is the token of another generation than the one that would follow.
  if (generation !== agent.generation) return { ok: false, reason: 'stale' };
  await tx.db
    .updateTable('agents')
    .set({
      generation: generation + 1,
      token_hash: nextHash,
      previous_token_hash: agent.token_hash,
    })
    .where('id', '=', agent.id)
    .execute();
  await appendChanges(tx, [{ kind: 'agent', id: agent.id }]);
  return { ok: true, generation: generation + 1 };
}

function isPrevious(agent: Row<'agents'>, { presentedHash }: RotateInput): boolean {
  const previous = agent.previous_token_hash;
  return previous !== null && timingSafeEqualHex(previous, presentedHash);
}
