/** Finished requests. */
import { z } from 'zod';
import { outcomes } from '../../domain/outcomes.ts';
import { contract, isoTimeSchema, pagedList, timeInputSchema } from '../contract.ts';
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

/** An agent as the project may see it: own ones by name, others as `shared-1`, `shared-2`, … */
const receiptAgent = { agent: z.string(), region: z.string() };

/** Who could not be taken, by the first filter that failed. */
const missesSchema = z.strictObject({
  /** How many, by reason. */
  counts: z.record(z.string(), z.int()),
  /** At most eight. */
  nearest: z.array(z.strictObject({ ...receiptAgent, reason: z.string() })),
});

/** What its score was made of, in ms; null: not known, or of a shared agent. */
const candidateSchema = z.strictObject({
  ...receiptAgent,
  taken: z.boolean(),
  /** The smallest wins. */
  cost_ms: z.number().nullable(),
  network_ms: z.number().nullable(),
  queue_ms: z.number().nullable(),
  prefill_ms: z.number().nullable(),
  decode_ms: z.number().nullable(),
  region_ms: z.number().nullable(),
  /** Prompt tokens that it would have had to compute. */
  uncached_tokens: z.int().nullable(),
  in_flight: z.int().nullable(),
});

/** One dispatch. Times in ms: `at_ms` since the arrival, the others since the dispatch. */
const attemptSchema = z.strictObject({
  ...receiptAgent,
  stage: z.enum(['own', 'shared']),
  tier: z.string(),
  /** `cheapest` of the open ones, or it opened when it was this request's `turn`. */
  chosen: z.enum(['cheapest', 'turn']),
  /** It was asked beside another one, whose first byte was late. */
  hedge: z.boolean(),
  at_ms: z.number(),
  /** `served`, `running`, or why it ended; `hedged`: the other one of two was quicker. */
  end: z.string(),
  ended_after_ms: z.number().nullable(),
  /** As estimated when it was dispatched. */
  prompt_tokens: z.int(),
  uncached_tokens: z.int(),
  expected_output_tokens: z.int(),
  predicted_ttft_ms: z.number().nullable(),
  predicted_ttft_p90_ms: z.number().nullable(),
  ttft_ms: z.number().nullable(),
  /** All of them; at most eight follow, the one that was taken first. */
  candidates_total: z.int(),
  candidates: z.array(candidateSchema),
  /** Those that have the model and were no candidates in that moment. */
  not_candidates: missesSchema,
});

export const receiptSchema = z
  .strictObject({
    ...requestSchema.shape,
    state: z.enum(['waiting', 'running', 'finished']),
    /** Null while it waits or runs. */
    outcome: z.string().nullable(),
    status: z.int().nullable(),
    /** In one sentence. */
    why: z.string(),
    /** Of one that waits now. */
    waiting: z
      .strictObject({
        /** 1: the next one. */
        position: z.int(),
        /** Null: nothing is known of anybody who could serve it. */
        eta_ms: z.number().nullable(),
      })
      .nullable(),
    /** How often another agent went on with the answer. */
    resumed: z.int(),
    /** The rest is null or empty once the receipt is not kept any more. */
    kept: z.boolean(),
    region: z.string().nullable(),
    body_bytes: z.int().nullable(),
    max_tokens: z.int().nullable(),
    /** What was foreseen when it began to wait; null: it did not. */
    foreseen: z.strictObject({ position: z.int(), wait_ms: z.number().nullable() }).nullable(),
    attempts: z.array(attemptSchema),
    /** Who could never have served it; of one that nobody served, why not. */
    not_candidates: missesSchema,
  })
  .meta({ id: 'Receipt' });
export type ReceiptAnswer = z.infer<typeof receiptSchema>;

/** One that waits or runs. */
const activeRequestSchema = z
  .strictObject({
    id: z.string(),
    started_at: isoTimeSchema,
    endpoint: z.string(),
    state: z.enum(['waiting', 'running']),
    position: z.int().nullable(),
    eta_ms: z.number().nullable(),
    agent: z.string().nullable(),
    /** Since its arrival. */
    age_ms: z.number(),
    stream: z.boolean(),
    api_key_id: z.string(),
  })
  .meta({ id: 'ActiveRequest' });
export type ActiveRequestAnswer = z.infer<typeof activeRequestSchema>;

/** Newest first. */
export const requestContracts = {
  requests: pagedList({
    item: requestSchema,
    place: ['number', 'string'],
    query: { ...usageQuery, outcome: z.enum(outcomes).optional() },
    refusals: [],
  }),
  receipt: contract({ answer: receiptSchema, status: 200, refusals: ['not_found'] }),
  activeRequests: contract({
    answer: z.strictObject({
      data: z.array(activeRequestSchema),
      /** There are more than are listed. */
      has_more: z.boolean(),
    }),
    status: 200,
    refusals: [],
  }),
  platformReceipts: contract({
    query: z.strictObject({
      from: timeInputSchema.optional().describe('Requests that came at this time or later'),
      to: timeInputSchema.optional().describe('Requests that came before this time'),
    }),
    answer: { media: 'application/x-ndjson' },
    status: 200,
    refusals: [],
  }),
};
