/** The requests of a project, one by one. */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { UsageRow } from '../../store/contract/usageStore.ts';
import type { InvalidField } from '../invalidField.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeProject, type Caller, type Denied } from '../principal.ts';
import { readUsageFilter, type UsageWish } from './usageWish.ts';

type Parts = Pick<ControlParts, 'store'>;

/** One finished request. Names are there as long as their things are. */
export interface RequestView extends UsageRow {
  /** Own agents by name, others as `shared`; null when nothing served. */
  agentName: string | null;
  apiKeyName: string | null;
  modelName: string | null;
}

/** Newest first. */
export async function recentRequests(
  { store }: Parts,
  input: {
    caller: Caller;
    project: string;
    wish?: UsageWish & { outcome?: string | undefined };
    page: Page;
  },
): Promise<{ ok: true; requests: Paged<RequestView> } | InvalidField | Denied> {
  const { caller, project, wish = {}, page } = input;
  const allowed = await authorizeProject(store, { caller, project, role: 'member' });
  if (!allowed.ok) return allowed;
  const read = readUsageFilter(wish);
  if (!read.ok) return read;
  const projectId = allowed.project.id;
  const filter = { ...read.filter, outcome: wish.outcome };
  const rows = await store.recentUsage({ projectId, filter, page });
  const view = await viewsOf(store, { projectId, rows: rows.items });
  return { ok: true, requests: mapPage(rows, view) };
}

/**
 * One request of the project. `request` null: the store has no record of it (yet, or because it was
 * never accepted); the router may know it. `projectId`: whose it has to be.
 */
export async function requestOf(
  { store }: Parts,
  input: { caller: Caller; project: string; requestId: string },
): Promise<{ ok: true; projectId: string; request: RequestView | null } | Denied> {
  const { caller, project, requestId } = input;
  const allowed = await authorizeProject(store, { caller, project, role: 'member' });
  if (!allowed.ok) return allowed;
  const projectId = allowed.project.id;
  const row = await store.usageRecord({ projectId, requestId });
  if (row === null) return { ok: true, projectId, request: null };
  const view = await viewsOf(store, { projectId, rows: [row] });
  return { ok: true, projectId, request: view(row) };
}

async function viewsOf(
  store: Parts['store'],
  { projectId, rows }: { projectId: string; rows: readonly UsageRow[] },
): Promise<(row: UsageRow) => RequestView> {
  const names = await store.usageNames({
    projectId,
    agentIds: rows.map(({ agentId }) => agentId).filter((id) => id !== null),
    apiKeyIds: rows.map(({ apiKeyId }) => apiKeyId),
    modelIds: rows.map(({ modelId }) => modelId),
  });
  return (row) => ({
    ...row,
    agentName: row.agentId === null ? null : (names.agents[row.agentId] ?? 'shared'),
    apiKeyName: names.apiKeys[row.apiKeyId] ?? null,
    modelName: names.models[row.modelId] ?? null,
  });
}
