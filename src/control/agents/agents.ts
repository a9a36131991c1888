/** Lists agents, and tells what happened to one. */
import type { AgentEventRow, AgentRow } from '../../store/contract/agentStore.ts';
import type { Page, Paged } from '../../lib/page.ts';
import { listRows } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import {
  authorizeOwner,
  authorizePlatform,
  type Denied,
  type OwnerRef,
  type Caller,
  type ProjectRole,
} from '../principal.ts';
import { agentView, type AgentView } from './agentView.ts';

type Parts = Pick<ControlParts, 'store'>;

export type AgentEventView = AgentEventRow;

export type NotFound = { ok: false; reason: 'not_found' };

/**
 * The agents of an owner, oldest first, at most `listRows`, dead ones last to be shown. For a
 * project, whoever may see the platform's agents gets the shared ones behind them.
 */
export async function listAgents(
  { store }: Parts,
  { caller, owner }: { caller: Caller; owner: OwnerRef },
): Promise<{ ok: true; agents: AgentView[] } | Denied> {
  const allowed = await authorizeOwner(store, { caller, owner, role: 'member' });
  if (!allowed.ok) return allowed;
  const own = await store.agentsOf(allowed.projectId);
  const withShared = allowed.projectId !== null && authorizePlatform(caller).ok;
  const rows = withShared ? [...own, ...(await store.agentsOf(null))] : own;
  const living = rows.filter(({ state }) => state !== 'dead');
  const dead = rows.filter(({ state }) => state === 'dead');
  return { ok: true, agents: [...living, ...dead].slice(0, listRows).map(agentView) };
}

export async function agentOf(
  parts: Parts,
  input: { caller: Caller; owner: OwnerRef; agentId: string },
): Promise<{ ok: true; agent: AgentView } | NotFound | Denied> {
  const found = await authorizeAgent(parts, { ...input, role: 'member' });
  return found.ok ? { ok: true, agent: agentView(found.agent) } : found;
}

/** Newest first. */
export async function agentEvents(
  parts: Parts,
  input: { caller: Caller; owner: OwnerRef; agentId: string; page: Page },
): Promise<{ ok: true; events: Paged<AgentEventRow> } | NotFound | Denied> {
  const found = await authorizeAgent(parts, { ...input, role: 'member' });
  if (!found.ok) return found;
  const { agentId, page } = input;
  return { ok: true, events: await parts.store.agentEvents({ agentId, page }) };
}

/**
 * C3: the agent with this id, if the caller has `role` with its owner. An agent of somebody else
 * and one that does not exist get the same answer.
 */
export async function authorizeAgent(
  { store }: Parts,
  input: { caller: Caller; owner: OwnerRef; agentId: string; role: ProjectRole },
): Promise<{ ok: true; agent: AgentRow } | NotFound | Denied> {
  const allowed = await authorizeOwner(store, input);
  if (!allowed.ok) return allowed;
  const agent = await store.agentById(input.agentId);
  if (agent === null || agent.projectId !== allowed.projectId) {
    return { ok: false, reason: 'not_found' };
  }
  return { ok: true, agent };
}
