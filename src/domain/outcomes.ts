/** How a request ended: the metric label, the log field and the usage row's outcome in one word. */
export const outcomes = [
  'completed',
  'client_closed',
  /** The client did not read for longer than its bound; its slot was taken back. */
  'client_too_slow',
  'queue_timeout',
  'queue_full',
  /** Refused on arrival by a limit of its project, or by the quota of its key. */
  'rate_limit_exceeded',
  'concurrency_exceeded',
  /** Refused by a budget that is used up. */
  'insufficient_quota',
  'no_agent_available',
  'model_loading',
  'unsupported_parameter',
  'upstream_error',
  'stream_error',
  'engine_refused',
  'timeout',
  'journal_unavailable',
  'revoked',
  'shutting_down',
  'interrupted',
] as const;

export type Outcome = (typeof outcomes)[number];
