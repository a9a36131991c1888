/** Lists join keys, looks at one, revokes one. Agents that it enrolled stay. */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import { auditOf } from '../audit.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeOwner, type Denied, type OwnerRef, type Caller } from '../principal.ts';
import { joinKeyView, type JoinKeyView } from './joinKeyView.ts';

/** Newest first. */
export async function listJoinKeys(
  { store, clock }: Pick<ControlParts, 'store' | 'clock'>,
  { caller, owner, page }: { caller: Caller; owner: OwnerRef; page: Page },
): Promise<{ ok: true; joinKeys: Paged<JoinKeyView> } | Denied> {
  const allowed = await authorizeOwner(store, { caller, owner, role: 'owner' });
  if (!allowed.ok) return allowed;
  const nowMs = clock.now();
  const { projectId } = allowed;
  const rows = await store.joinKeysPage({ projectId, page });
  return { ok: true, joinKeys: mapPage(rows, (row) => joinKeyView(row, nowMs)) };
}

/** A key that does not exist and another's get the same answer. */
export async function joinKeyOf(
  { store, clock }: Pick<ControlParts, 'store' | 'clock'>,
  input: { caller: Caller; owner: OwnerRef; joinKeyId: string },
): Promise<{ ok: true; joinKey: JoinKeyView } | { ok: false; reason: 'not_found' } | Denied> {
  const { caller, owner, joinKeyId } = input;
  const allowed = await authorizeOwner(store, { caller, owner, role: 'owner' });
  if (!allowed.ok) return allowed;
  const row = await store.joinKeyById(joinKeyId);
  if (row === null || row.projectId !== allowed.projectId) {
    return { ok: false, reason: 'not_found' };
  }
  return { ok: true, joinKey: joinKeyView(row, clock.now()) };
}

/** Idempotent. A key that does not exist and another's get the same answer. */
export async function revokeJoinKey(
  { store, clock, log }: Pick<ControlParts, 'store' | 'clock' | 'log'>,
  input: { caller: Caller; owner: OwnerRef; joinKeyId: string },
): Promise<{ ok: true } | { ok: false; reason: 'not_found' } | Denied> {
  const { caller, owner, joinKeyId } = input;
  const allowed = await authorizeOwner(store, { caller, owner, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { projectId } = allowed;
  const action = 'join_key.revoke';
  const audit = auditOf({ clock }, caller, { action, target: joinKeyId, projectId });
  const nowMs = clock.now();
  const outcome = await store.revokeJoinKey({ id: joinKeyId, projectId, nowMs, audit });
  if (!outcome.ok) return { ok: false, reason: 'not_found' };
  log.info({ joinKeyId }, 'join key revoked');
  return { ok: true };
}
