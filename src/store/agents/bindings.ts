/**
 * Exclusive bindings. One has two sides, the agent's list of endpoints and the endpoint's mark;
 * both are changed here, from whichever side the wish comes, in the caller's transaction.
 *
 * Invariants
 * B1 A living agent is bound to endpoints that exist and are exclusive; a dead one to none.
 * B2 An endpoint becomes exclusive by naming agents, and open again by being unbound from the last
 *    one that is alive. Agents that die take nothing with them: the endpoint stays closed to
 *    others until its owner says otherwise.
 * B3 An exclusive endpoint has no fallback.
 *
 * Locks come in this order: `lockBindings`, projects, models, endpoints by id, agents by id.
 */
import { sql } from 'kysely';
import { takeAdvisoryLock } from '../advisoryLocks.ts';
import type { BindingRefusal, BoundAgent } from '../contract/catalogueStore.ts';
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import { boundAgentsPerEndpoint, boundEndpointsPerAgent } from '../limits.ts';
import type { Row } from '../tables.ts';
import type { ChangeKind } from '../tables/frameTables.ts';
import { lockAgents } from './agents.ts';
import { forUpdate } from '../transaction.ts';
import type { Tx } from '../transaction.ts';
import { containing, fromList, fromListOrNull, toListOrNull } from '../queries/columns.ts';

type Changes = { kind: ChangeKind; id: string }[];

/** For `appendChanges`. */
export type BindingOutcome = { ok: true; changes: Changes } | BindingRefusal;

/**
 * First in every transaction that changes a binding: two that come from two sides would wait for
 * each other's rows.
 */
export async function lockBindings(tx: Tx): Promise<void> {
  await takeAdvisoryLock(tx, 'bindings');
}

/** The living agents of an endpoint: until the transaction ends they can only die. */
async function boundIds({ db }: Tx, endpointId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('agents')
    .select('id')
    .where('bound_endpoint_ids', 'is not', null)
    .where(
      sql<boolean>`bound_endpoint_ids like ${containing(JSON.stringify(endpointId))} escape '!'`,
    )
    .execute();
  return rows.map(({ id }) => id);
}

/** Agents by endpoint, oldest first. */
export async function boundAgentsOf(
  { db }: Tx,
  where: { projectId: string; endpointIds: readonly string[] },
): Promise<Map<string, BoundAgent[]>> {
  const rows = await db
    .selectFrom('agents')
    .select(['id', 'name', 'project_id', 'effective_tiers', 'state', 'bound_endpoint_ids'])
    .where('bound_endpoint_ids', 'is not', null)
    .where((row) =>
      row.or([row('project_id', '=', where.projectId), row('project_id', 'is', null)]),
    )
    .orderBy('created_at_ms')
    .orderBy('id')
    .execute();
  const found = new Map<string, BoundAgent[]>(where.endpointIds.map((id) => [id, []]));
  for (const row of rows) {
    const { id, name, project_id: projectId, state } = row;
    const effectiveTiers = fromList<TierSlug>(row.effective_tiers);
    for (const endpointId of fromListOrNull(row.bound_endpoint_ids) ?? []) {
      found.get(endpointId)?.push({ id, name, projectId, effectiveTiers, state });
    }
  }
  return found;
}

/**
 * Makes exactly `agentIds` the agents of an endpoint that the transaction has locked, or is about
 * to make. The caller writes the endpoint's own side. Agents of the platform are the operator's to
 * bind. A refusal comes before anything is written.
 */
export async function bindEndpoint(
  tx: Tx,
  wish: {
    endpoint: { id: string; projectId: string };
    agentIds: readonly string[];
    byOperator: boolean;
  },
): Promise<BindingOutcome> {
  const { endpoint, byOperator } = wish;
  const wanted = new Set(wish.agentIds);
  if (wanted.size > boundAgentsPerEndpoint) return tooMany(boundAgentsPerEndpoint);
  const agents = await lockAgents(tx, [
    ...new Set([...wanted, ...(await boundIds(tx, endpoint.id))]),
  ]);
  for (const agentId of wanted) {
    const agent = agents.find(({ id }) => id === agentId);
    const isMine = agent?.project_id === endpoint.projectId;
    const mayBind = isMine || (agent?.project_id === null && byOperator);
    const isBound = agent !== undefined && endpointsOf(agent).includes(endpoint.id);
    if (agent === undefined || agent.state === 'dead' || !(mayBind || isBound)) {
      return { ok: false, reason: 'agent_not_found', agentId };
    }
    if (!isBound && endpointsOf(agent).length >= boundEndpointsPerAgent) {
      return tooMany(boundEndpointsPerAgent);
    }
  }
  const changes: Changes = [];
  for (const agent of agents) {
    const rest = endpointsOf(agent).filter((id) => id !== endpoint.id);
    const isWanted = wanted.has(agent.id);
    if (isWanted === rest.length < endpointsOf(agent).length) continue;
    changes.push(await writeBinding(tx, agent, isWanted ? [...rest, endpoint.id] : rest));
  }
  return { ok: true, changes };
}

