/** Samples of agents' health. */
import { healthMeasureNames, type HealthSample } from '../../domain/agents/agentHealth.ts';
import type { HealthStore } from '../contract/healthStore.ts';
import { rowsPerStatement } from '../limits.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { chunks, snakeCase } from '../queries/columns.ts';

type Column = Exclude<keyof Row<'agent_health'>, 'agent_id' | 'at_ms'>;

const columns = healthMeasureNames.map((name) => [name, snakeCase(name) as Column] as const);

export async function recordHealth({ db }: Tx, batch: readonly HealthSample[]): Promise<void> {
  for (const chunk of chunks(batch, rowsPerStatement)) {
    await db
      .insertInto('agent_health')
      .values(chunk.map(toRow))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

export async function healthOf(
  { db }: Tx,
  { agentId, fromMs, limit }: Parameters<HealthStore['healthOf']>[0],
): Promise<HealthSample[]> {
  const rows = await db
    .selectFrom('agent_health')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('at_ms', '>=', fromMs)
    .orderBy('at_ms', 'desc')
    .limit(limit)
    .execute();
  return rows.toReversed().map(toSample);
}

/** By the time alone: the rows of one moment are of many agents, and go together. */
export async function deleteOldHealth(
  { db }: Tx,
  { beforeMs, limit }: { beforeMs: number; limit: number },
): Promise<number> {
  const oldest = await db
    .selectFrom('agent_health')
    .select('at_ms')
    .where('at_ms', '<', beforeMs)
    .orderBy('at_ms')
    .limit(limit)
    .execute();
  const last = oldest.at(-1);
  if (last === undefined) return 0;
  const { numDeletedRows } = await db
    .deleteFrom('agent_health')
    .where('at_ms', '<=', last.at_ms)
    .executeTakeFirst();
  return Number(numDeletedRows);
}

function toRow(sample: HealthSample): Row<'agent_health'> {
  const measures = columns.map(([name, column]) => [column, sample[name]]);
  return {
    agent_id: sample.agentId,
    at_ms: sample.atMs,
    ...(Object.fromEntries(measures) as Pick<Row<'agent_health'>, Column>),
  };
}

function toSample(row: Row<'agent_health'>): HealthSample {
  const measures = columns.map(([name, column]) => [name, row[column]]);
  return {
    agentId: row.agent_id,
    atMs: row.at_ms,
    ...Object.fromEntries(measures),
  } as HealthSample;
}
