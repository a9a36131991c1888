/** Another `--model` at a later start: the endpoint `default` goes on with another model. */
import type { EndpointEntry, ModelEntry } from '../../domain/directory.ts';
import type { ControlParts } from '../parts.ts';
import { defaultEndpointSlug, defaultProjectSlug, type ModelWish } from './bootstrap.ts';

export type DefaultModelOutcome =
  | { ok: true; model: ModelEntry; changed: boolean }
  /** Somebody has removed or renamed what the first start made. */
  | { ok: false; reason: 'no_default_endpoint' };

/** The endpoint `default` of the project `default`; null: somebody has removed or renamed it. */
export async function defaultEndpointOf({
  store,
}: Pick<ControlParts, 'store'>): Promise<EndpointEntry | null> {
  const found = await store.projectAccess({ project: defaultProjectSlug, userId: null });
  const endpoints = found === null ? [] : await store.endpointsOf(found.project.id);
  return endpoints.find(({ slug }) => slug === defaultEndpointSlug) ?? null;
}

/** The catalogue model of the endpoint `default`. */
export async function defaultModelOf(
  parts: Pick<ControlParts, 'store'>,
): Promise<ModelEntry | null> {
  const endpoint = await defaultEndpointOf(parts);
  return endpoint === null ? null : parts.store.modelById(endpoint.modelId);
}

/**
 * Points the catalogue model of the endpoint `default` at `wish`; the same source again changes
 * nothing. Endpoints keep their model's id, so that all of them move together.
 */
export async function ensureDefaultModel(
  parts: Pick<ControlParts, 'store' | 'clock' | 'log'>,
  wish: ModelWish,
): Promise<DefaultModelOutcome> {
  const model = await defaultModelOf(parts);
  if (model === null) return { ok: false, reason: 'no_default_endpoint' };
  const { name, source, sha256, sizeBytes, contextLength } = wish;
  if (model.source === source && model.sha256 === sha256)
    return { ok: true, model, changed: false };
  const change = { id: model.id, name, source, sha256, sizeBytes, contextLength };
  await parts.store.updateModelSource({ ...change, nowMs: parts.clock.now() });
  parts.log.info({ modelId: model.id, from: model.name, to: name }, 'default model changed');
  const moved = await parts.store.modelById(model.id);
  return { ok: true, model: moved ?? { ...model, ...change }, changed: true };
}
