/**
 * API keys of a project, by its owners: made, listed, changed, rotated, revoked. A value is shown
 * once, where it is made (C2); the directory's change then makes it known to the data plane.
 */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { ApiKeyChange, ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import type { ProjectRow } from '../../store/contract/projectStore.ts';
import { auditOf, changedBy } from '../audit.ts';
import { invalidParam, type InvalidField } from '../invalidField.ts';
import { livingApiKeysPerProject, rotationGraceMs } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeProject, type Caller, type Denied } from '../principal.ts';
import { readApiKeyFields, type ApiKeyField, type ApiKeyWish } from './apiKeyFields.ts';
import { beyondBounds, boundsOf } from './keyBounds.ts';
import { newApiKeyRow, newApiKeyText } from './apiKeyText.ts';
import { apiKeyView, type ApiKeyView } from './apiKeyView.ts';

type Parts = Pick<ControlParts, 'store' | 'clock'>;

interface OfProject {
  caller: Caller;
  project: string;
}

interface OfKey extends OfProject {
  apiKeyId: string;
}

type NotFound = { ok: false; reason: 'not_found' };
type Conflict = { ok: false; reason: 'version_conflict' };
type EndpointMissing = { ok: false; reason: 'endpoint_not_found' };

/** C3: keys are a matter of the project's owners. */
function authorized(parts: Pick<Parts, 'store'>, wish: OfProject) {
  return authorizeProject(parts.store, { ...wish, role: 'owner' });
}

function view(parts: Pick<Parts, 'clock'>, row: ApiKeyRow, project: ProjectRow): ApiKeyView {
  return apiKeyView(row, { projectSlug: project.slug, nowMs: parts.clock.now() });
}

/** Oldest first, revoked and expired ones included. */
export async function listApiKeys(
  parts: Parts,
  { page, ...wish }: OfProject & { page: Page },
): Promise<{ ok: true; page: Paged<ApiKeyView> } | Denied> {
  const allowed = await authorized(parts, wish);
  if (!allowed.ok) return allowed;
  const { project } = allowed;
  const rows = await parts.store.apiKeysOf({ projectId: project.id, page });
  return { ok: true, page: mapPage(rows, (row) => view(parts, row, project)) };
}

export async function apiKeyOf(
  parts: Parts,
  { apiKeyId: id, ...wish }: OfKey,
): Promise<{ ok: true; key: ApiKeyView } | NotFound | Denied> {
  const allowed = await authorized(parts, wish);
  if (!allowed.ok) return allowed;
  const { project } = allowed;
  const row = await parts.store.apiKeyById({ id, projectId: project.id });
  if (row === null) return { ok: false, reason: 'not_found' };
  return { ok: true, key: view(parts, row, project) };
}

/** The field of a wish that goes beyond what the calling key is bound to; undefined: none does. */
async function wider(
  parts: Pick<Parts, 'store'>,
  wish: { caller: Caller; project: ProjectRow; change: ApiKeyChange },
): Promise<InvalidField<ApiKeyField> | undefined> {
  const { caller, project, change } = wish;
  const bounds = await boundsOf(parts, caller);
  const { endpointId: ref } = change;
  if (bounds === null || ref === undefined || ref === null) return beyondBounds(bounds, change);
  // It may be given by its slug. One that is not there is for the store to refuse.
  const found = await parts.store.endpointByRef({ projectId: project.id, ref });
  return beyondBounds(bounds, { ...change, endpointId: found?.endpoint.id ?? ref });
}

/** A key with its value, which is shown once. */
export interface ShownApiKey {
  ok: true;
  key: ApiKeyView;
  text: string;
}

export type CreateApiKeyOutcome =
  | ShownApiKey
  | InvalidField<ApiKeyField>
  | EndpointMissing
  | { ok: false; reason: 'too_many_api_keys'; limit: number }
  | Denied;

export async function createApiKey(
  parts: Parts & Pick<ControlParts, 'random'>,
  input: OfProject & { name: string; scopes: ApiKeyRow['scopes']; wish: Omit<ApiKeyWish, 'name'> },
): Promise<CreateApiKeyOutcome> {
  const { caller } = input;
  const allowed = await authorized(parts, input);
  if (!allowed.ok) return allowed;
  const { project } = allowed;
  const scopes = [...new Set(input.scopes)];
  if (scopes.length === 0) {
    return invalidParam('scopes', "is empty; give 'inference', 'management' or both");
  }
  const { name } = input;
  const read = readApiKeyFields({ ...input.wish, name }, parts.clock.now());
  if (!read.ok) return read;
  const unbound = { endpointId: null, ipAllowList: [], expiresAtMs: null };
  const beyond = await wider(parts, { caller, project, change: { ...unbound, ...read.change } });
  if (beyond !== undefined) return beyond;
  const createdBy = changedBy(caller);
  const fields = { name, ...read.change };
  const { row, text } = newApiKeyRow(parts, { project, scopes, createdBy, ...fields });
  const outcome = await parts.store.insertApiKey({
    key: row,
    livingLimit: livingApiKeysPerProject,
    audit: auditOf(parts, caller, {
      action: 'api_key.create',
      target: row.id,
      projectId: project.id,
      changes: { name: { from: null, to: row.name }, scopes: { from: null, to: scopes } },
    }),
  });
  if (outcome.ok) return { ok: true, key: view(parts, outcome.key, project), text };
  switch (outcome.reason) {
    case 'unknown_project':
      return { ok: false, reason: 'project_not_found' };
    case 'unknown_endpoint':
      return { ok: false, reason: 'endpoint_not_found' };
    case 'too_many':
      return { ok: false, reason: 'too_many_api_keys', limit: livingApiKeysPerProject };
  }
}

