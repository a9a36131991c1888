/** END (agent → router): trailers of an answer. Kept by the agent until the router acknowledges. */
import { z } from 'zod';
import { maxUsageTokens } from '../limits.ts';

const tokens = z.int().nonnegative().max(maxUsageTokens);

export const endSchema = z.object({
  requestId: z.string().min(1).max(64),
  /** The engine's own numbers; absent when the engine gave none. */
  usage: z.object({ input: tokens, cached: tokens, output: tokens }).optional(),
  /** Chunks of tokens that went out, of a stream. */
  written: tokens.optional(),
  /** Spans in ms, measured by the agent from OPEN. */
  timings: z.object({
    firstByteMs: z.number().nonnegative().optional(),
    totalMs: z.number().nonnegative(),
  }),
  /** How the engine's side ended. */
  outcome: z.enum(['completed', 'engine_error', 'cancelled']),
});
export type EndMessage = z.infer<typeof endSchema>;
