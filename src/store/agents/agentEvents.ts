/** What happened to agents, with actor and reason. */
import { agentEventsKept } from '../limits.ts';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { AgentEventRow, NamedAgentEvent } from '../contract/agentStore.ts';
import { forUpdate } from '../transaction.ts';
import type { Tx } from '../transaction.ts';
import { withActorNames } from '../people/actorNames.ts';
import { pageAfter } from '../queries/pageAfter.ts';

/** An event of an agent that is not there any more is dropped. */
export async function insertAgentEvent(tx: Tx, event: Omit<AgentEventRow, 'id'>): Promise<void> {
  const query = tx.db.selectFrom('agents').select('id').where('id', '=', event.agentId);
  const agent = await forUpdate(tx, query).executeTakeFirst();
  if (agent !== undefined) await appendAgentEvent(tx, event);
}

/**
 * Of each agent the newest `agentEventsKept` events stay. The caller has locked the agent (or has
 * just made it): two at once would not see each other's event, and keep one too many.
 */
export async function appendAgentEvent(
  { db }: Tx,
  event: Omit<AgentEventRow, 'id'>,
): Promise<void> {
  await db
    .insertInto('agent_events')
    .values({
      agent_id: event.agentId,
      at_ms: event.atMs,
      kind: event.kind,
      actor: event.actor,
      detail: event.detail,
    })
    .execute();
  await db
    .deleteFrom('agent_events')
    .where('agent_id', '=', event.agentId)
    .where('id', '<=', (expression) =>
      expression
        .selectFrom('agent_events as newer')
        .select('newer.id')
        .where('newer.agent_id', '=', event.agentId)
        .orderBy('newer.id', 'desc')
        .offset(agentEventsKept)
        .limit(1),
    )
    .execute();
}

/** Newest first. */
export async function agentEvents(
  tx: Tx,
  { agentId, page }: { agentId: string; page: Page },
): Promise<Paged<NamedAgentEvent>> {
  const query = tx.db.selectFrom('agent_events').selectAll().where('agent_id', '=', agentId);
  const paged = await pageAfter(query, { order: ['id'], direction: 'desc', page });
  const { items, next } = mapPage(paged, (row) => ({
    id: row.id,
    agentId: row.agent_id,
    atMs: row.at_ms,
    kind: row.kind,
    actor: row.actor,
    detail: row.detail,
  }));
  const agent = await tx.db
    .selectFrom('agents')
    .select('project_id')
    .where('id', '=', agentId)
    .executeTakeFirst();
  const { project_id: projectId = null } = agent ?? {};
  const readers = projectId === null ? 'anybody' : { membersOf: projectId };
  return { items: await withActorNames(tx, items, readers), next };
}
