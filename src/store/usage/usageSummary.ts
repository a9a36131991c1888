/** What requests and agents come to, by day, endpoint, model, key, agent, tier: from the hours. */
import { sql, type RawBuilder, type SelectQueryBuilder } from 'kysely';
import type { UsageDimension } from '../../domain/metering/usageDimensions.ts';
import { rowsPerStatement } from '../limits.ts';
import type { Names, UsageFilter, UsageGroup, UsageSums } from '../contract/usageStore.ts';
import type { Store } from '../store.ts';
import type { Tables } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { timeCost } from '../agents/agentHours.ts';
import { chunks } from '../queries/columns.ts';
import { hourMs, passing } from './usageHours.ts';

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

const sums: Readonly<Record<keyof UsageSums, RawBuilder<unknown>>> = {
  requests: sql`requests`,
  succeeded: sql`succeeded`,
  inputTokens: sql`input_tokens`,
  cachedTokens: sql`cached_tokens`,
  outputTokens: sql`output_tokens`,
  costMicros: sql`cost_micros`,
  agentMs: sql`agent_ms`,
  agentCostMicros: sql`agent_cost_micros`,
};

const sumColumns = Object.entries(sums).map(([name, column]) =>
  sql<number>`cast(coalesce(sum(${column}), 0) as bigint)`.as(name),
);

const nothing: UsageSums = {
  requests: 0,
  succeeded: 0,
  inputTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  costMicros: 0,
  agentMs: 0,
  agentCostMicros: 0,
};

/** An agent's time belongs to these, and to no endpoint, model or key. */
const dimensionsOfTime: readonly UsageDimension[] = ['hour', 'day', 'agent', 'tier'];

export async function usageSummary(tx: Tx, input: Input): Promise<Answer> {
  const { by, limit } = input;
  if (by.length === 0) return { total: await totalOf(tx, input), groups: [], more: false };
  const groups = await sumsOf(tx, { ...input, limit: limit + 1 });
  if (groups.length > limit) {
    return { total: await totalOf(tx, input), groups: groups.slice(0, limit), more: true };
  }
  // All groups are here: their rows need not be read again.
  const isTimed = mayHaveTime(input);
  const rest = isTimed || !hasTime(input.filter) ? nothing : await totalTime(tx, input);
  return { total: groups.reduce<UsageSums>(plus, rest), groups, more: false };
}

async function totalOf(tx: Tx, input: Input): Promise<UsageSums> {
  const [total] = await sumsOf(tx, { ...input, by: [], limit: 1 });
  // A sum over no rows is one row all the same.
  return total as UsageSums;
}

async function totalTime({ db }: Tx, input: Input): Promise<UsageSums> {
  const time = await db.selectFrom(timeOf(db, input).as('hours')).select(sumColumns).execute();
  return time[0] as unknown as UsageSums;
}

function plus(one: UsageSums, other: UsageSums): UsageSums {
  const names = Object.keys(nothing) as (keyof UsageSums)[];
  return Object.fromEntries(names.map((name) => [name, one[name] + other[name]])) as {
    [Name in keyof UsageSums]: number;
  };
}

async function sumsOf({ db }: Tx, input: Input): Promise<UsageGroup[]> {
  const { by, limit } = input;
  const keys: (typeof columns)[UsageDimension] = Object.assign(
    {},
    ...by.map((one) => columns[one]),
  );
  const requests = requestsOf(passing(db.selectFrom('usage_hours'), input));
  const rows = mayHaveTime(input) ? requests.unionAll(timeOf(db, input)) : requests;
  let query = db.selectFrom(rows.as('hours')).select(sumColumns);
  for (const [name, column] of Object.entries(keys)) {
    query = query.select(column.as(name)).groupBy(sql`${column}`);
  }
  if ('atMs' in keys) query = query.orderBy(keys['atMs'] as RawBuilder<unknown>);
  query = query.orderBy(sql`sum(cost_micros) desc`).orderBy(sql`sum(requests) desc`);
  // Whatever is left to chance is decided, so that two answers are alike.
  for (const column of Object.values(keys)) query = query.orderBy(column);
  return (await query.limit(limit).execute()) as unknown as UsageGroup[];
}

/** Whether groups hold agents' time, too. */
function mayHaveTime({ by, filter }: Input): boolean {
  return by.every((one) => dimensionsOfTime.includes(one)) && hasTime(filter);
}

/** Whether what the filter asks for can be an agent's time. */
function hasTime({ endpoint, modelId, apiKeyId, tier }: UsageFilter): boolean {
  const ofRequests = [endpoint, modelId, apiKeyId].some((value) => value !== undefined);
  return !ofRequests && (tier === undefined || tier === 'self_hosted');
}

function requestsOf<Output>(query: SelectQueryBuilder<Tables, 'usage_hours', Output>) {
  return query
    .select(['hour_ms', 'endpoint_id', 'endpoint_slug', 'model_id', 'api_key_id', 'agent_id'])
    .select(['tier', 'requests', 'succeeded', 'input_tokens', 'cached_tokens', 'output_tokens'])
    .select(['cost_micros', none.as('agent_ms'), none.as('agent_cost_micros')]);
}

/** The same columns. */
function timeOf(db: Tx['db'], { projectId, filter }: Input) {
  const { fromMs, toMs, agentId } = filter;
  let query = db.selectFrom('agent_hours').where('project_id', '=', projectId);
  if (fromMs !== undefined) query = query.where('hour_ms', '>=', fromMs - (fromMs % hourMs));
  if (toMs !== undefined) query = query.where('hour_ms', '<', toMs);
  if (agentId !== undefined) query = query.where('agent_id', '=', agentId);
  return query
    .select(['hour_ms', nobody.as('endpoint_id'), nobody.as('endpoint_slug')])
    .select([nobody.as('model_id'), nobody.as('api_key_id'), 'agent_id'])
    .select([sql<string>`'self_hosted'`.as('tier'), none.as('requests'), none.as('succeeded')])
    .select([none.as('input_tokens'), none.as('cached_tokens'), none.as('output_tokens')])
    .select([timeCost.as('cost_micros'), sql<number>`up_ms`.as('agent_ms')])
    .select(timeCost.as('agent_cost_micros'));
}

const none = sql<number>`0`;
const nobody = sql<string>`''`;

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
