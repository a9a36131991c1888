/**
 * Suspends, resumes and removes agents. What is stored changes here, with an event that names actor
 * and reason; the directory's change then closes links and stops work in the router.
 */
import type { StoredAgentState } from '../../domain/directory.ts';
import { auditOf } from '../audit.ts';
import { longestDetail } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { actorOf, type Denied, type OwnerRef, type Caller } from '../principal.ts';
import { authorizeAgent, type NotFound } from './agents.ts';
import { agentView, type AgentView } from './agentView.ts';

export interface AgentCommand {
  caller: Caller;
  owner: OwnerRef;
  agentId: string;
  /** In the caller's words; shown with the event. */
  reason?: string | undefined;
}

export type AgentCommandOutcome =
  | { ok: true; agent: AgentView }
  /** Dead is final. */
  | { ok: false; reason: 'agent_dead' }
  | NotFound
  | Denied;

type Parts = Pick<ControlParts, 'store' | 'clock' | 'log'>;

/** No new work goes to it and its links are closed. It stays so over restarts. Idempotent. */
export function suspendAgent(parts: Parts, command: AgentCommand): Promise<AgentCommandOutcome> {
  return change(parts, { ...command, state: 'suspended', fallback: 'suspended by its owner' });
}

/** Back to what its links say. Idempotent. */
export function resumeAgent(parts: Parts, command: AgentCommand): Promise<AgentCommandOutcome> {
  return change(parts, { ...command, state: 'enrolled', fallback: 'resumed by its owner' });
}

/** Final: its credentials are void, it must enrol again. Idempotent. */
export async function removeAgent(
  parts: Parts,
  command: AgentCommand,
): Promise<AgentCommandOutcome> {
  const outcome = await change(parts, {
    ...command,
    state: 'dead',
    fallback: 'removed by its owner',
  });
  if (outcome.ok || outcome.reason !== 'agent_dead') return outcome;
  const { caller, owner, agentId } = command;
  const dead = await authorizeAgent(parts, { caller, owner, agentId, role: 'owner' });
  return dead.ok ? { ok: true, agent: agentView(dead.agent) } : dead;
}

const verbs: Record<StoredAgentState, string> = {
  enrolled: 'resume',
  suspended: 'suspend',
  dead: 'remove',
};

async function change(
  parts: Parts,
  command: AgentCommand & { state: StoredAgentState; fallback: string },
): Promise<AgentCommandOutcome> {
  const { caller, owner, agentId, state, fallback } = command;
  const found = await authorizeAgent(parts, { caller, owner, agentId, role: 'owner' });
  if (!found.ok) return found;
  const actor = actorOf(caller.principal);
  const reason = (command.reason?.trim() || fallback).slice(0, longestDetail);
  const atMs = parts.clock.now();
  const audit = auditOf(parts, caller, {
    action: `agent.${verbs[state]}`,
    target: agentId,
    projectId: found.agent.projectId,
  });
  const outcome = await parts.store.setAgentState({ agentId, state, atMs, actor, reason, audit });
  if (!outcome.ok) {
    return { ok: false, reason: outcome.reason === 'dead' ? 'agent_dead' : 'not_found' };
  }
  parts.log.info({ agentId, state, actor }, 'agent changed');
  return { ok: true, agent: agentView(outcome.agent) };
}
