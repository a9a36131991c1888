/** Digests that the operator lets shared agents serve, whoever owns the model. */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { ModelApprovalRow, OperatorStore } from '../contract/operatorStore.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import { appendChanges } from '../directory/changes.ts';
import { lockOwner } from '../projects/ownerLock.ts';
import { pageAfter } from '../queries/pageAfter.ts';

export async function modelApprovals(
  { db }: Tx,
  { page }: { page: Page },
): Promise<Paged<ModelApprovalRow>> {
  const query = db.selectFrom('model_approvals').selectAll();
  const order = ['created_at_ms', 'sha256'] as const;
  return mapPage(await pageAfter(query, { order, direction: 'desc', page }), toApproval);
}

export async function approveModel(
  tx: Tx,
  { approval, atMost }: Parameters<OperatorStore['approveModel']>[0],
): ReturnType<OperatorStore['approveModel']> {
  await lockOwner(tx, null);
  const { sha256, note, approvedBy, createdAtMs } = approval;
  const rows = await tx.db.selectFrom('model_approvals').selectAll().execute();
  const known = rows.find((row) => row.sha256 === sha256);
  if (known !== undefined) {
    noteNothing(tx);
    return { ok: true, approval: toApproval(known) };
  }
  if (rows.length >= atMost) return { ok: false, reason: 'too_many_approvals', limit: atMost };
  await tx.db
    .insertInto('model_approvals')
    .values({ sha256, note, approved_by: approvedBy, created_at_ms: createdAtMs })
    .execute();
  noteChanges<{ note?: string }>(tx, { from: {}, to: { note }, fields: ['note'] });
  await tellModels(tx, sha256);
  return { ok: true, approval };
}

export async function withdrawModelApproval(
  tx: Tx,
  { sha256 }: Parameters<OperatorStore['withdrawModelApproval']>[0],
): ReturnType<OperatorStore['withdrawModelApproval']> {
  const gone = await tx.db
    .deleteFrom('model_approvals')
    .where('sha256', '=', sha256)
    .returning('note')
    .executeTakeFirst();
  if (gone === undefined) return { ok: false, reason: 'not_found' };
  const { note } = gone;
  noteChanges<{ note?: string }>(tx, { from: { note }, to: {}, fields: ['note'] });
  await tellModels(tx, sha256);
  return { ok: true };
}

/** S2: the entries of all models with this digest are others now. */
async function tellModels(tx: Tx, sha256: string): Promise<void> {
  const models = await tx.db
    .selectFrom('models')
    .select('id')
    .where('sha256', '=', sha256)
    .orderBy('id')
    .execute();
  await appendChanges(
    tx,
    models.map(({ id }) => ({ kind: 'model' as const, id })),
  );
}

function toApproval(row: Row<'model_approvals'>): ModelApprovalRow {
  return {
    sha256: row.sha256,
    note: row.note,
    approvedBy: row.approved_by,
    createdAtMs: row.created_at_ms,
  };
}
