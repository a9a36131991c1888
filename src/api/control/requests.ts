/** Finished requests. */

/** `GET /api/v1/projects/:project/requests?limit=`: newest first. */
export interface RequestAnswer {
  id: string;
  started_at: string;
  endpoint: string;
  tier: string;
  /** Own agents by name, others as `shared`; null when nothing served. */
  agent: string | null;
  outcome: string;
  status: number;
  stream: boolean;
  queue_ms: number;
  ttft_ms: number | null;
  latency_ms: number;
  input_tokens: number | null;
  cached_tokens: number | null;
  output_tokens: number | null;
}
