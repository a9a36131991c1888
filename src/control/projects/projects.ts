/** The projects that the caller may see, and one of them. */
import type { Page, Place } from '../../lib/page.ts';
import type { ProjectRow } from '../../store/contract/projectStore.ts';
import { listRows } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import {
  authorizeProject,
  deniedAtAll,
  roleIn,
  type Caller,
  type Denied,
  type ProjectRole,
} from '../principal.ts';

type Parts = Pick<ControlParts, 'store'>;

export interface ProjectView {
  project: ProjectRow;
  role: ProjectRole;
}

/** The projects in which the caller has a role, oldest first; by default the first `listRows`. */
export async function listProjects(
  { store }: Parts,
  input: { caller: Caller; page?: Page | undefined },
): Promise<{ ok: true; projects: ProjectView[]; next: Place | null } | Denied> {
  const { caller, page = { after: null, limit: listRows } } = input;
  const { principal } = caller;
  const no = deniedAtAll(principal);
  if (no !== undefined) return no;
  if (principal.kind !== 'user') return ofKey({ store }, caller);
  const userId = principal.role === 'admin' ? null : principal.userId;
  const { items, next } = await store.projectsOf({ userId, page });
  const projects = items.flatMap(({ project, role: membership }) => {
    const role = roleIn(principal, { projectId: project.id, membership });
    return role === null ? [] : [{ project, role }];
  });
  return { ok: true, projects, next };
}

async function ofKey(
  { store }: Parts,
  caller: Caller,
): Promise<{ ok: true; projects: ProjectView[]; next: null }> {
  const { principal } = caller;
  const project = principal.kind === 'api_key' ? principal.projectId : '';
  const own = await authorizeProject(store, { caller, project, role: 'member' });
  const projects = own.ok ? [{ project: own.project, role: own.role }] : [];
  return { ok: true, projects, next: null };
}

export async function projectOf(
  { store }: Parts,
  { caller, project }: { caller: Caller; project: string },
): Promise<({ ok: true } & ProjectView) | Denied> {
  return authorizeProject(store, { caller, project, role: 'member' });
}
