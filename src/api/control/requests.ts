/** Finished requests. */
import { z } from 'zod';
import { isoTimeSchema, pagedList } from '../contract.ts';
import { costSchema } from './costSchema.ts';
import { usageQuery } from './usage.ts';

export const requestSchema = z
  .strictObject({
    id: z.string(),
    started_at: isoTimeSchema,
    endpoint: z.string(),
    tier: z.string(),
    /** Own agents by name, others as `shared`; null when nothing served. */
    agent: z.string().nullable(),
    outcome: z.string(),
    status: z.int(),
    stream: z.boolean(),
    queue_ms: z.number(),
    ttft_ms: z.number().nullable(),
    latency_ms: z.number(),
    input_tokens: z.int().nullable(),
    cached_tokens: z.int().nullable(),
    output_tokens: z.int().nullable(),
    cost: costSchema,
    model_id: z.string(),
    api_key_id: z.string(),
  })
  .meta({ id: 'FinishedRequest' });
export type RequestAnswer = z.infer<typeof requestSchema>;

/** Newest first. */
export const requestContracts = {
  requests: pagedList({
    item: requestSchema,
    place: ['number', 'string'],
    query: { ...usageQuery, outcome: z.string().min(1).max(64).optional() },
    refusals: [],
  }),
};
