/** Endpoints. */
import type { EndpointEntry, IsolationLevel } from '../../domain/directory.ts';
import type { TierSlug } from '../../domain/tiers.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { fromFlag, toFlag } from './columns.ts';

/** Oldest first. */
export async function endpointsOf({ db }: Tx, projectId: string): Promise<EndpointEntry[]> {
  const rows = await db
    .selectFrom('endpoints')
    .selectAll()
    .where('project_id', '=', projectId)
    .orderBy('created_at_ms')
    .orderBy('id')
    .execute();
  return rows.map(toEndpoint);
}

export async function insertEndpoint({ db }: Tx, endpoint: EndpointEntry): Promise<void> {
  await db
    .insertInto('endpoints')
    .values({
      id: endpoint.id,
      project_id: endpoint.projectId,
      slug: endpoint.slug,
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
      created_at_ms: endpoint.createdAtMs,
    })
    .execute();
}

export function toEndpoint(row: Row<'endpoints'>): EndpointEntry {
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
