/** What the requests of a slice of time came to, by the tier that served them. */
import { sql } from 'kysely';
import {
  clientOutcomes,
  successOutcome,
  type TierSlice,
} from '../../domain/metering/tierMeasures.ts';
import { isTierSlug } from '../../domain/tiers/tiers.ts';
import type { Tx } from '../transaction.ts';

interface Sums {
  tier: string;
  requests: number;
  succeeded: number;
  output_tokens: number;
  serving_ms: number;
}

/**
 * Spans from a second on lose what is beyond three digits, so that a slice has some thousand
 * different ones at most.
 */
const rounded = sql<number>`case
  when ttft_ms < 1000 then ttft_ms
  when ttft_ms < 10000 then ttft_ms - ttft_ms % 10
  when ttft_ms < 100000 then ttft_ms - ttft_ms % 100
  else ttft_ms - ttft_ms % 1000 end`;

export async function tierSlices(
  tx: Tx,
  span: { fromMs: number; toMs: number },
): Promise<TierSlice[]> {
  const { db } = tx;
  const when = sql`started_at_ms >= ${span.fromMs} and started_at_ms < ${span.toMs}`;
  const counted = sql`outcome = ${successOutcome} and output_tokens is not null`;
  const sums = await sql<Sums>`
    select tier,
      cast(count(*) as bigint) as requests,
      cast(sum(case when outcome = ${successOutcome} then 1 else 0 end) as bigint) as succeeded,
      cast(sum(case when ${counted} then output_tokens else 0 end) as bigint) as output_tokens,
      cast(sum(case when ${counted} then latency_ms - queue_ms else 0 end) as bigint) as serving_ms
    from usage_records
    where ${when} and outcome not in (${sql.join(clientOutcomes)})
    group by tier`.execute(db);
  const firstBytes = await sql<{ tier: string; ms: number; count: number }>`
    select tier, ${rounded} as ms, count(*) as count from usage_records
    where ${when} and outcome = ${successOutcome} and ttft_ms is not null
    group by tier, ${rounded}`.execute(db);
  return sums.rows.flatMap((row) => {
    const { tier } = row;
    if (!isTierSlug(tier)) return [];
    const ttft = firstBytes.rows
      .filter((one) => one.tier === tier)
      .map(({ ms, count }) => [ms, count] as const);
    const { requests, succeeded } = row;
    const [outputTokens, servingMs] = [row.output_tokens, row.serving_ms];
    return [{ tier, requests, succeeded, outputTokens, servingMs, ttft }];
  });
}
