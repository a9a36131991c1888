/** Names of agents: no two that live have one, among those of an owner. */
import { lockChanges } from './changes.ts';
import type { Tx } from '../transaction.ts';

/**
 * Whether another living agent of the owner has the name. From here on nobody takes it until the
 * transaction ends: whoever wants a name has to ask this first.
 */
export async function isNameTaken(
  tx: Tx,
  agent: { id: string; projectId: string | null; name: string },
): Promise<boolean> {
  const { id, projectId, name } = agent;
  await lockChanges(tx);
  const row = await tx.db
    .selectFrom('agents')
    .select('id')
    .where((where) => where.fn.coalesce('project_id', where.val('')), '=', projectId ?? '')
    .where('name', '=', name)
    .where('state', '<>', 'dead')
    .where('id', '<>', id)
    .executeTakeFirst();
  return row !== undefined;
}
