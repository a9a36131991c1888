/** What was served. */
import type { Flag } from './columnTypes.ts';

/** No foreign keys: a record outlives its endpoint, its key and its agent. */
interface UsageRecords {
  request_id: string;
  project_id: string;
  endpoint_id: string;
  endpoint_slug: string;
  api_key_id: string;
  model_id: string;
  agent_id: string | null;
  tier: string;
  started_at_ms: number;
  input_tokens: number | null;
  cached_tokens: number | null;
  output_tokens: number | null;
  ttft_ms: number | null;
  latency_ms: number;
  queue_ms: number;
  status: number;
  outcome: string;
  stream: Flag;
  usage_clamped: Flag;
}

export interface UsageTables {
  usage_records: UsageRecords;
}