export type UpdateApiKeyOutcome =
  | { ok: true; key: ApiKeyView }
  | InvalidField<ApiKeyField>
  | NotFound
  | Conflict
  | EndpointMissing
  | { ok: false; reason: 'api_key_revoked' }
  | { ok: false; reason: 'too_many_api_keys'; limit: number }
  | Denied;

/** Everything but the scopes: a key that may do more is another key. */
export async function updateApiKey(
  parts: Parts,
  input: OfKey & { expectedVersion: number | null; wish: ApiKeyWish },
): Promise<UpdateApiKeyOutcome> {
  const { caller, apiKeyId: id, expectedVersion } = input;
  const allowed = await authorized(parts, input);
  if (!allowed.ok) return allowed;
  const { project } = allowed;
  const read = readApiKeyFields(input.wish, parts.clock.now());
  if (!read.ok) return read;
  const beyond = await wider(parts, { caller, project, change: read.change });
  if (beyond !== undefined) return beyond;
  const { id: projectId } = project;
  const outcome = await parts.store.updateApiKey({
    id,
    projectId,
    expectedVersion,
    change: read.change,
    livingLimit: livingApiKeysPerProject,
    audit: auditOf(parts, caller, { action: 'api_key.update', target: id, projectId }),
  });
  if (outcome.ok) return { ok: true, key: view(parts, outcome.key, project) };
  switch (outcome.reason) {
    case 'unknown':
      return { ok: false, reason: 'not_found' };
    case 'unknown_endpoint':
      return { ok: false, reason: 'endpoint_not_found' };
    case 'revoked':
      return { ok: false, reason: 'api_key_revoked' };
    case 'version_conflict':
      return { ok: false, reason: 'version_conflict' };
    case 'too_many':
      return { ok: false, reason: 'too_many_api_keys', limit: livingApiKeysPerProject };
  }
}

export type RotateApiKeyOutcome =
  | ShownApiKey
  | InvalidField<'grace_seconds'>
  | NotFound
  | Conflict
  | { ok: false; reason: 'api_key_revoked' | 'api_key_expired' }
  | Denied;

/**
 * A new value in place. The present one stays good for `graceMs` (24 hours unless given; 0 ends it
 * at once, for a value that got out); one that was in its grace already ends now.
 */
export async function rotateApiKey(
  parts: Parts & Pick<ControlParts, 'random'>,
  input: OfKey & { expectedVersion: number | null; graceMs?: number | undefined },
): Promise<RotateApiKeyOutcome> {
  const { caller, apiKeyId: id, expectedVersion, graceMs = rotationGraceMs } = input;
  const allowed = await authorized(parts, input);
  if (!allowed.ok) return allowed;
  if (!(graceMs >= 0 && graceMs <= rotationGraceMs)) {
    const most = rotationGraceMs / 1000;
    return invalidParam('grace_seconds', `is ${graceMs / 1000}; give 0 to ${most}`);
  }
  const { project } = allowed;
  const { id: projectId, slug: projectSlug } = project;
  const bounds = await boundsOf(parts, caller);
  const rotated = bounds === null ? null : await parts.store.apiKeyById({ id, projectId });
  // Its new value would be the caller's.
  if (rotated !== null && beyondBounds(bounds, rotated) !== undefined) {
    return { ok: false, reason: 'insufficient_permissions' };
  }
  const { text, sha256, lastFour } = newApiKeyText({ projectSlug, random: parts.random });
  const nowMs = parts.clock.now();
  const graceUntilMs = nowMs + Math.floor(graceMs);
  const outcome = await parts.store.rotateApiKey({
    id,
    projectId,
    // What was looked at above is what is rotated.
    expectedVersion: expectedVersion ?? rotated?.version ?? null,
    sha256,
    lastFour,
    nowMs,
    graceUntilMs,
    audit: auditOf(parts, caller, {
      action: 'api_key.rotate',
      target: id,
      projectId,
      changes: { graceUntilMs: { from: null, to: graceUntilMs } },
    }),
  });
  if (outcome.ok) return { ok: true, key: view(parts, outcome.key, project), text };
  switch (outcome.reason) {
    case 'unknown':
      return { ok: false, reason: 'not_found' };
    case 'revoked':
      return { ok: false, reason: 'api_key_revoked' };
    case 'expired':
      return { ok: false, reason: 'api_key_expired' };
    case 'version_conflict':
      return { ok: false, reason: 'version_conflict' };
  }
}

/** Final, and idempotent. */
export async function revokeApiKey(
  parts: Parts,
  input: OfKey,
): Promise<{ ok: true } | NotFound | Denied> {
  const { caller, apiKeyId: id } = input;
  const allowed = await authorized(parts, input);
  if (!allowed.ok) return allowed;
  const { id: projectId } = allowed.project;
  const outcome = await parts.store.revokeApiKey({
    id,
    projectId,
    nowMs: parts.clock.now(),
    audit: auditOf(parts, caller, { action: 'api_key.revoke', target: id, projectId }),
  });
  return outcome.ok ? outcome : { ok: false, reason: 'not_found' };
}
