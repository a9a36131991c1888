/** API keys: hashes and what they may do. */
import { sql } from 'kysely';
import type { ApiKeyEntry, ApiKeyQuota } from '../../domain/directory.ts';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { ApiKeyRow, ApiKeyStore } from '../contract/apiKeyStore.ts';
import type { Row } from '../tables.ts';
import { forUpdate, type Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from './audit.ts';
import { appendChanges } from '../directory/changes.ts';
import { fromFlag, fromList, toFlag, toList } from '../queries/columns.ts';
import { pageAfter } from '../queries/pageAfter.ts';
import { lockedProject } from './projects.ts';

type Input<Name extends keyof ApiKeyStore> = Parameters<ApiKeyStore[Name]>[0];
type Outcome<Name extends keyof ApiKeyStore> = ReturnType<ApiKeyStore[Name]>;

export async function apiKeysOf(
  { db }: Tx,
  { projectId, page }: { projectId: string; page: Page },
): Promise<Paged<ApiKeyRow>> {
  const query = db.selectFrom('api_keys').selectAll().where('project_id', '=', projectId);
  const order = ['created_at_ms', 'id'] as const;
  return mapPage(await pageAfter(query, { order, direction: 'asc', page }), toApiKeyRow);
}

export async function apiKeyById(
  { db }: Tx,
  { id, projectId }: { id: string; projectId: string },
): Promise<ApiKeyRow | null> {
  const row = await db
    .selectFrom('api_keys')
    .selectAll()
    .where('id', '=', id)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return row === undefined ? null : toApiKeyRow(row);
}

export async function apiKeyByHash({ db }: Tx, sha256: string): Promise<ApiKeyRow | null> {
  const row = await db
    .selectFrom('api_keys')
    .selectAll()
    .where('sha256', '=', sha256)
    .executeTakeFirst();
  return row === undefined ? null : toApiKeyRow(row);
}

export async function insertApiKey(
  tx: Tx,
  { key, livingLimit }: Input<'insertApiKey'>,
): Outcome<'insertApiKey'> {
  const { projectId, createdAtMs: nowMs } = key;
  // Its lock puts creations of one project in order, so that each counts what there is.
  if ((await lockedProject(tx, projectId)) === null) {
    return { ok: false, reason: 'unknown_project' };
  }
  if ((await livingKeys(tx, { projectId, nowMs })) >= livingLimit) {
    return { ok: false, reason: 'too_many' };
  }
  const endpointId = await pinnedEndpoint(tx, { projectId, endpoint: key.endpointId });
  if (endpointId === undefined) return { ok: false, reason: 'unknown_endpoint' };
  const pinned = { ...key, endpointId };
  await writeApiKey(tx, pinned);
  await appendChanges(tx, [{ kind: 'api_key', id: key.id }]);
  return { ok: true, key: pinned };
}

async function livingKeys(
  { db }: Tx,
  { projectId, nowMs }: { projectId: string; nowMs: number },
): Promise<number> {
  const { living } = await db
    .selectFrom('api_keys')
    .select(({ fn }) => fn.countAll<number>().as('living'))
    .where('project_id', '=', projectId)
    // Word for word as in the index.
    .where(sql<boolean>`revoked = 0`)
    .where((eb) => eb.or([eb('expires_at_ms', 'is', null), eb('expires_at_ms', '>', nowMs)]))
    .executeTakeFirstOrThrow();
  return living;
}

/**
 * The id of an endpoint of the project, by id or slug; undefined: there is none. Locked, so that it
 * is still there when the key that is pinned to it commits.
 */
async function pinnedEndpoint(
  tx: Tx,
  { projectId, endpoint }: { projectId: string; endpoint: string | null },
): Promise<string | null | undefined> {
  if (endpoint === null) return null;
  const query = tx.db
    .selectFrom('endpoints')
    .select('id')
    .where(endpoint.includes('_') ? 'id' : 'slug', '=', endpoint)
    .where('project_id', '=', projectId);
  return (await forUpdate(tx, query).executeTakeFirst())?.id;
}

export async function writeApiKey({ db }: Tx, key: ApiKeyRow): Promise<void> {
  await db
    .insertInto('api_keys')
    .values({
      id: key.id,
      project_id: key.projectId,
      name: key.name,
      sha256: key.sha256,
      last_four: key.lastFour,
      previous_sha256: key.previous?.sha256 ?? null,
      previous_until_ms: key.previous?.untilMs ?? null,
      scopes: toList(key.scopes),
      endpoint_id: key.endpointId,
      expires_at_ms: key.expiresAtMs,
      ip_allow_list: toList(key.ipAllowList),
      ...quotaColumns(key.quota),
      revoked: toFlag(key.revoked),
      revoked_at_ms: key.revokedAtMs,
      rotated_at_ms: key.rotatedAtMs,
      last_used_at_ms: key.lastUsedAtMs,
      version: key.version,
      created_at_ms: key.createdAtMs,
      created_by: key.createdBy,
    })
    .execute();
}

async function lockedApiKey(
  tx: Tx,
  { id, projectId }: { id: string; projectId: string },
): Promise<ApiKeyRow | null> {
  const query = tx.db
    .selectFrom('api_keys')
    .selectAll()
    .where('id', '=', id)
    .where('project_id', '=', projectId);
  const row = await forUpdate(tx, query).executeTakeFirst();
  return row === undefined ? null : toApiKeyRow(row);
}

export async function updateApiKey(tx: Tx, input: Input<'updateApiKey'>): Outcome<'updateApiKey'> {
  const { id, expectedVersion, change, projectId } = input;
  // Who may come to life again is counted with the new ones.
  if (change.expiresAtMs !== undefined) await lockedProject(tx, projectId);
  // The endpoint before the key, as where an endpoint is removed with its keys (X2).
  const endpointId = await pinnedEndpoint(tx, { projectId, endpoint: change.endpointId ?? null });
  if (endpointId === undefined) return { ok: false, reason: 'unknown_endpoint' };
  const before = await lockedApiKey(tx, input);
  if (before === null) return { ok: false, reason: 'unknown' };
  if (before.revoked) return { ok: false, reason: 'revoked' };
  if (expectedVersion !== null && expectedVersion !== before.version) {
    return { ok: false, reason: 'version_conflict' };
  }
  const pinned = change.endpointId === undefined ? before.endpointId : endpointId;
  const version = before.version + 1;
  const after = { ...before, ...change, endpointId: pinned, version };
  const nowMs = input.audit.atMs;
  const revives = hasExpired(before, nowMs) && !hasExpired(after, nowMs);
  if (revives && (await livingKeys(tx, { projectId, nowMs })) >= input.livingLimit) {
    return { ok: false, reason: 'too_many' };
  }
  if (!noteChanges(tx, { from: noted(before), to: noted(after), fields: notedFields })) {
    noteNothing(tx);
    return { ok: true, key: before };
  }
  await tx.db
    .updateTable('api_keys')
    .set({
      name: after.name,
      endpoint_id: after.endpointId,
      expires_at_ms: after.expiresAtMs,
      ip_allow_list: toList(after.ipAllowList),
      ...quotaColumns(after.quota),
      version: after.version,
    })
    .where('id', '=', id)
    .execute();
  await appendChanges(tx, [{ kind: 'api_key', id }]);
  return { ok: true, key: after };
}

const hasExpired = ({ expiresAtMs }: Pick<ApiKeyRow, 'expiresAtMs'>, nowMs: number): boolean =>
  expiresAtMs !== null && expiresAtMs <= nowMs;

const notedFields = ['name', 'endpointId', 'expiresAtMs', 'ipAllowList', 'quota'] as const;

function noted(key: ApiKeyRow) {
  const { name, endpointId, expiresAtMs, ipAllowList, quota } = key;
  return {
    name,
    endpointId,
    expiresAtMs,
    ipAllowList,
    quota: quota === null ? null : { ...quota },
  };
}

export async function rotateApiKey(tx: Tx, input: Input<'rotateApiKey'>): Outcome<'rotateApiKey'> {
  const { id, sha256, lastFour, nowMs, graceUntilMs, expectedVersion } = input;
  const before = await lockedApiKey(tx, input);
  if (before === null) return { ok: false, reason: 'unknown' };
  if (before.revoked) return { ok: false, reason: 'revoked' };
  if (before.expiresAtMs !== null && before.expiresAtMs <= nowMs) {
    return { ok: false, reason: 'expired' };
  }
  if (expectedVersion !== null && expectedVersion !== before.version) {
    return { ok: false, reason: 'version_conflict' };
  }
  const previous = graceUntilMs > nowMs ? { sha256: before.sha256, untilMs: graceUntilMs } : null;
  const version = before.version + 1;
  const after = { ...before, sha256, lastFour, previous, rotatedAtMs: nowMs, version };
  await tx.db
    .updateTable('api_keys')
    .set({
      sha256,
      last_four: lastFour,
      previous_sha256: previous?.sha256 ?? null,
      previous_until_ms: previous?.untilMs ?? null,
      rotated_at_ms: nowMs,
      version,
    })
    .where('id', '=', id)
    .execute();
  await appendChanges(tx, [{ kind: 'api_key', id }]);
  return { ok: true, key: after };
}

export async function revokeApiKey(tx: Tx, input: Input<'revokeApiKey'>): Outcome<'revokeApiKey'> {
  const { id, nowMs } = input;
  const before = await lockedApiKey(tx, input);
  if (before === null) return { ok: false, reason: 'unknown' };
  if (before.revoked) {
    noteNothing(tx);
    return { ok: true };
  }
  await tx.db
    .updateTable('api_keys')
    .set({ revoked: 1, revoked_at_ms: nowMs, version: before.version + 1 })
    .where('id', '=', id)
    .execute();
  await appendChanges(tx, [{ kind: 'api_key', id }]);
  return { ok: true };
}

export async function markApiKeysUsed(
  { db }: Tx,
  batch: readonly { id: string; atMs: number }[],
): Promise<void> {
  // In one order, so that two servers that report at once do not wait for each other (X2).
  for (const { id, atMs } of batch.toSorted((one, other) => (one.id < other.id ? -1 : 1))) {
    await db
      .updateTable('api_keys')
      .set({ last_used_at_ms: atMs })
      .where('id', '=', id)
      .where((eb) => eb.or([eb('last_used_at_ms', 'is', null), eb('last_used_at_ms', '<', atMs)]))
      .execute();
  }
}

function quotaColumns(quota: ApiKeyQuota | null) {
  return {
    requests_per_minute: quota?.requestsPerMinute ?? null,
    tokens_per_minute: quota?.tokensPerMinute ?? null,
    tokens_per_day: quota?.tokensPerDay ?? null,
  };
}

function toQuota(row: EntryColumns): ApiKeyQuota | null {
  const quota = {
    requestsPerMinute: row.requests_per_minute,
    tokensPerMinute: row.tokens_per_minute,
    tokensPerDay: row.tokens_per_day,
  };
  return Object.values(quota).every((limit) => limit === null) ? null : quota;
}

function toPrevious(row: EntryColumns): ApiKeyEntry['previous'] {
  const { previous_sha256: sha256, previous_until_ms: untilMs } = row;
  return sha256 === null || untilMs === null ? null : { sha256, untilMs };
}

/** The columns of what the data plane sees. */
export const apiKeyEntryColumns = [
  'id',
  'project_id',
  'sha256',
  'previous_sha256',
  'previous_until_ms',
  'scopes',
  'endpoint_id',
  'expires_at_ms',
  'ip_allow_list',
  'requests_per_minute',
  'tokens_per_minute',
  'tokens_per_day',
  'revoked',
] as const satisfies (keyof Row<'api_keys'>)[];

type EntryColumns = Pick<Row<'api_keys'>, (typeof apiKeyEntryColumns)[number]>;

/** As the directory has it. */
export function toApiKey(row: EntryColumns): ApiKeyEntry {
  return {
    id: row.id,
    projectId: row.project_id,
    sha256: row.sha256,
    previous: toPrevious(row),
    scopes: fromList(row.scopes),
    endpointId: row.endpoint_id,
    expiresAtMs: row.expires_at_ms,
    ipAllowList: fromList(row.ip_allow_list),
    quota: toQuota(row),
    revoked: fromFlag(row.revoked),
  };
}

function toApiKeyRow(row: Row<'api_keys'>): ApiKeyRow {
  return {
    ...toApiKey(row),
    name: row.name,
    createdAtMs: row.created_at_ms,
    createdBy: row.created_by,
    lastFour: row.last_four,
    revokedAtMs: row.revoked_at_ms,
    rotatedAtMs: row.rotated_at_ms,
    lastUsedAtMs: row.last_used_at_ms,
    version: row.version,
  };
}
