/** What agents log: their own words and the output of their engines. */
import { z } from 'zod';
import { contract, isoTimeSchema } from '../contract.ts';

/** Lines of one answer at most: all that is kept of one log. */
export const longestLog = 10_000;
const defaultLogLines = 500;

const logLineSchema = z.strictObject({
  kind: z.literal('line'),
  /** As the agent's clock says. */
  at: isoTimeSchema,
  received_at: isoTimeSchema,
  level: z.enum(['debug', 'info', 'warn', 'error']),
  source: z.enum(['agent', 'engine']),
  /** Secrets are masked, control characters escaped. */
  text: z.string(),
  request_id: z.string().nullable(),
});

/** Lines that are missing here. */
const logGapSchema = z.strictObject({
  kind: z.literal('gap'),
  received_at: isoTimeSchema,
  /** How many; null: nobody knows, since the server was started anew. */
  lines: z.int().nullable(),
});

const logEntrySchema = z
  .discriminatedUnion('kind', [logLineSchema, logGapSchema])
  .meta({ id: 'LogEntry' });
export type LogEntryAnswer = z.infer<typeof logEntrySchema>;

/** Oldest first: the last ones, or those behind `after`. */
const logSchema = z
  .strictObject({
    data: z.array(logEntrySchema),
    has_more: z.boolean(),
    /** For `after`, also while there is no more. */
    next_cursor: z.string(),
  })
  .meta({ id: 'Log' });
export type LogAnswer = z.infer<typeof logSchema>;

const log = contract({
  query: z.strictObject({
    limit: z.coerce
      .number()
      .int()
      .min(1)
      .max(longestLog)
      .default(defaultLogLines)
      .describe('Lines at most; of a stream, those before it goes on'),
    after: z.string().max(1024).optional().describe('`next_cursor`, or the id of an event'),
    follow: z
      .enum(['true', 'false'])
      .default('false')
      .describe('As server-sent events `line` and `gap`, which go on'),
  }),
  answer: logSchema,
  stream: { media: 'text/event-stream', event: logEntrySchema },
  status: 200,
  refusals: ['not_found', 'conflict', 'concurrency_exceeded'],
});

export const logContracts = {
  agentLogs: log,
  platformAgentLogs: log,
  projectLogs: log,
};
