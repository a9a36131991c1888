/**
 * Finished requests, newest first.
 *
 * A filter that few records pass would read every record of a project. The hours say where there
 * are any: only these are looked through, and only until a page is full.
 */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import { usageHoursAtOnce, usageHoursOfPage } from '../limits.ts';
import type { UsageFilter, UsageRow } from '../contract/usageStore.ts';
import type { Store } from '../store.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { fromFlag } from '../queries/columns.ts';
import { pageAfter } from '../queries/pageAfter.ts';
import { hourMs, hoursPassing } from './usageHours.ts';
import { successOutcome } from '../../domain/metering/tierMeasures.ts';

type Input = Parameters<Store['recentUsage']>[0];
type Filter = NonNullable<Input['filter']>;
type Records = Paged<Row<'usage_records'>>;

const order = ['started_at_ms', 'request_id'] as const;

export async function recentUsage(tx: Tx, input: Input): Promise<Paged<UsageRow>> {
  const { filter = {} } = input;
  const { endpoint, modelId, apiKeyId, agentId, tier, outcome } = filter;
  const isWide = [endpoint, modelId, apiKeyId, agentId, tier, outcome].every(
    (value) => value === undefined,
  );
  const found = isWide ? await pageOf(tx, input) : await pageByHours(tx, { ...input, filter });
  return mapPage(found, toUsage);
}

export async function usageRecord(
  { db }: Tx,
  { projectId, requestId }: Parameters<Store['usageRecord']>[0],
): Promise<UsageRow | null> {
  const row = await db
    .selectFrom('usage_records')
    .selectAll()
    .where('request_id', '=', requestId)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return row === undefined ? null : toUsage(row);
}

function pageOf({ db }: Tx, { projectId, filter = {}, page }: Input): Promise<Records> {
  let query = db.selectFrom('usage_records').selectAll().where('project_id', '=', projectId);
  const { fromMs, toMs, endpoint, agentId } = filter;
  if (fromMs !== undefined) query = query.where('started_at_ms', '>=', fromMs);
  if (toMs !== undefined) query = query.where('started_at_ms', '<', toMs);
  if (endpoint !== undefined) {
    query = query.where((is) =>
      is.or([is('endpoint_id', '=', endpoint), is('endpoint_slug', '=', endpoint)]),
    );
  }
  if (agentId === 'shared') query = query.where('shared', '=', 1);
  else if (agentId !== undefined) {
    query = query.where('agent_id', '=', agentId).where('shared', '=', 0);
  }
  const equal = {
    model_id: filter.modelId,
    api_key_id: filter.apiKeyId,
    tier: filter.tier,
    outcome: filter.outcome,
  };
  for (const [column, value] of Object.entries(equal) as [keyof typeof equal, string?][]) {
    if (value !== undefined) query = query.where(column, '=', value);
  }
  return pageAfter(query, { order, direction: 'desc', page });
}

async function pageByHours(tx: Tx, input: Input & { filter: Filter }): Promise<Records> {
  const { filter, page } = input;
  const items: Records['items'] = [];
  let hours = 0;
  let lastMs = 0;
  for await (const atMs of hoursOf(tx, input)) {
    // What is left begins behind everything of the last hour that was looked through.
    const isDone = items.length >= page.limit || hours >= usageHoursOfPage;
    if (isDone) return { items, next: [lastMs, ''] };
    const within = {
      ...filter,
      fromMs: Math.max(filter.fromMs ?? 0, atMs),
      toMs: Math.min(filter.toMs ?? Infinity, atMs + hourMs),
    };
    const rest: Page = { after: page.after, limit: page.limit - items.length };
    const found = await pageOf(tx, { ...input, filter: within, page: rest });
    items.push(...found.items);
    if (found.next !== null) return { items, next: found.next };
    hours += 1;
    lastMs = atMs;
  }
  return { items, next: null };
}

/** Hours with records that pass, newest first; read as far as they are asked for. */
async function* hoursOf(
  tx: Tx,
  { projectId, filter, page }: Input & { filter: Filter },
): AsyncGenerator<number> {
  const { outcome, ...rest } = filter;
  const succeeded = outcome === undefined ? undefined : outcome === successOutcome;
  const before = page.after === null ? Infinity : beforeOf(page.after);
  for (let toMs = Math.min(filter.toMs ?? Infinity, before); ;) {
    const bounded: UsageFilter = { ...rest, ...(toMs === Infinity ? {} : { toMs }) };
    const limit = usageHoursAtOnce;
    const hours = await hoursPassing(tx, { projectId, filter: bounded, succeeded, limit });
    yield* hours;
    if (hours.length < limit) return;
    toMs = hours.at(-1) ?? 0;
  }
}

/** No record behind this place began at this time or later. */
const beforeOf = ([atMs, requestId]: readonly (string | number)[]): number =>
  Number(atMs) + (requestId === '' ? 0 : 1);

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
    shared: fromFlag(row.shared),
    costMicros: row.cost_micros,
  };
}
