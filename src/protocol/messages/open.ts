/** OPEN (router → agent): one request begins. The body follows as DATA on the same stream. */
import { z } from 'zod';

export const openSchema = z.object({
  requestId: z.string().min(1).max(64),
  /** Which loaded model serves it: an instance that the agent granted. */
  instance: z.string().min(1).max(64),
  /** The engine route, e.g. `/v1/chat/completions`. */
  path: z.string().min(1).max(128),
  /** The endpoint's slug (at most 79 characters): every answer carries it as `model`. */
  model: z.string().min(1).max(128),
  /** Seconds since the epoch: every chunk carries it as `created`. */
  created: z.int().nonnegative(),
  stream: z.boolean(),
  /** True when the client asked for `stream_options.include_usage`. */
  includeUsage: z.boolean(),
  /** Exact size of the body that follows, in bytes. */
  bodyBytes: z.int().nonnegative(),
  /** Keyed hash of the project: separates prefix caches, names nobody. */
  cacheSalt: z.string().max(64).optional(),
  /** W3C Trace Context, for the engine; absent where there is no trace. */
  traceparent: z.string().max(128).optional(),
});
export type OpenMessage = z.infer<typeof openSchema>;
