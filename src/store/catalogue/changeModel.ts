/** Creates, changes and deletes models. Every refusal comes before the first row is written. */
import { servingTiers } from '../../domain/settings/endpointSettings.ts';
import { quotaExcess } from '../../domain/settings/freeQuota.ts';
import { patchedModel } from '../../domain/settings/modelSettings.ts';
import type { TierTable } from '../../domain/tiers/tiers.ts';
import type {
  CatalogueStore,
  EndpointName,
  ModelRefusal,
  ModelRow,
} from '../contract/catalogueStore.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import { versionConflict } from './changeEndpoint.ts';
import { appendChanges } from '../directory/changes.ts';
import { toEndpoint } from './endpoints.ts';
import { holdingsOf } from '../projects/holdings.ts';
import { insertModel, lockModel, modelById, toModelRow } from './models.ts';
import { lockOwner } from '../projects/ownerLock.ts';

type Input<Name extends keyof CatalogueStore> = Parameters<CatalogueStore[Name]>[0];
type Outcome<Name extends keyof CatalogueStore> = ReturnType<CatalogueStore[Name]>;

/** Endpoints that a refusal names. */
const namedEndpoints = 10;

export async function createModel(tx: Tx, input: Input<'createModel'>): Outcome<'createModel'> {
  const { model, atMost } = input;
  const { id, projectId } = model;
  if (!(await lockOwner(tx, projectId))) return { ok: false, reason: 'unknown_project' };
  const refused = await countRefusal(tx, { projectId, atMost });
  if (refused !== null) return refused;
  await insertModel(tx, model);
  const row = (await modelById(tx, id)) as ModelRow;
  note(tx, null, row);
  await appendChanges(tx, [{ kind: 'model', id }]);
  return { ok: true, model: row };
}

async function countRefusal(
  tx: Tx,
  { projectId, atMost }: { projectId: string | null; atMost: number },
): Promise<ModelRefusal | null> {
  const { count } = await tx.db
    .selectFrom('models')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('project_id', projectId === null ? 'is' : '=', projectId)
    .executeTakeFirstOrThrow();
  if (count >= atMost) return { ok: false, reason: 'too_many_models', limit: atMost };
  if (projectId === null) return null;
  const before = await holdingsOf(tx, projectId);
  const after = { ...before, models: before.models + 1 };
  const excess = quotaExcess({ before, after });
  return excess === null ? null : { ok: false, reason: 'quota', excess };
}

export async function updateModel(tx: Tx, input: Input<'updateModel'>): Outcome<'updateModel'> {
  const record = await lockModel(tx, input.id);
  if (record === undefined || record.project_id !== input.projectId) {
    return { ok: false, reason: 'not_found' };
  }
  const stale = versionConflict(record, input.expectedVersion);
  if (stale !== null) return stale;
  const before = toModelRow(record);
  const after = { ...before, ...patchedModel(before, input.patch) };
  const refused = await sizeRefusal(tx, { model: after, tiers: input.tiers });
  if (refused !== null) return refused;
  const columns = {
    name: after.name,
    source: after.source,
    format: after.format,
    task: after.task,
    size_bytes: after.sizeBytes,
    sha256: after.sha256,
    context_length: after.contextLength,
  };
  const names = Object.keys(columns) as (keyof typeof columns)[];
  if (names.every((name) => columns[name] === record[name])) {
    noteNothing(tx);
    return { ok: true, model: before };
  }
  await tx.db
    .updateTable('models')
    .set({ ...columns, updated_at_ms: input.audit.atMs, version: record.version + 1 })
    .where('id', '=', record.id)
    .execute();
  const model = (await modelById(tx, record.id)) as ModelRow;
  note(tx, before, model);
  await appendChanges(tx, [{ kind: 'model', id: record.id }]);
  return { ok: true, model };
}

/** E3 for every endpoint that uses the model. New ones wait for the model's lock. */
async function sizeRefusal(
  tx: Tx,
  { model, tiers }: { model: ModelRow; tiers: TierTable },
): Promise<Extract<Awaited<Outcome<'updateModel'>>, { reason: 'model_too_large' }> | null> {
  const { sizeBytes } = model;
  if (sizeBytes === null) return null;
  for (const row of await usersOf(tx, model.id)) {
    for (const tier of servingTiers(toEndpoint(row))) {
      const { maxModelBytes: maxBytes } = tiers[tier];
      if (maxBytes === null || sizeBytes <= maxBytes) continue;
      const endpoint = nameOf(row);
      return { ok: false, reason: 'model_too_large', endpoint, tier, sizeBytes, maxBytes };
    }
  }
  return null;
}

export async function deleteModel(tx: Tx, input: Input<'deleteModel'>): Outcome<'deleteModel'> {
  const record = await lockModel(tx, input.id);
  if (record === undefined || record.project_id !== input.projectId) {
    return { ok: false, reason: 'not_found' };
  }
  const users = await usersOf(tx, record.id);
  if (users.length > 0) {
    const endpoints = users.slice(0, namedEndpoints).map(nameOf);
    return { ok: false, reason: 'model_in_use', endpoints, count: users.length };
  }
  await tx.db.deleteFrom('models').where('id', '=', record.id).execute();
  note(tx, toModelRow(record), null);
  await appendChanges(tx, [{ kind: 'model', id: record.id }]);
  return { ok: true };
}

type User = Row<'endpoints'> & { project_slug: string };

async function usersOf({ db }: Tx, modelId: string): Promise<User[]> {
  return db
    .selectFrom('endpoints')
    .innerJoin('projects', 'projects.id', 'endpoints.project_id')
    .selectAll('endpoints')
    .select('projects.slug as project_slug')
    .where('endpoints.model_id', '=', modelId)
    .orderBy('endpoints.created_at_ms')
    .orderBy('endpoints.id')
    .execute();
}

const nameOf = (row: User): EndpointName => ({ project: row.project_slug, slug: row.slug });

/** What the audit log tells of a model. The query of an address may hold a token (C2). */
function noted(model: ModelRow) {
  const { name, format, task, sizeBytes, sha256, contextLength } = model;
  const source = model.source.replace(/\?.*$/s, '?…');
  return { name, source, format, task, sizeBytes, sha256, contextLength };
}

function note(tx: Tx, from: ModelRow | null, to: ModelRow | null): void {
  const [before, after] = [from === null ? {} : noted(from), to === null ? {} : noted(to)];
  const fields = Object.keys({ ...before, ...after }) as (keyof ReturnType<typeof noted>)[];
  noteChanges<Partial<ReturnType<typeof noted>>>(tx, { from: before, to: after, fields });
}
