/** Digests that the operator lets shared agents serve, whichever project owns the model. */
import type { Page, Paged } from '../../lib/page.ts';
import type { ModelApprovalRow } from '../../store/contract/operatorStore.ts';
import { auditOf } from '../audit.ts';
import { longestNote, modelApprovals } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { actorOf, authorizePlatform, type Caller, type Denied } from '../principal.ts';
import { invalidField, shown, type InvalidField } from '../invalidField.ts';

/** All that is kept of an approval may be seen. */
export type ModelApprovalView = ModelApprovalRow;

type Parts = Pick<ControlParts, 'store' | 'clock' | 'log'>;

/** Newest first. */
export async function listModelApprovals(
  { store }: Parts,
  { caller, page }: { caller: Caller; page: Page },
): Promise<{ ok: true; approvals: Paged<ModelApprovalRow> } | Denied> {
  const allowed = authorizePlatform(caller);
  if (!allowed.ok) return allowed;
  return { ok: true, approvals: await store.modelApprovals({ page }) };
}

/** Idempotent: an approval that is there stays as it is. */
export async function approveModel(
  parts: Parts,
  input: { caller: Caller; sha256: string; note: string },
): Promise<
  | { ok: true; approval: ModelApprovalRow }
  | InvalidField
  | { ok: false; reason: 'conflict'; message: string }
  | Denied
> {
  const { caller } = input;
  const allowed = authorizePlatform(caller);
  if (!allowed.ok) return allowed;
  const sha256 = input.sha256.trim().toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    return invalidField('sha256', `sha256 is ${shown(sha256)}; it must be 64 hex digits.`);
  }
  const note = input.note.trim();
  if (note.length > longestNote) {
    const message = `note has ${note.length} characters; it may have ${longestNote}.`;
    return invalidField('note', message);
  }
  const createdAtMs = parts.clock.now();
  const approvedBy = actorOf(caller.principal);
  const outcome = await parts.store.approveModel({
    approval: { sha256, note, approvedBy, createdAtMs },
    atMost: modelApprovals,
    audit: auditOf(parts, caller, {
      action: 'model_approval.create',
      target: sha256,
      projectId: null,
    }),
  });
  if (!outcome.ok) {
    const message = `${outcome.limit} digests may be approved. Take one back first.`;
    return { ok: false, reason: 'conflict', message };
  }
  parts.log.info({ sha256, approvedBy }, 'digest approved for shared agents');
  return { ok: true, approval: outcome.approval };
}

/** Shared agents drop the models of projects that have this digest. */
export async function withdrawModelApproval(
  parts: Parts,
  { caller, sha256 }: { caller: Caller; sha256: string },
): Promise<{ ok: true } | { ok: false; reason: 'not_found' } | Denied> {
  const allowed = authorizePlatform(caller);
  if (!allowed.ok) return allowed;
  const subject = { target: sha256, projectId: null };
  const outcome = await parts.store.withdrawModelApproval({
    sha256,
    audit: auditOf(parts, caller, { action: 'model_approval.delete', ...subject }),
  });
  if (!outcome.ok) return outcome;
  parts.log.info({ sha256 }, 'approval of a digest taken back');
  return { ok: true };
}
