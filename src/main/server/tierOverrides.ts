/** `--tiers`: an operator's own figures for tiers, checked before anything is started. */
import { z } from 'zod';
import { tierSlugs, tierTable } from '../../domain/tiers/tiers.ts';
import type { TierTable } from '../../domain/tiers/tiers.ts';

const count = z.int().min(1).max(1_000_000_000);
const limit = count.nullable();
const duration = z.int().min(1_000).max(86_400_000);
const amount = z.number().min(0).max(1_000_000);

const override = z
  .strictObject({
    tenancy: z.enum(['multi', 'single']),
    priority: z.int().min(1).max(1_000),
    tokensPerMinute: limit,
    requestsPerMinute: limit,
    concurrentPerProject: count,
    engineBatch: count,
    requestTimeoutMs: duration,
    idleStreamTimeoutMs: duration,
    maxModelBytes: limit,
    price: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('per_million_tokens'), amount }),
      z.strictObject({ kind: z.literal('per_hour'), amount }),
    ]),
    streaming: z.boolean(),
    batching: z.boolean(),
    fallbackByDefault: z.boolean(),
  })
  .partial();

const overrides = z.partialRecord(z.enum(tierSlugs), override);

export type TiersOutcome = { kind: 'ok'; tiers: TierTable } | { kind: 'invalid'; problem: string };

/**
 * The shipped table with the overrides laid over it, or the first thing that is wrong with them.
 */
export function tiersFrom(given: Readonly<Record<string, unknown>> | undefined): TiersOutcome {
  const parsed = overrides.safeParse(given ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') ?? '';
    return {
      kind: 'invalid',
      problem: `--tiers: ${where === '' ? '' : `${where}: `}${issue?.message}`,
    };
  }
  // Zod spells an absent member as undefined, which would overwrite the shipped figure.
  const clean = JSON.parse(JSON.stringify(parsed.data)) as Parameters<typeof tierTable>[0];
  return { kind: 'ok', tiers: tierTable(clean) };
}
