/** The audit log (S7). */
import type {
  AuditChanges,
  AuditNote,
  AuditQuery,
  AuditRow,
  AuditValue,
  NamedAuditRow,
} from '../contract/auditStore.ts';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { withActorNames } from '../people/actorNames.ts';
import { pageAfter } from '../queries/pageAfter.ts';

/**
 * Of the fields named, those that differ are told by the note of this transaction. Says whether any
 * does.
 */
export function noteChanges<Thing extends Partial<Record<keyof Thing, AuditValue>>>(
  tx: Tx,
  change: { from: Thing; to: Thing; fields: readonly (keyof Thing & string)[] },
): boolean {
  const { from, to, fields } = change;
  let differs = false;
  for (const field of fields) {
    const [before, after] = [from[field] ?? null, to[field] ?? null];
    if (JSON.stringify(before) === JSON.stringify(after)) continue;
    tx.noted[field] = { from: before, to: after };
    differs = true;
  }
  return differs;
}

/** The call was right and changed nothing (it came twice): there is nothing to note. */
export function noteNothing(tx: Tx): void {
  tx.unchanged = true;
}

/** Run by `methods.ts` at the end of a method of access `change` that changed something. */
export async function appendAuditNote(tx: Tx, note: AuditNote): Promise<void> {
  const changes: AuditChanges = { ...note.changes, ...tx.noted };
  await tx.db
    .insertInto('audit_events')
    .values({
      at_ms: note.atMs,
      actor: note.actor,
      action: note.action,
      target_kind: note.targetKind,
      target_id: note.targetId,
      project_id: note.projectId,
      request_id: note.requestId,
      address: note.address,
      changes: JSON.stringify(changes),
    })
    .execute();
}

export async function auditNotes(
  tx: Tx,
  { page, ...input }: AuditQuery & { page: Page },
): Promise<Paged<NamedAuditRow>> {
  const equal = {
    project_id: input.projectId,
    action: input.action,
    actor: input.actor,
    target_kind: input.targetKind,
    target_id: input.targetId,
  };
  let query = tx.db.selectFrom('audit_events').selectAll();
  for (const [column, value] of Object.entries(equal) as [keyof typeof equal, string?][]) {
    if (value !== undefined) query = query.where(column, '=', value);
  }
  if (input.fromMs !== undefined) query = query.where('at_ms', '>=', input.fromMs);
  if (input.toMs !== undefined) query = query.where('at_ms', '<', input.toMs);
  const paged = await pageAfter(query, { order: ['id'], direction: 'desc', page });
  const { items, next } = mapPage(paged, toAuditRow);
  const { projectId } = input;
  const readers = projectId === undefined ? 'anybody' : { membersOf: projectId };
  return { items: await withActorNames(tx, items, readers), next };
}

export async function deleteOldAuditNotes(
  { db }: Tx,
  { beforeMs, limit }: { beforeMs: number; limit: number },
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('audit_events')
    .where('id', 'in', (expression) =>
      expression
        .selectFrom('audit_events')
        .select('id')
        .where('at_ms', '<', beforeMs)
        .orderBy('at_ms')
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

function toAuditRow(row: Row<'audit_events'>): AuditRow {
  return {
    id: row.id,
    atMs: row.at_ms,
    actor: row.actor,
    action: row.action,
    targetKind: row.target_kind,
    targetId: row.target_id,
    projectId: row.project_id,
    requestId: row.request_id,
    address: row.address,
    changes: JSON.parse(row.changes) as AuditChanges,
  };
}
