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
  shared: Flag;
  cost_micros: number;
}

/**
 * Records summed by the hour in which they began, and by whatever is asked for. Nobody's agent is
 * the empty text, and every shared one is `shared`.
 */
interface UsageHours {
  project_id: string;
  hour_ms: number;
  endpoint_id: string;
  model_id: string;
  api_key_id: string;
  agent_id: string;
  tier: string;
  endpoint_slug: string;
  requests: number;
  succeeded: number;
  input_tokens: number;
  cached_tokens: number;
  output_tokens: number;
  cost_micros: number;
}

/** For how long a private agent was linked. */
interface AgentHours {
  agent_id: string;
  hour_ms: number;
  project_id: string;
  up_ms: number;
  /** The span that was counted last. */
  counted_from_ms: number;
  counted_to_ms: number;
  price_micros: number;
}

/** Its id is that of its project or key. */
interface Budgets {
  id: string;
  project_id: string;
  /** Empty: of the whole project. */
  api_key_id: string;
  amount_micros: number;
  hard_stop: Flag;
  version: number;
  updated_at_ms: number;
}

/** What a budget has passed in a month. */
interface BudgetMarks {
  budget_id: string;
  month_ms: number;
  /** Percent. */
  mark: number;
  at_ms: number;
}

export interface UsageTables {
  budgets: Budgets;
  budget_marks: BudgetMarks;
  agent_hours: AgentHours;
  usage_records: UsageRecords;
  usage_hours: UsageHours;
}
