/** Service tiers: their figures, what the operator says of them, and what was measured. */
import { z } from 'zod';
import { isolationLevels } from '../../domain/agents/isolation.ts';
import { tierSlugs } from '../../domain/tiers/tiers.ts';
import { contract, isoTimeSchema, wholeList } from '../contract.ts';

const priceSchema = z.strictObject({
  kind: z.enum(['per_million_tokens', 'per_hour']),
  amount: z.number(),
});

const figures = {
  tenancy: z.enum(['multi', 'single']),
  priority: z.int(),
  /** Null: not limited. */
  tokens_per_minute: z.int().nullable(),
  requests_per_minute: z.int().nullable(),
  concurrent_per_project: z.int(),
  engine_batch: z.int(),
  request_timeout_ms: z.int(),
  idle_stream_timeout_ms: z.int(),
  /** Null: no bound. */
  max_model_bytes: z.int().nullable(),
  price: priceSchema,
  streaming: z.boolean(),
  batching: z.boolean(),
  fallback_by_default: z.boolean(),
};

const tierSchema = z
  .strictObject({
    slug: z.enum(tierSlugs),
    name: z.string(),
    accelerator: z.string(),
    ...figures,
    minimum_isolation: z.enum(isolationLevels),
    /** Slugs of earlier releases that are stored as this one. */
    deprecated_slugs: z.array(z.string()),
    /** Figures that the operator has changed, with what the product ships. */
    overrides: z.strictObject(figures).partial(),
    /**
     * What the operator says of the tier. Every figure in it is an object `{value, label}`, whose
     * label says that it is a target and was not measured.
     */
    features_json: z.record(z.string(), z.unknown()).nullable(),
    /** What requests came to that this tier served over the last 24 hours. */
    measured: z.strictObject({
      since: isoTimeSchema,
      /** Those that the platform answers for; what clients broke off is not among them. */
      requests: z.int(),
      /** Between 0 and 1; null without requests, as everything below. */
      success_share: z.number().nullable(),
      ttft_p50_ms: z.number().nullable(),
      ttft_p99_ms: z.number().nullable(),
      /** Of an answer, from its dispatch to its end. */
      tokens_per_second: z.number().nullable(),
    }),
    /** Of `features_json`; 0: nothing was ever said. */
    version: z.int(),
  })
  .meta({ id: 'Tier' });
export type TierAnswer = z.infer<typeof tierSchema>;

export const tierContracts = {
  tiers: contract({ answer: wholeList(tierSchema), status: 200, refusals: [] }),
  updateTier: contract({
    body: z
      .strictObject({ features_json: z.record(z.string().max(256), z.unknown()).nullable() })
      .meta({ id: 'UpdateTier' }),
    answer: tierSchema,
    status: 200,
    refusals: ['not_found', 'conflict'],
    versioned: true,
  }),
};
