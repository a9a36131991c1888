/** What requests come to, by day, endpoint, model, key, agent, tier: from the hours. */
import { sql, type RawBuilder } from 'kysely';
import type { UsageDimension } from '../../domain/usageDimensions.ts';
import { rowsPerStatement } from '../limits.ts';
import type { Names, UsageGroup, UsageSums } from '../contract/usageStore.ts';
import type { Store } from '../store.ts';
import type { Tx } from '../transaction.ts';
import { chunks } from './columns.ts';
import { passing } from './usageHours.ts';

type Input = Parameters<Store['usageSummary']>[0];
type Answer = Awaited<ReturnType<Store['usageSummary']>>;

const dayMs = 86_400_000;

/** The columns of each dimension, by the name that a group has them under. */
const columns: Readonly<Record<UsageDimension, Readonly<Record<string, RawBuilder<unknown>>>>> = {
  hour: { atMs: sql`hour_ms` },
  day: { atMs: sql`hour_ms - hour_ms % ${sql.lit(dayMs)}` },
  endpoint: { endpointId: sql`endpoint_id`, endpointSlug: sql`endpoint_slug` },
  model: { modelId: sql`model_id` },
  api_key: { apiKeyId: sql`api_key_id` },
  agent: { agentId: sql`agent_id` },
  tier: { tier: sql`tier` },
};

const sums = {
  requests: sql`requests`,
  succeeded: sql`succeeded`,
  inputTokens: sql`input_tokens`,
  cachedTokens: sql`cached_tokens`,
  outputTokens: sql`output_tokens`,
  costMicros: sql`cost_micros`,
};

const nothing: UsageSums = {
  requests: 0,
  succeeded: 0,
  inputTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  costMicros: 0,
};

export async function usageSummary(tx: Tx, input: Input): Promise<Answer> {
  const { by, limit } = input;
  const [total] = await sumsOf(tx, { ...input, by: [], limit: 1 });
  const whole = { ...nothing, ...total };
  if (by.length === 0 || whole.requests === 0) return { total: whole, groups: [], more: false };
  const groups = await sumsOf(tx, { ...input, limit: limit + 1 });
  return { total: whole, groups: groups.slice(0, limit), more: groups.length > limit };
}

async function sumsOf({ db }: Tx, input: Input): Promise<UsageGroup[]> {
  const keys: (typeof columns)[UsageDimension] = Object.assign(
    {},
    ...input.by.map((one) => columns[one]),
  );
  let query = passing(db.selectFrom('usage_hours'), input).select(
    Object.entries(sums).map(([name, column]) =>
      sql<number>`cast(coalesce(sum(${column}), 0) as bigint)`.as(name),
    ),
  );
  for (const [name, column] of Object.entries(keys)) {
    query = query.select(column.as(name)).groupBy(sql`${column}`);
  }
  if ('atMs' in keys) query = query.orderBy(keys['atMs'] as RawBuilder<unknown>);
  query = query.orderBy(sql`sum(cost_micros) desc`).orderBy(sql`sum(requests) desc`);
  // Whatever is left to chance is decided, so that two answers are alike.
  for (const column of Object.values(keys)) query = query.orderBy(column);
  const rows = await query.limit(input.limit).execute();
  return rows as unknown as UsageGroup[];
}

export async function usageNames(
  { db }: Tx,
  input: Parameters<Store['usageNames']>[0],
): ReturnType<Store['usageNames']> {
  const { projectId } = input;
  const read = async (
    table: 'agents' | 'api_keys' | 'models',
    ids: readonly string[],
  ): Promise<Names> => {
    const names: Record<string, string> = {};
    for (const some of chunks([...new Set(ids)], rowsPerStatement)) {
      let query = db.selectFrom(table).select(['id', 'name']).where('id', 'in', some);
      if (table !== 'models') query = query.where('project_id', '=', projectId);
      for (const { id, name } of await query.execute()) names[id] = name;
    }
    return names;
  };
  return {
    agents: await read('agents', input.agentIds),
    apiKeys: await read('api_keys', input.apiKeyIds),
    models: await read('models', input.modelIds),
  };
}
