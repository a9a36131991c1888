/**
 * Usage by the hour: what lists, bills and budgets are summed from, so that none of them reads
 * every record. Written with the records, in the same transaction, each record once (S4).
 */
import type { CompiledQuery, SelectQueryBuilder } from 'kysely';
import { successOutcome } from '../../domain/metering/tierMeasures.ts';
import type { UsageFilter } from '../contract/usageStore.ts';
import type { Row, Tables } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { inPieces } from '../queries/inPieces.ts';

export const hourMs = 3_600_000;

type HourRow = Row<'usage_hours'>;

const keys = [
  'project_id',
  'hour_ms',
  'endpoint_id',
  'model_id',
  'api_key_id',
  'agent_id',
  'tier',
] as const;

const sums = [
  'requests',
  'succeeded',
  'input_tokens',
  'cached_tokens',
  'output_tokens',
  'cost_micros',
] as const;

/** Adds records that are new to the hours in which they began. */
export async function addToHours(tx: Tx, records: readonly Row<'usage_records'>[]): Promise<void> {
  const hours = new Map<string, HourRow>();
  for (const record of records) {
    const hour = hourOf(record);
    const key = keys.map((name) => hour[name]).join(' ');
    const known = hours.get(key);
    if (known === undefined) hours.set(key, hour);
    else for (const name of sums) known[name] += hour[name];
  }
  // X2: in one order, so that two servers do not wait for one another.
  const rows = [...hours].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const build = (piece: HourRow[]): CompiledQuery<unknown> => upsert(tx, piece);
  await inPieces(tx, { name: 'usage_hours', rows: rows.map(([, row]) => row), build });
}

function upsert({ db }: Tx, rows: HourRow[]): CompiledQuery<unknown> {
  return db
    .insertInto('usage_hours')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns([...keys]).doUpdateSet((eb) => ({
        requests: eb('usage_hours.requests', '+', eb.ref('excluded.requests')),
        succeeded: eb('usage_hours.succeeded', '+', eb.ref('excluded.succeeded')),
        input_tokens: eb('usage_hours.input_tokens', '+', eb.ref('excluded.input_tokens')),
        cached_tokens: eb('usage_hours.cached_tokens', '+', eb.ref('excluded.cached_tokens')),
        output_tokens: eb('usage_hours.output_tokens', '+', eb.ref('excluded.output_tokens')),
        cost_micros: eb('usage_hours.cost_micros', '+', eb.ref('excluded.cost_micros')),
      })),
    )
    .compile();
}

function hourOf(record: Row<'usage_records'>): HourRow {
  return {
    project_id: record.project_id,
    hour_ms: record.started_at_ms - (record.started_at_ms % hourMs),
    endpoint_id: record.endpoint_id,
    model_id: record.model_id,
    api_key_id: record.api_key_id,
    agent_id: record.shared === 1 ? 'shared' : (record.agent_id ?? ''),
    tier: record.tier,
    endpoint_slug: record.endpoint_slug,
    requests: 1,
    succeeded: record.outcome === successOutcome ? 1 : 0,
    input_tokens: record.input_tokens ?? 0,
    cached_tokens: record.cached_tokens ?? 0,
    output_tokens: record.output_tokens ?? 0,
    cost_micros: record.cost_micros,
  };
}

/** Hours of a project in which something passes the filter, newest first. */
export async function hoursPassing(
  { db }: Tx,
  wanted: {
    projectId: string;
    filter: UsageFilter;
    /** Only hours with such requests, or only with others. */
    succeeded: boolean | undefined;
    limit: number;
  },
): Promise<number[]> {
  const { projectId, filter, succeeded, limit } = wanted;
  let query = passing(db.selectFrom('usage_hours'), { projectId, filter }).select('hour_ms');
  if (succeeded === true) query = query.where('succeeded', '>', 0);
  if (succeeded === false) query = query.whereRef('requests', '>', 'succeeded');
  const rows = await query.distinct().orderBy('hour_ms', 'desc').limit(limit).execute();
  return rows.map((row) => row.hour_ms);
}

/** Hours that lie within the filter's time, in whole or in part, and pass the rest of it. */
export function passing<Output>(
  query: SelectQueryBuilder<Tables, 'usage_hours', Output>,
  { projectId, filter }: { projectId: string; filter: UsageFilter },
): SelectQueryBuilder<Tables, 'usage_hours', Output> {
  const { fromMs, toMs, endpoint } = filter;
  let asked = query.where('project_id', '=', projectId);
  if (fromMs !== undefined) asked = asked.where('hour_ms', '>=', fromMs - (fromMs % hourMs));
  if (toMs !== undefined) asked = asked.where('hour_ms', '<', toMs);
  if (endpoint !== undefined) {
    asked = asked.where((is) =>
      is.or([is('endpoint_id', '=', endpoint), is('endpoint_slug', '=', endpoint)]),
    );
  }
  const equal = {
    model_id: filter.modelId,
    api_key_id: filter.apiKeyId,
    agent_id: filter.agentId,
    tier: filter.tier,
  };
  for (const [column, value] of Object.entries(equal) as [keyof typeof equal, string?][]) {
    if (value !== undefined) asked = asked.where(column, '=', value);
  }
  return asked;
}
