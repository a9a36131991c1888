/** Registers, changes and deletes models, of a project or (operators) of the catalogue. */
import { newId } from '../../lib/ids.ts';
import { auditOf } from '../audit.ts';
import { modelsPerOwner } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeOwner, type Caller, type Denied, type OwnerRef } from '../principal.ts';
import { catalogueRefusal, type CatalogueRefusal } from './catalogueRefusal.ts';
import { invalidField } from '../invalidField.ts';
import { formatOf, readModelWish, type ModelWish } from './modelFields.ts';
import { modelView, type ModelView } from './modelView.ts';

type Parts = Pick<ControlParts, 'store' | 'clock' | 'random' | 'log' | 'config'>;

export type ChangeModelOutcome = { ok: true; model: ModelView } | CatalogueRefusal | Denied;

export async function createModel(
  parts: Parts,
  input: { caller: Caller; owner: OwnerRef; wish: ModelWish & { name: string; source: string } },
): Promise<ChangeModelOutcome> {
  const { caller } = input;
  const allowed = await authorizeOwner(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { projectId } = allowed;
  const read = readModelWish(input.wish);
  if (!read.ok) return read;
  const { name = '', source = '', sizeBytes = null, sha256 = null } = read.patch;
  const { contextLength = null, task = 'generate', format = formatOf(source) } = read.patch;
  if (format === undefined) {
    const rule = 'the source’s name ends in neither .gguf nor .safetensors';
    return invalidField('format', `format is needed: ${rule}.`);
  }
  const id = newId('mdl', parts.random);
  const createdAtMs = parts.clock.now();
  const settings = { name, source, format, task, sizeBytes, sha256, contextLength };
  const outcome = await parts.store.createModel({
    model: { ...settings, id, projectId, createdAtMs },
    atMost: modelsPerOwner,
    audit: auditOf(parts, caller, { action: 'model.create', target: id, projectId }),
  });
  if (!outcome.ok) return catalogueRefusal(outcome, { project: projectId });
  parts.log.info({ modelId: id, projectId }, 'model registered');
  return { ok: true, model: modelView(outcome.model, { mayChange: true }) };
}

/** What the wish leaves out stays as it is, but for digest and size when the source changes. */
export async function updateModel(
  parts: Parts,
  input: {
    caller: Caller;
    owner: OwnerRef;
    modelId: string;
    wish: ModelWish;
    expectedVersion: number | null;
  },
): Promise<ChangeModelOutcome> {
  const { caller, modelId: id, expectedVersion } = input;
  const allowed = await authorizeOwner(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { projectId } = allowed;
  const there = await parts.store.modelById(id);
  if (there?.projectId !== projectId) return { ok: false, reason: 'not_found' };
  const read = readModelWish(input.wish);
  if (!read.ok) return read;
  const { source } = read.patch;
  // A file of the other kind is not what the old one was.
  const format = read.patch.format ?? (source === undefined ? undefined : formatOf(source));
  const outcome = await parts.store.updateModel({
    id,
    projectId,
    patch: { ...read.patch, format },
    tiers: parts.config.tiers,
    expectedVersion,
    audit: auditOf(parts, caller, { action: 'model.update', target: id, projectId }),
  });
  if (!outcome.ok) return catalogueRefusal(outcome, { project: projectId });
  parts.log.info({ modelId: id, projectId }, 'model changed');
  return { ok: true, model: modelView(outcome.model, { mayChange: true }) };
}

export async function deleteModel(
  parts: Parts,
  input: { caller: Caller; owner: OwnerRef; modelId: string },
): Promise<{ ok: true } | CatalogueRefusal | Denied> {
  const { caller, modelId: id } = input;
  const allowed = await authorizeOwner(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { projectId } = allowed;
  const audit = auditOf(parts, caller, { action: 'model.delete', target: id, projectId });
  const outcome = await parts.store.deleteModel({ id, projectId, audit });
  if (!outcome.ok) return catalogueRefusal(outcome, { project: projectId });
  parts.log.info({ modelId: id, projectId }, 'model deleted');
  return { ok: true };
}
