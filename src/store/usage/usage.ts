/** One record per request, written from the journal in batches (S4). */
import type { UsageRow } from '../contract/usageStore.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { toFlag } from '../queries/columns.ts';
import { inPieces } from '../queries/inPieces.ts';
import { addToHours } from './usageHours.ts';

/** S4: the first record of a request stays as it is, and is counted once. */
export async function recordUsage(tx: Tx, batch: readonly UsageRow[]): Promise<void> {
  const rows = batch.map(fromUsage);
  const recorded = new Set(await insertRecords(tx, rows));
  // A request that stands twice in one batch is recorded once.
  await addToHours(
    tx,
    rows.filter((row) => recorded.delete(row.request_id)),
  );
}

/** Gives the ids of those that were not there. */
async function insertRecords(tx: Tx, rows: readonly Row<'usage_records'>[]): Promise<string[]> {
  const inserted = await inPieces(tx, {
    name: 'usage_records',
    rows,
    build: (piece) =>
      tx.db
        .insertInto('usage_records')
        .values(piece)
        .onConflict((conflict) => conflict.column('request_id').doNothing())
        .returning('request_id')
        .compile(),
  });
  return inserted.map(({ request_id: id }) => id);
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
    shared: toFlag(record.shared),
    cost_micros: record.costMicros,
  };
}

/** Spans are measured with digits after the point; integer columns take none. */
const wholeMs = (ms: number): number => Math.round(ms);
