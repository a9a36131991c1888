/** What a person changes of an agent, as one transaction. */
import type { AgentPatch, AgentRow, AgentStore } from '../contract/agentStore.ts';
import type { Tx } from '../transaction.ts';
import { appendAgentEvent } from './agentEvents.ts';
import { isNameTaken } from './agentNames.ts';
import { agentById, lockAgent, toAgentRow } from './agents.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import { bindAgentTo, lockBindings } from './bindings.ts';
import { appendChanges } from '../directory/changes.ts';
import { snakeCase, toList, toListOrNull } from '../queries/columns.ts';

type Input = Parameters<AgentStore['updateAgent']>[0];
type Outcome = Awaited<ReturnType<AgentStore['updateAgent']>>;

export async function updateAgent(tx: Tx, input: Input): Promise<Outcome> {
  const { agentId, projectId, boundEndpointIds: endpointIds, expectedVersion, audit } = input;
  if (endpointIds !== undefined) await lockBindings(tx);
  const before = await agentById(tx, agentId);
  if (before === null || before.projectId !== projectId) return { ok: false, reason: 'not_found' };
  const bound =
    endpointIds === undefined || before.state === 'dead'
      ? ({ ok: true, changes: [] } as const)
      : await bindAgentTo(tx, { agentId, projectId, endpointIds, nowMs: audit.atMs });
  // It may die until it is locked.
  if (!bound.ok) return bound.reason === 'agent_not_found' ? { ok: false, reason: 'dead' } : bound;
  const row = await lockAgent(tx, agentId);
  if (row === undefined) return { ok: false, reason: 'not_found' };
  if (row.state === 'dead') return { ok: false, reason: 'dead' };
  const rebound = bound.changes.length > 0;
  // A new binding has counted it up already; what is refused here is rolled back.
  const version = row.version - (rebound ? 1 : 0);
  if (expectedVersion !== null && version !== expectedVersion) {
    return { ok: false, reason: 'version_conflict' };
  }
  const from = toAgentRow(row);
  const to = patched(from, input.patch);
  if (to.name !== from.name && (await isNameTaken(tx, to))) {
    return { ok: false, reason: 'name_taken' };
  }
  noteChanges(tx, {
    from: { boundEndpointIds: before.boundEndpointIds },
    to: { boundEndpointIds: to.boundEndpointIds },
    fields: ['boundEndpointIds'],
  });
  noteChanges(tx, { from, to, fields: changeable });
  const fields = Object.keys(tx.noted);
  if (fields.length === 0) {
    noteNothing(tx);
    return { ok: true, agent: from };
  }
  const agent = await write(tx, { ...to, version: version + 1 });
  await appendAgentEvent(tx, {
    agentId,
    atMs: audit.atMs,
    kind: 'changed',
    actor: audit.actor,
    detail: fields.map((field) => snakeCase(field)).join(', '),
  });
  await appendChanges(tx, rebound ? bound.changes : [{ kind: 'agent', id: agentId }]);
  return { ok: true, agent };
}

const changeable = [
  'name',
  'description',
  'region',
  'maxConcurrentRequests',
  'supportedTiers',
  'effectiveTiers',
  'storageLimitBytes',
] as const satisfies (keyof AgentRow)[];

function patched(agent: AgentRow, patch: AgentPatch): AgentRow {
  const { tiers, storageLimitBytes = agent.storageLimitBytes } = patch;
  return {
    ...agent,
    name: patch.name ?? agent.name,
    description: patch.description ?? agent.description,
    region: patch.region ?? agent.region,
    maxConcurrentRequests: patch.maxConcurrentRequests ?? agent.maxConcurrentRequests,
    supportedTiers: tiers === undefined ? agent.supportedTiers : tiers.supported,
    effectiveTiers: tiers?.effective ?? agent.effectiveTiers,
    storageLimitBytes,
  };
}

async function write({ db }: Tx, agent: AgentRow): Promise<AgentRow> {
  const row = await db
    .updateTable('agents')
    .set({
      name: agent.name,
      description: agent.description,
      region: agent.region,
      max_concurrent_requests: agent.maxConcurrentRequests,
      supported_tiers: toListOrNull(agent.supportedTiers),
      effective_tiers: toList(agent.effectiveTiers),
      storage_limit_bytes: agent.storageLimitBytes,
      version: agent.version,
    })
    .where('id', '=', agent.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  return toAgentRow(row);
}
