/** All agents of an owner, the living ones first, as lists show them. */
import type { AgentRow } from '../../store/contract/agentStore.ts';
import type { Store } from '../../store/store.ts';

/** `projectId`: null = the shared ones. There may be as many as one page holds. */
export async function agentsOf(
  store: Pick<Store, 'agentPage'>,
  projectId: string | null,
): Promise<AgentRow[]> {
  const page = { after: null, limit: 1_000 };
  const living = await store.agentPage({ projectId, dead: false, page });
  const dead = await store.agentPage({ projectId, dead: true, page });
  return [...living.items, ...dead.items];
}
