/** A binding from the agent's side, as a change of its own. */
import type { CatalogueStore } from '../contract/catalogueStore.ts';
import type { Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from './audit.ts';
import { bindAgentTo, lockBindings } from './bindings.ts';
import { appendChanges } from './changes.ts';
import { fromListOrNull } from './columns.ts';

export async function bindAgent(
  tx: Tx,
  input: Parameters<CatalogueStore['bindAgent']>[0],
): ReturnType<CatalogueStore['bindAgent']> {
  const { agentId, projectId, endpointIds, audit } = input;
  await lockBindings(tx);
  const from = await boundEndpoints(tx, agentId);
  const bound = await bindAgentTo(tx, { agentId, projectId, endpointIds, nowMs: audit.atMs });
  if (!bound.ok) return bound;
  if (bound.changes.length === 0) {
    noteNothing(tx);
    return { ok: true };
  }
  const to = await boundEndpoints(tx, agentId);
  noteChanges(tx, { from, to, fields: ['boundEndpointIds'] });
  await appendChanges(tx, bound.changes);
  return { ok: true };
}

async function boundEndpoints(
  { db }: Tx,
  agentId: string,
): Promise<{ boundEndpointIds: string[] | null }> {
  const agent = await db
    .selectFrom('agents')
    .select('bound_endpoint_ids')
    .where('id', '=', agentId)
    .executeTakeFirst();
  return { boundEndpointIds: fromListOrNull(agent?.bound_endpoint_ids ?? null) };
}
