/** Models, of the shared catalogue and of projects. */
import type { ModelEntry } from '../../domain/directory.ts';
import type { Store } from '../store.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { appendChanges } from './changes.ts';

export async function modelById({ db }: Tx, id: string): Promise<ModelEntry | null> {
  const row = await db.selectFrom('models').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : toModel(row);
}

export async function updateModelSource(
  tx: Tx,
  input: Parameters<Store['updateModelSource']>[0],
): Promise<void> {
  const { numUpdatedRows } = await tx.db
    .updateTable('models')
    .set({
      name: input.name,
      source: input.source,
      sha256: input.sha256,
      size_bytes: input.sizeBytes,
      context_length: input.contextLength,
    })
    .where('id', '=', input.id)
    .executeTakeFirst();
  if (numUpdatedRows > 0n) await appendChanges(tx, [{ kind: 'model', id: input.id }]);
}

export async function insertModel(
  { db }: Tx,
  model: ModelEntry & { createdAtMs: number },
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
    })
    .execute();
}

export function toModel(row: Row<'models'>): ModelEntry {
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
  };
}
