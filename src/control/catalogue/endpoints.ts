/** Lists a project's endpoints, and looks at one. */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import { listRows } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeProject, type Caller, type Denied } from '../principal.ts';
import { endpointView, type EndpointView } from './endpointView.ts';

type Parts = Pick<ControlParts, 'store'>;

/** Oldest first; by default the first `listRows`. */
export async function listEndpoints(
  { store }: Parts,
  input: { caller: Caller; project: string; page?: Page | undefined },
): Promise<{ ok: true; endpoints: Paged<EndpointView> } | Denied> {
  const { caller, page = { after: null, limit: listRows } } = input;
  const allowed = await authorizeProject(store, {
    caller,
    project: input.project,
    role: 'member',
  });
  if (!allowed.ok) return allowed;
  const { project } = allowed;
  const details = await store.endpointPage({ projectId: project.id, page });
  const endpoints = mapPage(details, (detail) => endpointView(detail, { project, caller }));
  return { ok: true, endpoints };
}

/** `endpoint`: its slug or id. */
export async function endpointOf(
  { store }: Parts,
  input: { caller: Caller; project: string; endpoint: string },
): Promise<{ ok: true; endpoint: EndpointView } | { ok: false; reason: 'not_found' } | Denied> {
  const { caller, endpoint: ref } = input;
  const allowed = await authorizeProject(store, {
    caller,
    project: input.project,
    role: 'member',
  });
  if (!allowed.ok) return allowed;
  const { project } = allowed;
  const detail = await store.endpointByRef({ projectId: project.id, ref });
  if (detail === null) return { ok: false, reason: 'not_found' };
  return { ok: true, endpoint: endpointView(detail, { project, caller }) };
}
