/** What a project shows to its people: its last requests. */
import type { UsageRow } from '../../store/contract/usageStore.ts';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeProject, type Caller, type Denied } from '../principal.ts';

type Parts = Pick<ControlParts, 'store'>;

/** One finished request. */
export interface RequestView extends UsageRow {
  /** Own agents by name, others as `shared`; null when nothing served. */
  agentName: string | null;
}

/** Newest first. */
export async function recentRequests(
  { store }: Parts,
  input: { caller: Caller; project: string; page: Page },
): Promise<{ ok: true; requests: Paged<RequestView> } | Denied> {
  const { caller, project, page } = input;
  const allowed = await authorizeProject(store, { caller, project, role: 'member' });
  if (!allowed.ok) return allowed;
  const projectId = allowed.project.id;
  const rows = await store.recentUsage({ projectId, page });
  const own = await store.agentsOf(projectId);
  const names = new Map(own.map(({ id, name }) => [id, name]));
  const requests = mapPage(rows, (row) => ({
    ...row,
    agentName: row.agentId === null ? null : (names.get(row.agentId) ?? 'shared'),
  }));
  return { ok: true, requests };
}
