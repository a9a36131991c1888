/** Reads the audit log: an owner sees the notes of the project, an operator all of them. */
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditQuery, NamedAuditRow } from '../../store/contract/auditStore.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeOwner, type Caller, type Denied, type OwnerRef } from '../principal.ts';

export type AuditFilter = Omit<AuditQuery, 'projectId'>;
export type AuditView = NamedAuditRow;

/** Newest first. */
export async function auditLog(
  { store }: Pick<ControlParts, 'store'>,
  input: { caller: Caller; owner: OwnerRef; filter: AuditFilter; page: Page },
): Promise<{ ok: true; notes: Paged<AuditView> } | Denied> {
  const { caller, owner, filter, page } = input;
  const allowed = await authorizeOwner(store, { caller, owner, role: 'owner' });
  if (!allowed.ok) return allowed;
  const projectId = allowed.projectId ?? undefined;
  return { ok: true, notes: await store.auditNotes({ ...filter, projectId, page }) };
}
