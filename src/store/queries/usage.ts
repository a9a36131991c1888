/** One record per request, written from the journal in batches (S4). */
import { rowsPerStatement } from '../limits.ts';
import type { UsageRow } from '../store.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { chunks, fromFlag, toFlag } from './columns.ts';

/** The first record of a request stays as it is. */
export async function recordUsage({ db }: Tx, batch: readonly UsageRow[]): Promise<void> {
  for (const chunk of chunks(batch, rowsPerStatement)) {
    await db
      .insertInto('usage_records')
      .values(chunk.map(fromUsage))
      .onConflict((conflict) => conflict.column('request_id').doNothing())
      .execute();
  }
}

/** Newest first. */
export async function recentUsage(
  { db }: Tx,
  { projectId, limit }: { projectId: string; limit: number },
): Promise<UsageRow[]> {
  const rows = await db
    .selectFrom('usage_records')
    .selectAll()
    .where('project_id', '=', projectId)
    .orderBy('started_at_ms', 'desc')
    .orderBy('request_id', 'desc')
    .limit(limit)
    .execute();
  return rows.map(toUsage);
}

function fromUsage(record: UsageRow): Row<'usage_records'> {
  return {
    request_id: record.requestId,
    project_id: record.projectId,
    endpoint_id: record.endpointId,
    endpoint_slug: record.endpointSlug,
    api_key_id: record.apiKeyId,
    model_id: record.modelId,
    agent_id: record.agentId,
    tier: record.tier,
    started_at_ms: wholeMs(record.startedAtMs),
    input_tokens: record.inputTokens,
    cached_tokens: record.cachedTokens,
    output_tokens: record.outputTokens,
    ttft_ms: record.ttftMs === null ? null : wholeMs(record.ttftMs),
    latency_ms: wholeMs(record.latencyMs),
    queue_ms: wholeMs(record.queueMs),
    status: record.status,
    outcome: record.outcome,
    stream: toFlag(record.stream),
    usage_clamped: toFlag(record.usageClamped),
  };
}

/** Spans are measured with digits after the point; integer columns take none. */
const wholeMs = (ms: number): number => Math.round(ms);

function toUsage(row: Row<'usage_records'>): UsageRow {
  return {
    requestId: row.request_id,
    projectId: row.project_id,
    endpointId: row.endpoint_id,
    endpointSlug: row.endpoint_slug,
    apiKeyId: row.api_key_id,
    modelId: row.model_id,
    agentId: row.agent_id,
    tier: row.tier,
    startedAtMs: row.started_at_ms,
    inputTokens: row.input_tokens,
    cachedTokens: row.cached_tokens,
    outputTokens: row.output_tokens,
    ttftMs: row.ttft_ms,
    latencyMs: row.latency_ms,
    queueMs: row.queue_ms,
    status: row.status,
    outcome: row.outcome,
    stream: fromFlag(row.stream),
    usageClamped: fromFlag(row.usage_clamped),
  };
}
