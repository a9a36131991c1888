/** Agents: their rows, their stored states, and when they were seen. */
import { sql } from 'kysely';
import { mayBecome } from '../../domain/agents/agentState.ts';
import type { AgentEntry, StopMode, StoredAgentState } from '../../domain/directory.ts';
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import { rowsPerStatement } from '../limits.ts';
import type { AgentRow } from '../contract/agentStore.ts';
import type { Refused } from '../contract/refused.ts';
import type { Store } from '../store.ts';
import type { Row } from '../tables.ts';
import { forUpdate } from '../transaction.ts';
import type { Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import { appendAgentEvent } from './agentEvents.ts';
import { appendChanges } from '../directory/changes.ts';
import { chunks, fromList, fromListOrNull, toList, toListOrNull } from '../queries/columns.ts';

export async function agentById({ db }: Tx, id: string): Promise<AgentRow | null> {
  const row = await db.selectFrom('agents').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : toAgentRow(row);
}

export async function agentByEnrollment(
  { db }: Tx,
  { joinKeyId, publicKey }: { joinKeyId: string; publicKey: string },
): Promise<AgentRow | null> {
  const row = await db
    .selectFrom('agents')
    .selectAll()
    .where('join_key_id', '=', joinKeyId)
    .where('public_key', '=', publicKey)
    .executeTakeFirst();
  return row === undefined ? null : toAgentRow(row);
}

/** The row, locked until the transaction ends. */
export async function lockAgent(tx: Tx, id: string): Promise<Row<'agents'> | undefined> {
  const query = tx.db.selectFrom('agents').selectAll().where('id', '=', id);
  return forUpdate(tx, query).executeTakeFirst();
}

/** The same of several, in the order of their ids. */
export async function lockAgents(tx: Tx, ids: readonly string[]): Promise<Row<'agents'>[]> {
  if (ids.length === 0) return [];
  const query = tx.db.selectFrom('agents').selectAll().where('id', 'in', ids).orderBy('id');
  return forUpdate(tx, query).execute();
}

export async function setAgentState(
  tx: Tx,
  input: Parameters<Store['setAgentState']>[0],
): Promise<{ ok: true; agent: AgentRow } | Refused<'unknown' | 'dead'>> {
  const { agentId, state, mode = 'cut' } = input;
  const agent = await lockAgent(tx, agentId);
  if (agent === undefined) return { ok: false, reason: 'unknown' };
  const isCut = agent.state === state && agent.stop_mode === 'drain' && mode === 'cut';
  if (agent.state === 'dead' && !isCut) return { ok: false, reason: 'dead' };
  if (!isCut && !mayBecome({ from: agent.state, to: state })) {
    noteNothing(tx);
    return { ok: true, agent: toAgentRow(agent) };
  }
  const changed = await changeAgentState(tx, { ...input, agent });
  const fields = ['state', 'suspendedReason', 'stopMode'] as const;
  noteChanges(tx, { from: toAgentRow(agent), to: changed, fields });
  return { ok: true, agent: changed };
}

/** Writes state, event and change of an agent that the transaction has locked. */
export async function changeAgentState(
  tx: Tx,
  input: {
    agent: Row<'agents'>;
    state: StoredAgentState;
    atMs: number;
    mode?: StopMode | undefined;
    kind?: string | undefined;
    actor: string;
    reason: string;
  },
): Promise<AgentRow> {
  const { agent, state, atMs, mode = 'cut', actor, reason, kind = eventKinds[state] } = input;
  const row = await tx.db
    .updateTable('agents')
    .set({
      state,
      state_since_ms: atMs,
      stop_mode: state === 'enrolled' ? 'cut' : mode,
      suspended_reason: state === 'suspended' ? reason : null,
      version: agent.version + 1,
      // B1: the dead are bound to nothing; their endpoints stay closed to others (B2).
      ...(state === 'dead' ? { bound_endpoint_ids: null } : {}),
    })
    .where('id', '=', agent.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAgentEvent(tx, {
    agentId: agent.id,
    atMs,
    kind,
    actor,
    detail: reason,
  });
  await appendChanges(tx, [{ kind: 'agent', id: agent.id }]);
  return toAgentRow(row);
}

const eventKinds: Record<StoredAgentState, string> = {
  enrolled: 'resumed',
  suspended: 'suspended',
  dead: 'died',
};

export async function markFirstLinked(
  tx: Tx,
  { agentId, atMs }: { agentId: string; atMs: number },
): Promise<{ ok: true; first: boolean } | Refused<'unknown'>> {
  const agent = await lockAgent(tx, agentId);
  if (agent === undefined) return { ok: false, reason: 'unknown' };
  if (agent.first_linked_at_ms !== null) return { ok: true, first: false };
  await tx.db
    .updateTable('agents')
    .set({
      first_linked_at_ms: atMs,
      // A sighting may have been written before: time does not go back.
      last_seen_at_ms: Math.max(agent.last_seen_at_ms ?? 0, atMs),
    })
    .where('id', '=', agentId)
    .execute();
  await appendChanges(tx, [{ kind: 'agent', id: agentId }]);
  return { ok: true, first: true };
}

/** `values` names its columns `column1`, `column2` on both databases. */
export async function markSeen(
  { db }: Tx,
  batch: readonly { agentId: string; lastSeenAtMs: number }[],
): Promise<void> {
  for (const chunk of chunks(batch, rowsPerStatement)) {
    const rows = chunk.map(
      ({ agentId, lastSeenAtMs }) =>
        sql`(cast(${agentId} as text), cast(${lastSeenAtMs} as bigint))`,
    );
    await sql`
      update agents set last_seen_at_ms = seen.column2
      from (values ${sql.join(rows)}) as seen
      where agents.id = seen.column1 and coalesce(agents.last_seen_at_ms, 0) < seen.column2
    `.execute(db);
  }
}

export async function expireAgents(
  tx: Tx,
  input: Parameters<Store['expireAgents']>[0],
): Promise<AgentRow[]> {
  const { pendingBeforeMs, silentBeforeMs, atMs, limit } = input;
  const linked = new Set(input.linkedAgentIds);
  const candidates = tx.db
    .selectFrom('agents')
    .selectAll()
    // Word for word as in the index of those that never came.
    .where(sql<boolean>`state = 'enrolled'`)
    .where((where) => {
      const pending = where.and([
        sql<boolean>`first_linked_at_ms is null`,
        where('state_since_ms', '<', pendingBeforeMs),
      ]);
      if (silentBeforeMs === null) return pending;
      const silent = where.and([
        where('first_linked_at_ms', 'is not', null),
        where('last_seen_at_ms', '<', silentBeforeMs),
        where('state_since_ms', '<', silentBeforeMs),
      ]);
      return where.or([pending, silent]);
    })
    .orderBy('id')
    .limit(limit + linked.size);
  const expired = (await forUpdate(tx, candidates).execute())
    .filter(({ id }) => !linked.has(id))
    .slice(0, limit);
  const dead: AgentRow[] = [];
  for (const agent of expired) {
    const rule = agent.first_linked_at_ms === null ? 'never_linked' : 'silent_too_long';
    const reason = rule;
    const actor = `rule:${rule}`;
    const death = { agent, state: 'dead', atMs, actor, reason } as const;
    dead.push(await changeAgentState(tx, death));
  }
  return dead;
}

export async function insertAgent({ db }: Tx, agent: AgentRow): Promise<AgentRow> {
  const row = await db
    .insertInto('agents')
    .values({
      id: agent.id,
      worker_id: agent.workerId,
      name: agent.name,
      description: agent.description,
      project_id: agent.projectId,
      join_key_id: agent.joinKeyId,
      public_key: agent.publicKey,
      region: agent.region,
      state: agent.state,
      stop_mode: agent.stopMode,
      state_since_ms: agent.stateSinceMs,
      suspended_reason: agent.suspendedReason,
      generation: agent.generation,
      token_hash: agent.tokenHash,
      previous_token_hash: agent.previousTokenHash,
      supported_tiers: toListOrNull(agent.supportedTiers),
      effective_tiers: toList(agent.effectiveTiers),
      max_concurrent_requests: agent.maxConcurrentRequests,
      bound_endpoint_ids: toListOrNull(agent.boundEndpointIds),
      storage_limit_bytes: agent.storageLimitBytes,
      facts: agent.facts,
      first_linked_at_ms: agent.firstLinkedAtMs,
      last_seen_at_ms: agent.lastSeenAtMs,
      created_at_ms: agent.createdAtMs,
      version: agent.version,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return toAgentRow(row);
}

export function toAgentRow(row: Row<'agents'>): AgentRow {
  return {
    ...toAgent(row),
    description: row.description,
    joinKeyId: row.join_key_id,
    facts: row.facts,
    tokenHash: row.token_hash,
    previousTokenHash: row.previous_token_hash,
    createdAtMs: row.created_at_ms,
    stateSinceMs: row.state_since_ms,
    suspendedReason: row.suspended_reason,
    version: row.version,
  };
}

/** The columns of what the data plane sees: no facts, which are long, and no hash of a token. */
export const agentEntryColumns = [
  'id',
  'worker_id',
  'name',
  'project_id',
  'region',
  'state',
  'stop_mode',
  'generation',
  'public_key',
  'supported_tiers',
  'effective_tiers',
  'max_concurrent_requests',
  'bound_endpoint_ids',
  'storage_limit_bytes',
  'first_linked_at_ms',
  'last_seen_at_ms',
] as const satisfies (keyof Row<'agents'>)[];

/** What the data plane sees of an agent. */
export function toAgent(row: Pick<Row<'agents'>, (typeof agentEntryColumns)[number]>): AgentEntry {
  return {
    id: row.id,
    workerId: row.worker_id,
    name: row.name,
    projectId: row.project_id,
    region: row.region,
    state: row.state,
    stopMode: row.stop_mode,
    generation: row.generation,
    publicKey: row.public_key,
    supportedTiers: fromListOrNull<TierSlug>(row.supported_tiers),
    effectiveTiers: fromList<TierSlug>(row.effective_tiers),
    maxConcurrentRequests: row.max_concurrent_requests,
    boundEndpointIds: fromListOrNull(row.bound_endpoint_ids),
    storageLimitBytes: row.storage_limit_bytes,
    firstLinkedAtMs: row.first_linked_at_ms,
    lastSeenAtMs: row.last_seen_at_ms,
  };
}
