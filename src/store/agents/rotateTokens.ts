/**
 * The rotation-token flow (S5, S8). The store holds hashes of two tokens: the current one, and the
 * one before it, whose owner may have lost the answer that carried the current one. Using the
 * current token makes it the previous one, and so ends the life of the one before.
 *
 * A token of a later generation than the row's is one that this server has made and the database
 * has forgotten: it was restored from a backup that is older than the agent's last refresh. Nobody
 * but the server can make it, and nobody but the agent has it, so it counts as the current one.
 */
import { timingSafeEqualHex } from '../../lib/crypto/hashing.ts';
import type { RotateInput, RotateOutcome } from '../contract/enrolmentStore.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { appendAgentEvent } from './agentEvents.ts';
import { changeAgentState, lockAgent, lockAgents } from './agents.ts';
import { appendChanges } from '../directory/changes.ts';

const reuseRule = 'rotation_token_reused';

/** All agents are locked first and in one order, so that two batches cannot hold each other up. */
export async function rotateTokens(
  tx: Tx,
  inputs: readonly RotateInput[],
): Promise<RotateOutcome[]> {
  await lockAgents(tx, [...new Set(inputs.map(({ agentId }) => agentId))]);
  const outcomes: RotateOutcome[] = [];
  for (const input of inputs) outcomes.push(await rotateToken(tx, input));
  return outcomes;
}

async function rotateToken(tx: Tx, input: RotateInput): Promise<RotateOutcome> {
  const agent = await lockAgent(tx, input.agentId);
  if (agent === undefined) return { ok: false, reason: 'unknown_agent' };
  if (agent.state === 'dead') return { ok: false, reason: 'agent_dead' };
  if (agent.state === 'suspended') return { ok: false, reason: 'agent_suspended' };
  if (timingSafeEqualHex(agent.token_hash, input.presented.hash)) return advance(tx, agent, input);
  if (isPrevious(agent, input)) return { ok: true, generation: agent.generation, ahead: false };
  if (input.presented.generation > agent.generation) return followAhead(tx, agent, input);
  await changeAgentState(tx, {
    agent,
    state: 'suspended',
    atMs: input.nowMs,
    actor: `rule:${reuseRule}`,
    reason: reuseRule,
  });
  return { ok: false, reason: 'reused' };
}

async function advance(tx: Tx, agent: Row<'agents'>, input: RotateInput): Promise<RotateOutcome> {
  // `nextHash` is the token of another generation than the one that would follow.
  if (input.generation !== agent.generation) return { ok: false, reason: 'stale' };
  const generation = agent.generation + 1;
  await writeGeneration(tx, { ...input, generation });
  return { ok: true, generation, ahead: false };
}

/** S8, with an event: the owner should know that the database is not what it was. */
async function followAhead(
  tx: Tx,
  agent: Row<'agents'>,
  input: RotateInput,
): Promise<RotateOutcome> {
  const generation = input.presented.generation + 1;
  await appendAgentEvent(tx, {
    agentId: agent.id,
    atMs: input.nowMs,
    kind: 'token_ahead',
    actor: 'system',
    detail: `the database knew generation ${agent.generation}, the agent has ${generation - 1}`,
  });
  await writeGeneration(tx, { ...input, generation });
  return { ok: true, generation, ahead: true };
}

/** The token that was presented becomes the previous one. */
async function writeGeneration(
  tx: Tx,
  { agentId, presented, generation, nextHash }: RotateInput,
): Promise<void> {
  await tx.db
    .updateTable('agents')
    .set({ generation, token_hash: nextHash, previous_token_hash: presented.hash })
    .where('id', '=', agentId)
    .execute();
  await appendChanges(tx, [{ kind: 'agent', id: agentId }]);
}

function isPrevious(agent: Row<'agents'>, { presented }: RotateInput): boolean {
  const previous = agent.previous_token_hash;
  return previous !== null && timingSafeEqualHex(previous, presented.hash);
}
