/** Models, of the shared catalogue and of projects. */
import { sql, type Selectable } from 'kysely';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { ModelEntry } from '../../domain/directory.ts';
import type { CatalogueStore, ModelRow } from '../contract/catalogueStore.ts';
import { rowsPerStatement } from '../limits.ts';
import type { Tables } from '../tables.ts';
import type { Flag } from '../tables/columnTypes.ts';
import { forUpdate } from '../transaction.ts';
import type { Tx } from '../transaction.ts';
import { appendChanges } from '../directory/changes.ts';
import { chunks, fromFlag } from '../queries/columns.ts';
import { pageAfter } from '../queries/pageAfter.ts';

/** A row of the table, with whether the operator has approved its digest. */
export type ModelRecord = Selectable<Tables['models']> & { approved: Flag };

/** Whether the operator has approved the digest, beside the table's own columns. */
export const approvedColumn = sql<Flag>`case when exists (
  select 1 from model_approvals where model_approvals.sha256 = models.sha256
) then 1 else 0 end`;

export function selectModels({ db }: Pick<Tx, 'db'>) {
  return db.selectFrom('models').selectAll().select(approvedColumn.as('approved'));
}

export async function modelById(tx: Tx, id: string): Promise<ModelRow | null> {
  const row = await selectModels(tx).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : toModelRow(row);
}

/** By id; as many as there are. */
export async function modelsById(tx: Tx, ids: readonly string[]): Promise<Map<string, ModelRow>> {
  const found = new Map<string, ModelRow>();
  for (const chunk of chunks([...new Set(ids)], rowsPerStatement)) {
    const rows = await selectModels(tx).where('id', 'in', chunk).execute();
    for (const row of rows) found.set(row.id, toModelRow(row));
  }
  return found;
}

export async function modelPage(
  tx: Tx,
  input: { projectId: string | null; withCatalogue: boolean; page: Page },
): Promise<Paged<ModelRow>> {
  const { projectId, withCatalogue, page } = input;
  const query = selectModels(tx).where((row) => {
    const own = row('project_id', projectId === null ? 'is' : '=', projectId);
    return withCatalogue ? row.or([own, row('project_id', 'is', null)]) : own;
  });
  const order = ['created_at_ms', 'id'] as const;
  return mapPage(await pageAfter(query, { order, direction: 'asc', page }), toModelRow);
}

/** Locked until the transaction ends: neither its size nor its being there changes meanwhile. */
export async function lockModel(tx: Tx, id: string): Promise<ModelRecord | undefined> {
  return forUpdate(tx, selectModels(tx).where('id', '=', id)).executeTakeFirst();
}

export async function updateModelSource(
  tx: Tx,
  input: Parameters<CatalogueStore['updateModelSource']>[0],
): Promise<void> {
  const { numUpdatedRows } = await tx.db
    .updateTable('models')
    .set(({ eb }) => ({
      name: input.name,
      source: input.source,
      sha256: input.sha256,
      size_bytes: input.sizeBytes,
      context_length: input.contextLength,
      updated_at_ms: input.nowMs,
      version: eb('version', '+', 1),
    }))
    .where('id', '=', input.id)
    .executeTakeFirst();
  if (numUpdatedRows > 0n) await appendChanges(tx, [{ kind: 'model', id: input.id }]);
}

export async function insertModel(
  { db }: Tx,
  model: Omit<ModelEntry, 'approvedForShared'> & { createdAtMs: number },
): Promise<void> {
  await db
    .insertInto('models')
    .values({
      id: model.id,
      project_id: model.projectId,
      name: model.name,
      source: model.source,
      format: model.format,
      task: model.task,
      size_bytes: model.sizeBytes,
      sha256: model.sha256,
      context_length: model.contextLength,
      created_at_ms: model.createdAtMs,
      updated_at_ms: model.createdAtMs,
    })
    .execute();
}

export function toModelRow(row: ModelRecord): ModelRow {
  return {
    ...toModel(row),
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
    version: row.version,
  };
}

/** The columns of what the data plane sees. */
export const modelEntryColumns = [
  'id',
  'project_id',
  'name',
  'source',
  'format',
  'task',
  'size_bytes',
  'sha256',
  'context_length',
  'approved',
] as const satisfies (keyof ModelRecord)[];

export function toModel(row: Pick<ModelRecord, (typeof modelEntryColumns)[number]>): ModelEntry {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    source: row.source,
    format: row.format,
    task: row.task,
    sizeBytes: row.size_bytes,
    sha256: row.sha256,
    contextLength: row.context_length,
    approvedForShared: fromFlag(row.approved),
  };
}
