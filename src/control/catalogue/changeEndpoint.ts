/**
 * Creates, changes and deletes a project's endpoints. What the settings must agree with (model,
 * quota, bindings) is judged by the domain inside the store's one transaction.
 */
import { newEndpointSettings } from '../../domain/settings/endpointSettings.ts';
import type { ProjectEntry } from '../../domain/directory.ts';
import { newId } from '../../lib/ids.ts';
import { slugProblem, slugProblemText } from '../../lib/text/slug.ts';
import type { CatalogueRules, EndpointDetail } from '../../store/contract/catalogueStore.ts';
import { auditOf } from '../audit.ts';
import { endpointsPerProject } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { authorizePlatform, authorizeProject, type Caller, type Denied } from '../principal.ts';
import { catalogueRefusal, type CatalogueRefusal } from './catalogueRefusal.ts';
import { endpointView, type EndpointView } from './endpointView.ts';
import { endpointWarnings } from './endpointWarnings.ts';
import { readEndpointWish, type EndpointWish } from './endpointWish.ts';
import { invalidField, shown } from '../invalidField.ts';

type Parts = Pick<ControlParts, 'store' | 'clock' | 'random' | 'log' | 'config'>;

export type ChangeEndpointOutcome =
  | { ok: true; endpoint: EndpointView; warnings: string[] }
  | CatalogueRefusal
  | Denied;

export async function createEndpoint(
  parts: Parts,
  input: {
    caller: Caller;
    project: string;
    wish: EndpointWish & { slug: string; modelId: string; tier: string };
  },
): Promise<ChangeEndpointOutcome> {
  const { caller, wish } = input;
  const { slug, boundAgentIds = [] } = wish;
  const allowed = await authorizeProject(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { project } = allowed;
  const problem = slugProblem(slug);
  if (problem !== undefined) {
    return invalidField('slug', `slug is ${shown(slug)}; ${slugProblemText[problem]}.`);
  }
  const read = readEndpointWish(wish);
  if (!read.ok) return read;
  const { patch } = read;
  const { modelId } = wish;
  const { tier } = patch;
  if (tier === undefined) throw new Error('a new endpoint without a tier');
  const { tiers } = parts.config;
  const exclusive = boundAgentIds.length > 0;
  const endpoint = {
    ...newEndpointSettings({ ...patch, modelId, tier }, { tiers, exclusive }),
    id: newId('ep', parts.random),
    projectId: project.id,
    slug,
    exclusive,
    createdAtMs: parts.clock.now(),
  };
  const subject = { target: endpoint.id, projectId: project.id };
  const outcome = await parts.store.createEndpoint({
    endpoint,
    boundAgentIds,
    rules: rulesFor(parts, caller),
    atMost: endpointsPerProject,
    audit: auditOf(parts, caller, { action: 'endpoint.create', ...subject }),
  });
  if (!outcome.ok) return catalogueRefusal(outcome, { slug, project: project.id });
  parts.log.info({ endpointId: endpoint.id, projectId: project.id }, 'endpoint created');
  return changed(outcome.detail, { project, caller, warnings: read.warnings });
}

/** What the wish leaves out stays as it is. `endpoint`: its slug or id. */
export async function updateEndpoint(
  parts: Parts,
  input: {
    caller: Caller;
    project: string;
    endpoint: string;
    wish: EndpointWish;
    expectedVersion: number | null;
  },
): Promise<ChangeEndpointOutcome> {
  const { caller, wish, expectedVersion } = input;
  const found = await findEndpoint(parts, input);
  if (!found.ok) return found;
  const { project, id } = found;
  const read = readEndpointWish(wish);
  if (!read.ok) return read;
  const outcome = await parts.store.updateEndpoint({
    projectId: project.id,
    id,
    patch: read.patch,
    boundAgentIds: wish.boundAgentIds,
    rules: rulesFor(parts, caller),
    expectedVersion,
    audit: auditOf(parts, caller, {
      action: 'endpoint.update',
      target: id,
      projectId: project.id,
    }),
  });
  if (!outcome.ok) return catalogueRefusal(outcome, { project: project.id });
  parts.log.info({ endpointId: id, projectId: project.id }, 'endpoint changed');
  return changed(outcome.detail, { project, caller, warnings: read.warnings });
}

/** Usage records stay. Keys that are pinned to it are revoked with it. */
export async function deleteEndpoint(
  parts: Parts,
  input: { caller: Caller; project: string; endpoint: string },
): Promise<{ ok: true; id: string; revokedKeyIds: string[] } | CatalogueRefusal | Denied> {
  const { caller } = input;
  const found = await findEndpoint(parts, input);
  if (!found.ok) return found;
  const { project, id } = found;
  const outcome = await parts.store.deleteEndpoint({
    projectId: project.id,
    id,
    audit: auditOf(parts, caller, {
      action: 'endpoint.delete',
      target: id,
      projectId: project.id,
    }),
  });
  if (!outcome.ok) return catalogueRefusal(outcome, { project: project.id });
  parts.log.info({ endpointId: id, projectId: project.id }, 'endpoint deleted');
  return { ok: true, id, revokedKeyIds: outcome.revokedKeyIds };
}

/** C3: the id behind a slug or id, if the caller owns the project. */
async function findEndpoint(
  { store }: Parts,
  input: { caller: Caller; project: string; endpoint: string },
): Promise<
  { ok: true; project: ProjectEntry; id: string } | { ok: false; reason: 'not_found' } | Denied
> {
  const { caller, endpoint: ref } = input;
  const allowed = await authorizeProject(store, {
    caller,
    project: input.project,
    role: 'owner',
  });
  if (!allowed.ok) return allowed;
  const { project } = allowed;
  const detail = await store.endpointByRef({ projectId: project.id, ref });
  if (detail === null) return { ok: false, reason: 'not_found' };
  return { ok: true, project, id: detail.endpoint.id };
}

function rulesFor({ config }: Parts, caller: Caller): CatalogueRules {
  return { tiers: config.tiers, byOperator: authorizePlatform(caller).ok };
}

function changed(
  detail: EndpointDetail,
  about: { project: ProjectEntry; caller: Caller; warnings: readonly string[] },
): { ok: true; endpoint: EndpointView; warnings: string[] } {
  const endpoint = endpointView(detail, about);
  return { ok: true, endpoint, warnings: [...about.warnings, ...endpointWarnings(endpoint)] };
}