/** Takes an endpoint that is going to be deleted from every agent's list. */
export async function unbindEndpoint(tx: Tx, endpointId: string): Promise<Changes> {
  const changes: Changes = [];
  for (const agent of await lockAgents(tx, await boundIds(tx, endpointId))) {
    const rest = endpointsOf(agent).filter((id) => id !== endpointId);
    changes.push(await writeBinding(tx, agent, rest));
  }
  return changes;
}

/**
 * Makes exactly `endpointIds` the endpoints of an agent (null: unbound), both sides. The caller
 * holds `lockBindings` and no lock of a row; afterwards the agent and the endpoints are locked. An
 * agent of a project is bound within it; one of the platform (`projectId` null) to any endpoint. A
 * refusal comes before anything is written.
 */
export async function bindAgentTo(
  tx: Tx,
  wish: {
    agentId: string;
    projectId: string | null;
    endpointIds: readonly string[] | null;
    nowMs: number;
  },
): Promise<BindingOutcome> {
  const { agentId, projectId, nowMs } = wish;
  const wanted = new Set(wish.endpointIds ?? []);
  if (wanted.size > boundEndpointsPerAgent) return tooMany(boundEndpointsPerAgent);
  const before = await tx.db
    .selectFrom('agents')
    .select('bound_endpoint_ids')
    .where('id', '=', agentId)
    .executeTakeFirst();
  const left = (fromListOrNull(before?.bound_endpoint_ids ?? null) ?? []).filter(
    (id) => !wanted.has(id),
  );
  const endpoints = await lockEndpoints(tx, [...wanted, ...left]);
  const named = endpoints.filter(({ id }) => wanted.has(id));
  for (const endpointId of wanted) {
    const endpoint = named.find(({ id }) => id === endpointId);
    const isOpen = projectId === null || endpoint?.project_id === projectId;
    if (endpoint === undefined || !isOpen) {
      return { ok: false, reason: 'endpoint_not_found', endpointId };
    }
  }
  const falling = named.find((endpoint) => endpoint.fallback_enabled === 1);
  if (falling !== undefined) {
    return { ok: false, reason: 'endpoint_falls_back', endpointSlug: falling.slug };
  }
  const [agent] = await lockAgents(tx, [agentId]);
  if (agent === undefined || agent.project_id !== projectId || agent.state === 'dead') {
    return { ok: false, reason: 'agent_not_found', agentId };
  }
  const had = endpointsOf(agent);
  if (had.length === wanted.size && left.length === 0) return { ok: true, changes: [] };
  const others = new Map<string, string[]>();
  for (const { id } of endpoints) {
    const bound = (await boundIds(tx, id)).filter((one) => one !== agentId);
    if (wanted.has(id) && bound.length >= boundAgentsPerEndpoint) {
      return tooMany(boundAgentsPerEndpoint);
    }
    others.set(id, bound);
  }
  const changes: Changes = [await writeBinding(tx, agent, [...wanted])];
  for (const endpoint of endpoints) {
    const isBound = wanted.has(endpoint.id) || others.get(endpoint.id)?.length !== 0;
    const exclusive = isBound ? 1 : 0;
    if (exclusive === endpoint.exclusive) continue;
    await tx.db
      .updateTable('endpoints')
      .set({ exclusive, version: endpoint.version + 1, updated_at_ms: nowMs })
      .where('id', '=', endpoint.id)
      .execute();
    changes.push({ kind: 'endpoint', id: endpoint.id });
  }
  return { ok: true, changes };
}

async function lockEndpoints(tx: Tx, ids: readonly string[]): Promise<Row<'endpoints'>[]> {
  if (ids.length === 0) return [];
  const query = tx.db.selectFrom('endpoints').selectAll().where('id', 'in', ids).orderBy('id');
  return forUpdate(tx, query).execute();
}

async function writeBinding(
  tx: Tx,
  agent: Row<'agents'>,
  endpointIds: readonly string[],
): Promise<Changes[number]> {
  await tx.db
    .updateTable('agents')
    .set({
      bound_endpoint_ids: toListOrNull(endpointIds.length === 0 ? null : endpointIds),
      version: agent.version + 1,
    })
    .where('id', '=', agent.id)
    .execute();
  return { kind: 'agent', id: agent.id };
}

const endpointsOf = (agent: Row<'agents'>): readonly string[] =>
  fromListOrNull(agent.bound_endpoint_ids) ?? [];

const tooMany = (limit: number): BindingRefusal => ({
  ok: false,
  reason: 'too_many_bindings',
  limit,
});
