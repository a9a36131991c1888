/** Names of agents: no two that live have one, among those of an owner. */
import { sql } from 'kysely';
import type { Store } from '../store.ts';
import { lockChanges } from '../directory/changes.ts';
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
    .where(owner, '=', projectId ?? '')
    .where('name', '=', name)
    .where(alive)
    .where('id', '<>', id)
    .executeTakeFirst();
  return row !== undefined;
}

/** Those of the names that living agents of the owner have. */
export async function takenAgentNames(
  { db }: Tx,
  { projectId, names }: Parameters<Store['takenAgentNames']>[0],
): Promise<string[]> {
  const rows = await db
    .selectFrom('agents')
    .select('name')
    .where(owner, '=', projectId ?? '')
    .where('name', 'in', names)
    .where(alive)
    .execute();
  return rows.map(({ name }) => name);
}

// Word for word as in the index: among a hundred thousand agents a name is found at once.
const owner = sql<string>`coalesce(project_id, '')`;
const alive = sql<boolean>`state <> 'dead'`;
