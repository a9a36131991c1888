/** Endpoints as they are read, with the model and the bound agents that belong to them. */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { EndpointEntry } from '../../domain/directory.ts';
import type { IsolationLevel } from '../../domain/agents/isolation.ts';
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import type { EndpointDetail, EndpointRow } from '../contract/catalogueStore.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { boundAgentsOf } from '../agents/bindings.ts';
import { fromFlag, toFlag } from '../queries/columns.ts';
import { modelsById } from './models.ts';
import { pageAfter } from '../queries/pageAfter.ts';

/** Oldest first. */
export async function endpointsOf({ db }: Tx, projectId: string): Promise<EndpointRow[]> {
  const rows = await db
    .selectFrom('endpoints')
    .selectAll()
    .where('project_id', '=', projectId)
    .orderBy('created_at_ms')
    .orderBy('id')
    .execute();
  return rows.map(toEndpointRow);
}

export async function endpointPage(
  tx: Tx,
  { projectId, page }: { projectId: string; page: Page },
): Promise<Paged<EndpointDetail>> {
  const query = tx.db.selectFrom('endpoints').selectAll().where('project_id', '=', projectId);
  const order = ['created_at_ms', 'id'] as const;
  const paged = await pageAfter(query, { order, direction: 'asc', page });
  const details = await detailsOf(tx, paged.items);
  return mapPage(paged, (row) => details.get(row.id) as EndpointDetail);
}

export async function endpointByRef(
  tx: Tx,
  { projectId, ref }: { projectId: string; ref: string },
): Promise<EndpointDetail | null> {
  const row = await endpointRow(tx, { projectId, ref });
  return row === undefined ? null : detailOf(tx, row);
}

/** By id or slug. No slug looks like an id: it has no underscore. */
export async function endpointRow(
  { db }: Tx,
  { projectId, ref }: { projectId: string; ref: string },
): Promise<Row<'endpoints'> | undefined> {
  return db
    .selectFrom('endpoints')
    .selectAll()
    .where('project_id', '=', projectId)
    .where((row) => row.or([row('id', '=', ref), row('slug', '=', ref)]))
    .executeTakeFirst();
}

export async function detailOf(tx: Tx, row: Row<'endpoints'>): Promise<EndpointDetail> {
  return (await detailsOf(tx, [row])).get(row.id) as EndpointDetail;
}

/** Endpoints of one project, by id. */
async function detailsOf(
  tx: Tx,
  rows: readonly Row<'endpoints'>[],
): Promise<Map<string, EndpointDetail>> {
  const [first] = rows;
  if (first === undefined) return new Map();
  const models = await modelsById(
    tx,
    rows.map(({ model_id: modelId }) => modelId),
  );
  const endpointIds = rows.filter(({ exclusive }) => exclusive === 1).map(({ id }) => id);
  const bound =
    endpointIds.length === 0
      ? new Map<string, never[]>()
      : await boundAgentsOf(tx, { projectId: first.project_id, endpointIds });
  return new Map(
    rows.map((row) => {
      const model = models.get(row.model_id);
      if (model === undefined) throw new Error(`the endpoint ${row.id} has no model`);
      const boundAgents = bound.get(row.id) ?? [];
      return [row.id, { endpoint: toEndpointRow(row), model, boundAgents }];
    }),
  );
}

export async function insertEndpoint({ db }: Tx, endpoint: EndpointEntry): Promise<void> {
  await db
    .insertInto('endpoints')
    .values({
      id: endpoint.id,
      project_id: endpoint.projectId,
      slug: endpoint.slug,
      created_at_ms: endpoint.createdAtMs,
      updated_at_ms: endpoint.createdAtMs,
      ...settingsColumns(endpoint),
    })
    .execute();
}

/** The columns that may change. */
export function settingsColumns(endpoint: Omit<EndpointEntry, 'id' | 'projectId' | 'slug'>) {
  return {
    model_id: endpoint.modelId,
    tier: endpoint.tier,
    active: toFlag(endpoint.active),
    fallback_enabled: toFlag(endpoint.fallback.enabled),
    fallback_after_ms: endpoint.fallback.afterMs,
    fallback_tier: endpoint.fallback.tier,
    region: endpoint.region,
    exclusive: toFlag(endpoint.exclusive),
    minimum_isolation: endpoint.minimumIsolation,
    resume: toFlag(endpoint.resume),
    queue_timeout_ms: endpoint.queueTimeoutMs,
  };
}

export function toEndpointRow(row: Row<'endpoints'>): EndpointRow {
  return { ...toEndpoint(row), updatedAtMs: row.updated_at_ms, version: row.version };
}

/** The columns of what the data plane sees. */
export const endpointEntryColumns = [
  'id',
  'project_id',
  'slug',
  'model_id',
  'tier',
  'active',
  'fallback_enabled',
  'fallback_after_ms',
  'fallback_tier',
  'region',
  'exclusive',
  'minimum_isolation',
  'resume',
  'queue_timeout_ms',
  'created_at_ms',
] as const satisfies (keyof Row<'endpoints'>)[];

export function toEndpoint(
  row: Pick<Row<'endpoints'>, (typeof endpointEntryColumns)[number]>,
): EndpointEntry {
  return {
    id: row.id,
    projectId: row.project_id,
    slug: row.slug,
    modelId: row.model_id,
    tier: row.tier as TierSlug,
    active: fromFlag(row.active),
    fallback: {
      enabled: fromFlag(row.fallback_enabled),
      afterMs: row.fallback_after_ms,
      tier: row.fallback_tier as TierSlug | null,
    },
    region: row.region,
    exclusive: fromFlag(row.exclusive),
    minimumIsolation: row.minimum_isolation as IsolationLevel | null,
    resume: fromFlag(row.resume),
    queueTimeoutMs: row.queue_timeout_ms,
    createdAtMs: row.created_at_ms,
  };
}
