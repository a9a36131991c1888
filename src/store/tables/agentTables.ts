/** Join keys, and the agents that enrolled with them. */
import type { Generated } from 'kysely';
import type { JsonText } from './columnTypes.ts';

interface JoinKeys {
  id: string;
  project_id: string | null;
  secret_sha256: string;
  name: string;
  region: string;
  supported_tiers: JsonText | null;
  storage_limit_bytes: number | null;
  max_uses: number;
  uses: number;
  created_at_ms: number;
  expires_at_ms: number;
  revoked_at_ms: number | null;
  created_by: string;
}

interface Agents {
  id: string;
  worker_id: string;
  name: string;
  description: string;
  project_id: string | null;
  /** No foreign key: a join key may be deleted once it has done its work. */
  join_key_id: string;
  public_key: string;
  region: string;
  state: 'enrolled' | 'suspended' | 'dead';
  state_since_ms: number;
  suspended_reason: string | null;
  generation: number;
  token_hash: string;
  previous_token_hash: string | null;
  supported_tiers: JsonText | null;
  effective_tiers: JsonText;
  max_concurrent_requests: number;
  bound_endpoint_ids: JsonText | null;
  storage_limit_bytes: number | null;
  facts: string;
  first_linked_at_ms: number | null;
  last_seen_at_ms: number | null;
  created_at_ms: number;
  version: Generated<number>;
  stop_mode: Generated<'drain' | 'cut'>;
}

interface AgentEvents {
  id: Generated<number>;
  agent_id: string;
  at_ms: number;
  kind: string;
  actor: string;
  detail: string;
}

/** Numbers of a span that ends at `at_ms`; null: not known. */
interface AgentHealth {
  agent_id: string;
  at_ms: number;
  in_flight: number | null;
  slots: number | null;
  waiting: number | null;
  tokens_per_second: number | null;
  prompt_tokens_per_second: number | null;
  kv_cache_use: number | null;
  accelerator_use: number | null;
  accelerator_memory_used_bytes: number | null;
  accelerator_memory_total_bytes: number | null;
  temperature_c: number | null;
  disk_free_bytes: number | null;
  disk_total_bytes: number | null;
  memory_available_bytes: number | null;
  memory_total_bytes: number | null;
}

export interface AgentTables {
  join_keys: JoinKeys;
  agents: Agents;
  agent_events: AgentEvents;
  agent_health: AgentHealth;
}
