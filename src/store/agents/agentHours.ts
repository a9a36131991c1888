/**
 * For how long private agents were linked, by the hour. An hour keeps the end of what was counted
 * of it: what a later span has before that end is counted already, so that a span that is told
 * twice, or by two servers, counts once.
 */
import { sql } from 'kysely';
import type { UptimeRow } from '../contract/usageStore.ts';
import { rowsPerStatement } from '../limits.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { chunks } from '../queries/columns.ts';
import { hourMs } from '../usage/usageHours.ts';

type HourRow = Row<'agent_hours'>;

/** What an hour of an agent costs; a part of a millionth is rounded. */
export const timeCost = sql<number>`(up_ms * price_micros + ${sql.lit(hourMs / 2)}) /
  ${sql.lit(hourMs)}`;

export async function recordUptime(tx: Tx, batch: readonly UptimeRow[]): Promise<void> {
  for (const round of rounds(batch.flatMap(hoursOf))) {
    for (const rows of chunks(round, rowsPerStatement)) await addSpans(tx, rows);
  }
}

async function addSpans({ db, dialect }: Tx, rows: HourRow[]): Promise<void> {
  const larger = sql.raw(dialect === 'sqlite' ? 'max' : 'greatest');
  await db
    .insertInto('agent_hours')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['agent_id', 'hour_ms']).doUpdateSet({
        up_ms: sql<number>`agent_hours.up_ms + ${larger}(0, excluded.counted_to_ms -
            ${larger}(agent_hours.counted_to_ms, excluded.counted_from_ms))`,
        counted_from_ms: sql<number>`excluded.counted_from_ms`,
        counted_to_ms: sql<number>`${larger}(agent_hours.counted_to_ms, excluded.counted_to_ms)`,
        price_micros: sql<number>`excluded.price_micros`,
      }),
    )
    .execute();
}

/**
 * Each row of the table once at most in one round, since a statement changes a row once; spans of
 * one hour keep their order, and rounds have one (X2).
 */
function rounds(rows: readonly HourRow[]): HourRow[][] {
  const found: Map<string, HourRow>[] = [];
  for (const row of rows.toSorted((one, other) => one.counted_from_ms - other.counted_from_ms)) {
    const key = `${row.agent_id} ${row.hour_ms}`;
    const open = found.find((round) => !round.has(key));
    if (open === undefined) found.push(new Map([[key, row]]));
    else open.set(key, row);
  }
  return found.map((round) =>
    [...round].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, row]) => row),
  );
}

/** A span cut at the hours. */
function hoursOf({ agentId, projectId, fromMs, toMs, hourPriceMicros }: UptimeRow): HourRow[] {
  const rows: HourRow[] = [];
  for (let hour = fromMs - (fromMs % hourMs); hour < toMs; hour += hourMs) {
    const from = Math.max(fromMs, hour);
    const to = Math.min(toMs, hour + hourMs);
    rows.push({
      agent_id: agentId,
      hour_ms: hour,
      project_id: projectId,
      up_ms: to - from,
      counted_from_ms: from,
      counted_to_ms: to,
      price_micros: hourPriceMicros,
    });
  }
  return rows;
}
