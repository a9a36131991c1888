/**
 * Suspends, resumes and removes agents, and revokes their credentials. What is stored changes here,
 * with an event that names actor and reason; the directory's change then stops work in the router
 * and closes links: at once, or (`drain`) when what runs has ended.
 */
import type { StopMode, StoredAgentState } from '../../domain/directory.ts';
import { auditOf } from '../audit.ts';
import type { ControlParts } from '../parts.ts';
import { actorOf, type Denied, type OwnerRef, type Caller } from '../principal.ts';
import { authorizeAgent, type NotFound } from './agents.ts';
import { agentView, type AgentView } from './agentView.ts';
import { eventDetail } from './eventDetail.ts';

export interface AgentCommand {
  caller: Caller;
  owner: OwnerRef;
  agentId: string;
  /** In the caller's words; shown with the event. */
  reason?: string | undefined;
}

export interface StopCommand extends AgentCommand {
  /** Of running requests; `drain` unless said otherwise. */
  mode?: StopMode | undefined;
}

export type AgentCommandOutcome =
  | { ok: true; agent: AgentView }
  /** Dead is final. */
  | { ok: false; reason: 'agent_dead' }
  | NotFound
  | Denied;

type Parts = Pick<ControlParts, 'store' | 'clock' | 'log'>;

/**
 * No new work goes to it, and it has no link once what runs is over. It stays so over restarts.
 * Idempotent; `cut` after `drain` ends what is left.
 */
export function suspendAgent(parts: Parts, command: StopCommand): Promise<AgentCommandOutcome> {
  const { mode = 'drain' } = command;
  const change: Change = {
    state: 'suspended',
    mode,
    verb: 'suspend',
    fallback: 'suspended',
  };
  return carryOut(parts, command, change);
}

/** Back to what its links say; a drain that goes on is as if it had never been. Idempotent. */
export function resumeAgent(parts: Parts, command: AgentCommand): Promise<AgentCommandOutcome> {
  const change: Change = {
    state: 'enrolled',
    mode: 'cut',
    verb: 'resume',
    fallback: 'resumed',
  };
  return carryOut(parts, command, change);
}

/** Final: its credentials are void at once, it must enrol again. Idempotent. */
export function removeAgent(parts: Parts, command: StopCommand): Promise<AgentCommandOutcome> {
  const { mode = 'drain' } = command;
  const change: Change = { state: 'dead', mode, verb: 'remove', fallback: 'removed' };
  return carryOutFinally(parts, command, change);
}

/**
 * For credentials that somebody else may have: they are void at once, whoever holds them loses the
 * link with everything that runs on it, and the history says why. An agent without credentials is
 * dead by definition, so this is a removal that waits for nothing. Idempotent.
 */
export function revokeAgentCredentials(
  parts: Parts,
  command: AgentCommand,
): Promise<AgentCommandOutcome> {
  return carryOutFinally(parts, command, {
    state: 'dead',
    mode: 'cut',
    verb: 'revoke_credentials',
    kind: 'credentials_revoked',
    fallback: 'credentials revoked',
  });
}

interface Change {
  state: StoredAgentState;
  mode: StopMode;
  /** Of the audit note. */
  verb: string;
  /** Of the event, where it is not the state's. */
  kind?: string;
  /** What was done, as the reason of somebody who gave none. */
  fallback: string;
}

async function carryOutFinally(
  parts: Parts,
  command: AgentCommand,
  change: Change,
): Promise<AgentCommandOutcome> {
  const outcome = await carryOut(parts, command, change);
  if (outcome.ok || outcome.reason !== 'agent_dead') return outcome;
  const { caller, owner, agentId } = command;
  const dead = await authorizeAgent(parts, { caller, owner, agentId, role: 'owner' });
  return dead.ok ? { ok: true, agent: agentView(dead.agent) } : dead;
}

async function carryOut(
  parts: Parts,
  command: AgentCommand,
  change: Change,
): Promise<AgentCommandOutcome> {
  const { caller, owner, agentId } = command;
  const { state, mode, verb, kind, fallback } = change;
  const found = await authorizeAgent(parts, { caller, owner, agentId, role: 'owner' });
  if (!found.ok) return found;
  const outcome = await parts.store.setAgentState({
    agentId,
    state,
    mode,
    kind,
    atMs: parts.clock.now(),
    actor: actorOf(caller.principal),
    reason: eventDetail(command.reason ?? '') || `${fallback} by ${whoIs(found.agent.projectId)}`,
    audit: auditOf(parts, caller, {
      action: `agent.${verb}`,
      target: agentId,
      projectId: found.agent.projectId,
    }),
  });
  if (!outcome.ok) {
    return { ok: false, reason: outcome.reason === 'dead' ? 'agent_dead' : 'not_found' };
  }
  parts.log.info({ agentId, state, mode, actor: actorOf(caller.principal) }, 'agent changed');
  return { ok: true, agent: agentView(outcome.agent) };
}

const whoIs = (projectId: string | null): string =>
  projectId === null ? 'an operator' : 'its owner';
