/**
 * One record per request, written from the journal in batches (S4).
 *
 * Batches are of every size. A statement for each size would be built, compiled and prepared anew
 * each time, which was nearly half of what a record cost; so a batch goes in pieces of few sizes,
 * whose statements are made once.
 */
import type { CompiledQuery } from 'kysely';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import { usageRowsPerStatement } from '../limits.ts';
import type { UsageRow } from '../contract/usageStore.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { fromFlag, toFlag } from './columns.ts';
import { pageAfter } from './pageAfter.ts';

/** By dialect and number of rows. */
const statements = new Map<string, CompiledQuery>();

/** The first record of a request stays as it is. */
export async function recordUsage(tx: Tx, batch: readonly UsageRow[]): Promise<void> {
  let from = 0;
  for (const size of usageRowsPerStatement) {
    for (; batch.length - from >= size; from += size) {
      const rows = batch.slice(from, from + size).map(fromUsage);
      const statement = statements.get(`${tx.dialect} ${size}`) ?? prepare(tx, rows);
      // The columns stand in the order of the members, which is that of `fromUsage` for every row.
      await tx.db.executeQuery({ ...statement, parameters: rows.flatMap(Object.values) });
    }
  }
}

function prepare({ db, dialect }: Tx, rows: Row<'usage_records'>[]): CompiledQuery {
  const statement = db
    .insertInto('usage_records')
    .values(rows)
    .onConflict((conflict) => conflict.column('request_id').doNothing())
    .compile();
  statements.set(`${dialect} ${rows.length}`, statement);
  return statement;
}

/** Newest first. */
export async function recentUsage(
  { db }: Tx,
  { projectId, page }: { projectId: string; page: Page },
): Promise<Paged<UsageRow>> {
  const query = db.selectFrom('usage_records').selectAll().where('project_id', '=', projectId);
  const order = ['started_at_ms', 'request_id'] as const;
  return mapPage(await pageAfter(query, { order, direction: 'desc', page }), toUsage);
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
