/** Lists models, and looks at one: a project's own and the catalogue's. */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { ModelRow } from '../../store/contract/catalogueStore.ts';
import type { ControlParts } from '../parts.ts';
import {
  authorizePlatform,
  authorizeProject,
  type Caller,
  type Denied,
  type OwnerRef,
} from '../principal.ts';
import { modelView, type ModelView } from './modelView.ts';

type Parts = Pick<ControlParts, 'store'>;

/** Who looks, and what they may change there. */
type Viewer =
  | { ok: true; projectId: string | null; mayChange: (model: ModelRow) => boolean }
  | Denied;

async function viewer(
  { store }: Parts,
  { caller, owner }: { caller: Caller; owner: OwnerRef },
): Promise<Viewer> {
  const operator = authorizePlatform(caller);
  if (owner.kind === 'platform') {
    return operator.ok ? { ok: true, projectId: null, mayChange: () => true } : operator;
  }
  const { project } = owner;
  const allowed = await authorizeProject(store, { caller, project, role: 'member' });
  if (!allowed.ok) return allowed;
  const isOwner = allowed.role === 'owner';
  const mayChange = ({ projectId }: ModelRow): boolean =>
    projectId === null ? operator.ok : isOwner;
  return { ok: true, projectId: allowed.project.id, mayChange };
}

/** Oldest first. `ownership` narrows what a project sees. */
export async function listModels(
  parts: Parts,
  input: {
    caller: Caller;
    owner: OwnerRef;
    page: Page;
    ownership?: 'project' | 'catalogue' | undefined;
  },
): Promise<{ ok: true; models: Paged<ModelView> } | Denied> {
  const { page, ownership } = input;
  const seen = await viewer(parts, input);
  if (!seen.ok) return seen;
  const projectId = ownership === 'catalogue' ? null : seen.projectId;
  const withCatalogue = ownership === undefined;
  const rows = await parts.store.modelPage({ projectId, withCatalogue, page });
  const models = mapPage(rows, (row) => modelView(row, { mayChange: seen.mayChange(row) }));
  return { ok: true, models };
}

/** A model of another project and one that does not exist get the same answer. */
export async function modelOf(
  parts: Parts,
  input: { caller: Caller; owner: OwnerRef; modelId: string },
): Promise<{ ok: true; model: ModelView } | { ok: false; reason: 'not_found' } | Denied> {
  const seen = await viewer(parts, input);
  if (!seen.ok) return seen;
  const row = await parts.store.modelById(input.modelId);
  if (row === null || (row.projectId !== null && row.projectId !== seen.projectId)) {
    return { ok: false, reason: 'not_found' };
  }
  return { ok: true, model: modelView(row, { mayChange: seen.mayChange(row) }) };
}
