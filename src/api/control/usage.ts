/** What requests come to, and the list of them: as JSON, and as CSV for spreadsheets. */
import { z } from 'zod';
import { outcomes } from '../../domain/outcomes.ts';
import { contract, isoTimeSchema, timeInputSchema } from '../contract.ts';
import { budgetSchema } from './budgets.ts';
import { costSchema } from './costSchema.ts';

const word = z.string().min(1).max(256).optional();

/** What usage is asked of. */
export const usageQuery = {
  from: timeInputSchema.optional().describe('At or behind it'),
  to: timeInputSchema.optional().describe('Before it'),
  endpoint: word.describe('Slug or id'),
  model: word.describe('Id'),
  api_key: word.describe('Id'),
  agent: word.describe('Id of an own one, or `shared` for all shared ones'),
  tier: word.describe('The tier that served'),
};

const summaryQuery = z.strictObject({
  ...usageQuery,
  group_by: z
    .string()
    .max(64)
    .optional()
    .describe('hour or day, endpoint, model, api_key, agent, tier, separated by commas'),
});

const sums = {
  requests: z.int(),
  /** Those that were answered whole. */
  succeeded: z.int(),
  input_tokens: z.int(),
  /** Of the input tokens. */
  cached_tokens: z.int(),
  output_tokens: z.int(),
  /** Of tokens, and of private agents' time. */
  cost: costSchema,
  /** For how long private agents were linked, all together, and what of the cost that is. */
  agent_seconds: z.int(),
  agent_cost: costSchema,
};

const groupSchema = z
  .strictObject({
    hour: isoTimeSchema.optional(),
    /** In UTC, such as 2026-03-01. */
    day: z.iso.date().optional(),
    endpoint: z.string().optional(),
    endpoint_id: z.string().optional(),
    /** Names are null when the thing is gone. */
    model: z.string().nullable().optional(),
    model_id: z.string().optional(),
    api_key: z.string().nullable().optional(),
    api_key_id: z.string().optional(),
    /** Own agents by name, all others as `shared`; null when nobody served. */
    agent: z.string().nullable().optional(),
    agent_id: z.string().nullable().optional(),
    tier: z.string().optional(),
    ...sums,
  })
  .meta({ id: 'UsageGroup' });
export type UsageGroupAnswer = z.infer<typeof groupSchema>;

const usageSchema = z
  .strictObject({
    from: isoTimeSchema,
    to: isoTimeSchema,
    group_by: z.array(z.string()),
    total: z.strictObject(sums).meta({ id: 'UsageSums' }),
    /** By time, then the costliest first. What group_by does not name is left out of a group. */
    data: z.array(groupSchema),
    /** There are more groups than these: ask for a shorter time, or for fewer things. */
    truncated: z.boolean(),
    /** The project's, in the month that runs, whatever time is asked for; null: it has none. */
    budget: budgetSchema.nullable(),
  })
  .meta({ id: 'Usage' });
export type UsageAnswer = z.infer<typeof usageSchema>;

export const usageContracts = {
  usage: contract({ query: summaryQuery, answer: usageSchema, status: 200, refusals: [] }),
  usageCsv: contract({
    query: summaryQuery,
    answer: { media: 'text/csv' },
    status: 200,
    refusals: [],
  }),
  requestsCsv: contract({
    query: z.strictObject({ ...usageQuery, outcome: z.enum(outcomes).optional() }),
    answer: { media: 'text/csv' },
    status: 200,
    refusals: [],
  }),
};
