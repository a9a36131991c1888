/** Lists agents, and tells what happened to one. */
import { agentStateTable, type AgentState } from '../../domain/agents/agentState.ts';
import type { NamedAgentEvent, AgentQuery, AgentRow } from '../../store/contract/agentStore.ts';
import type { Page, Paged } from '../../lib/page.ts';
import { tierField } from '../catalogue/tierField.ts';
import type { InvalidField } from '../invalidField.ts';
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

export type AgentEventView = NamedAgentEvent;

export type NotFound = { ok: false; reason: 'not_found' };

/** What a list of agents shows; what is left out does not matter. */
export interface AgentFilter {
  state?: AgentState | undefined;
  region?: string | undefined;
  /** A slug from outside. */
  tier?: string | undefined;
  /** A part of the name. */
  name?: string | undefined;
}

export interface AgentsInput {
  caller: Caller;
  owner: OwnerRef;
  /** By default the first `listRows`. */
  page?: Page | undefined;
  filter?: AgentFilter | undefined;
  /** The agents whose link is up now; asked for only where the filter depends on it. */
  linkedAgentIds?: (() => readonly string[]) | undefined;
}

/**
 * The agents of an owner, oldest first, the dead behind the living. For a project, whoever may see
 * the platform's agents gets the shared ones behind them. A place is `[part, createdAtMs, id]`.
 */
export async function listAgents(
  { store }: Parts,
  input: AgentsInput,
): Promise<{ ok: true; agents: Paged<AgentView> } | InvalidField | Denied> {
  const { caller, owner, page = { after: null, limit: listRows } } = input;
  const allowed = await authorizeOwner(store, { caller, owner, role: 'member' });
  if (!allowed.ok) return allowed;
  const read = queryOf(input);
  if (!read.ok) return read;
  const withShared = allowed.projectId !== null && authorizePlatform(caller).ok;
  const owners = withShared ? [allowed.projectId, null] : [allowed.projectId];
  const parts = owners.flatMap((projectId) => [
    { projectId, dead: false },
    { projectId, dead: true },
  ]);
  const [first = 0, ...place] = page.after ?? [];
  const items: AgentView[] = [];
  for (const [at, part] of parts.entries()) {
    const skipped = at < Number(first) || (read.dead ?? part.dead) !== part.dead;
    if (skipped) continue;
    const after = at === first && place.length > 0 ? place : null;
    const left = page.limit - items.length;
    const asked = { ...read.query, ...part, page: { after, limit: Math.max(1, left) } };
    const rows = await store.agentPage(asked);
    // The page is full: whether there is more is all that is left to say.
    if (left === 0 && rows.items.length > 0) {
      return { ok: true, agents: { items, next: [at, 0, ''] } };
    }
    items.push(...rows.items.map(agentView));
    if (rows.next !== null) return { ok: true, agents: { items, next: [at, ...rows.next] } };
  }
  return { ok: true, agents: { items, next: null } };
}

type Query = Omit<AgentQuery, 'projectId' | 'dead'>;

/** `dead` undefined: both. */
function queryOf({
  filter = {},
  linkedAgentIds,
}: AgentsInput): { ok: true; query: Query; dead: boolean | undefined } | InvalidField {
  const { state, region, name } = filter;
  const tier = filter.tier === undefined ? undefined : tierField('tier', filter.tier);
  if (tier !== undefined && !tier.ok) return tier;
  const query: Query = { region, name, tier: tier?.tier };
  if (state === undefined) return { ok: true, query, dead: undefined };
  const { stored, linked, everLinked } = agentStateTable[state];
  const ids = linked === null ? [] : (linkedAgentIds?.() ?? []);
  return {
    ok: true,
    dead: stored === 'dead',
    query: {
      ...query,
      stored,
      linked: linked === null ? undefined : { ids, is: linked },
      everLinked: everLinked ?? undefined,
    },
  };
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
): Promise<{ ok: true; events: Paged<AgentEventView> } | NotFound | Denied> {
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
