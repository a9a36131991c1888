/**
 * Creates, changes and deletes endpoints. Each is one transaction that has the project to itself
 * (`lockProject`), so that the free quota and the bounds count what is there. Every refusal comes
 * before the first row is written.
 */
import { patchedSettings, settingsProblem } from '../../domain/settings/endpointSettings.ts';
import { quotaExcess, type Holdings, type QuotaExcess } from '../../domain/settings/freeQuota.ts';
import type { EndpointEntry } from '../../domain/directory.ts';
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import type {
  CatalogueRules,
  CatalogueStore,
  EndpointDetail,
  EndpointRefusal,
} from '../contract/catalogueStore.ts';
import type { Refused } from '../contract/refused.ts';
import type { Row } from '../tables.ts';
import { forUpdate } from '../transaction.ts';
import type { Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import {
  bindEndpoint,
  lockBindings,
  unbindEndpoint,
  type BindingOutcome,
} from '../agents/bindings.ts';
import { appendChanges } from '../directory/changes.ts';
import { detailOf, endpointRow, insertEndpoint, settingsColumns } from './endpoints.ts';
import { holdingsOf } from '../projects/holdings.ts';
import { lockModel } from './models.ts';
import { lockProject } from '../projects/ownerLock.ts';

type Input<Name extends keyof CatalogueStore> = Parameters<CatalogueStore[Name]>[0];
type Outcome<Name extends keyof CatalogueStore> = ReturnType<CatalogueStore[Name]>;

export async function createEndpoint(
  tx: Tx,
  input: Input<'createEndpoint'>,
): Outcome<'createEndpoint'> {
  const { boundAgentIds: agentIds, rules, atMost } = input;
  const endpoint: EndpointEntry = { ...input.endpoint, exclusive: agentIds.length > 0 };
  const { id, projectId, slug, tier } = endpoint;
  await lockBindings(tx);
  if ((await lockProject(tx, projectId)) === undefined) {
    return { ok: false, reason: 'unknown_project' };
  }
  const before = await holdingsOf(tx, projectId);
  if (before.tiers.length >= atMost) {
    return { ok: false, reason: 'too_many_endpoints', limit: atMost };
  }
  const after = { ...before, tiers: [...before.tiers, tier] };
  const refused =
    (await settingsRefusal(tx, { endpoint, rules })) ?? quotaRefusal({ before, after });
  if (refused !== null) return refused;
  if ((await endpointRow(tx, { projectId, ref: slug })) !== undefined) {
    return { ok: false, reason: 'slug_taken' };
  }
  const { byOperator } = rules;
  const bound = await bindEndpoint(tx, { endpoint: { id, projectId }, agentIds, byOperator });
  if (!bound.ok) return bound;
  await insertEndpoint(tx, endpoint);
  const detail = await detailOf(tx, await lockEndpoint(tx, id));
  note(tx, null, detail);
  await appendChanges(tx, [{ kind: 'endpoint', id }, ...bound.changes]);
  return { ok: true, detail };
}

export async function updateEndpoint(
  tx: Tx,
  input: Input<'updateEndpoint'>,
): Outcome<'updateEndpoint'> {
  const { projectId, id, boundAgentIds: agentIds, rules } = input;
  if (agentIds !== undefined) await lockBindings(tx);
  if ((await lockProject(tx, projectId)) === undefined) return { ok: false, reason: 'not_found' };
  const seen = await endpointRow(tx, { projectId, ref: id });
  if (seen === undefined) return { ok: false, reason: 'not_found' };
  await lockModel(tx, input.patch.modelId ?? seen.model_id);
  const row = await lockEndpoint(tx, seen.id);
  const stale = versionConflict(row, input.expectedVersion);
  if (stale !== null) return stale;
  const before = await detailOf(tx, row);
  const exclusive = agentIds === undefined ? before.endpoint.exclusive : agentIds.length > 0;
  const settings = patchedSettings(before.endpoint, input.patch);
  const endpoint: EndpointEntry = { ...before.endpoint, ...settings, exclusive };
  const refused =
    (await settingsRefusal(tx, { endpoint, rules })) ??
    (await moveRefusal(tx, { from: before.endpoint, to: endpoint }));
  if (refused !== null) return refused;
  const { byOperator } = rules;
  const bound: BindingOutcome =
    agentIds === undefined
      ? { ok: true, changes: [] }
      : await bindEndpoint(tx, { endpoint, agentIds, byOperator });
  if (!bound.ok) return bound;
  const columns = settingsColumns(endpoint);
  if (bound.changes.length === 0 && sameColumns(row, columns)) {
    noteNothing(tx);
    return { ok: true, detail: before };
  }
  const written = await tx.db
    .updateTable('endpoints')
    .set({ ...columns, updated_at_ms: input.audit.atMs, version: row.version + 1 })
    .where('id', '=', row.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const detail = await detailOf(tx, written);
  note(tx, before, detail);
  await appendChanges(tx, [{ kind: 'endpoint', id: row.id }, ...bound.changes]);
  return { ok: true, detail };
}

/** A key that is pinned to it can do nothing else: it is revoked, for a pin must not vanish. */
export async function deleteEndpoint(
  tx: Tx,
  input: Input<'deleteEndpoint'>,
): Outcome<'deleteEndpoint'> {
  const { projectId, id } = input;
  await lockBindings(tx);
  if ((await lockProject(tx, projectId)) === undefined) return { ok: false, reason: 'not_found' };
  const seen = await endpointRow(tx, { projectId, ref: id });
  if (seen === undefined) return { ok: false, reason: 'not_found' };
  const row = await lockEndpoint(tx, seen.id);
  const before = await holdingsOf(tx, projectId);
  const refused = quotaRefusal({
    before,
    after: {
      ...before,
      tiers: before.tiers.toSpliced(before.tiers.indexOf(row.tier as TierSlug), 1),
    },
  });
  if (refused !== null) return refused;
  note(tx, await detailOf(tx, row), null);
  const unbound = await unbindEndpoint(tx, row.id);
  const pinned = await tx.db
    .updateTable('api_keys')
    .set((key) => ({
      revoked: 1,
      revoked_at_ms: key.fn.coalesce('revoked_at_ms', key.val(input.audit.atMs)),
      endpoint_id: null,
      version: key('version', '+', 1),
    }))
    .where('endpoint_id', '=', row.id)
    .returning('id')
    .execute();
  await tx.db.deleteFrom('endpoints').where('id', '=', row.id).execute();
  await appendChanges(tx, [
    { kind: 'endpoint', id: row.id },
    ...unbound,
    ...pinned.map(({ id }) => ({ kind: 'api_key' as const, id })),
  ]);
  return { ok: true, revokedKeyIds: pinned.map(({ id }) => id) };
}

async function lockEndpoint(tx: Tx, id: string): Promise<Row<'endpoints'>> {
  const query = tx.db.selectFrom('endpoints').selectAll().where('id', '=', id);
  return forUpdate(tx, query).executeTakeFirstOrThrow();
}

export function versionConflict(
  row: { version: number },
  expectedVersion: number | null,
): Refused<'version_conflict'> | null {
  const isStale = expectedVersion !== null && row.version !== expectedVersion;
  return isStale ? { ok: false, reason: 'version_conflict' } : null;
}

/** The model is there and the project's to use, and the settings agree with it and one another. */
async function settingsRefusal(
  tx: Tx,
  { endpoint, rules }: { endpoint: EndpointEntry; rules: CatalogueRules },
): Promise<EndpointRefusal | null> {
  const model = await lockModel(tx, endpoint.modelId);
  const isForeign = model?.project_id !== null && model?.project_id !== endpoint.projectId;
  if (model === undefined || isForeign) return { ok: false, reason: 'model_not_found' };
  const problem = settingsProblem(endpoint, {
    tiers: rules.tiers,
    exclusive: endpoint.exclusive,
    modelBytes: model.size_bytes,
    mayWeakenIsolation: rules.byOperator,
  });
  return problem === null ? null : { ok: false, reason: 'bad_settings', problem };
}

/** F1: moving the endpoint that lifts the bounds to `free`. */
async function moveRefusal(
  tx: Tx,
  { from, to }: { from: EndpointEntry; to: EndpointEntry },
): Promise<(Refused<'quota'> & { excess: QuotaExcess }) | null> {
  if (from.tier === to.tier) return null;
  const before = await holdingsOf(tx, from.projectId);
  const tiers = before.tiers.with(before.tiers.indexOf(from.tier), to.tier);
  return quotaRefusal({ before, after: { ...before, tiers } });
}

function quotaRefusal(change: {
  before: Holdings;
  after: Holdings;
}): (Refused<'quota'> & { excess: QuotaExcess }) | null {
  const excess = quotaExcess(change);
  return excess === null ? null : { ok: false, reason: 'quota', excess };
}

function sameColumns(row: Row<'endpoints'>, columns: ReturnType<typeof settingsColumns>): boolean {
  const names = Object.keys(columns) as (keyof typeof columns)[];
  return names.every((name) => row[name] === columns[name]);
}

/** What the audit log tells of an endpoint. */
function noted({ endpoint, boundAgents }: EndpointDetail) {
  const { slug, modelId, tier, active, region, minimumIsolation, resume, queueTimeoutMs } =
    endpoint;
  const { enabled, afterMs, tier: fallbackTier } = endpoint.fallback;
  return {
    slug,
    modelId,
    tier,
    active,
    fallback: { enabled, afterMs, tier: fallbackTier },
    region,
    minimumIsolation,
    resume,
    queueTimeoutMs,
    boundAgentIds: boundAgents.map(({ id }) => id),
  };
}

function note(tx: Tx, from: EndpointDetail | null, to: EndpointDetail | null): void {
  const [before, after] = [from === null ? {} : noted(from), to === null ? {} : noted(to)];
  const fields = Object.keys({ ...before, ...after }) as (keyof ReturnType<typeof noted>)[];
  noteChanges<Partial<ReturnType<typeof noted>>>(tx, { from: before, to: after, fields });
}
