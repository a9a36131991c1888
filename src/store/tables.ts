/**
 * The tables as Kysely sees them, the same on SQLite and PostgreSQL.
 *
 * T1 Times are epoch ms and sizes are bytes, both in 64-bit integers that stay below 2⁵³.
 * T2 Truth is 0 or 1, because SQLite has nothing else.
 * T3 A list is JSON in a text column: nothing selects by what is inside.
 */
import type { Generated, Selectable } from 'kysely';

export type Flag = 0 | 1;

/** A list as JSON text (T3). */
export type JsonText = string;

interface Users {
  id: string;
  /** Lower case. */
  email: string;
  password_hash: string;
  role: 'admin' | 'user';
  must_change_password: Flag;
  created_at_ms: number;
}

interface Sessions {
  token_sha256: string;
  user_id: string;
  created_at_ms: number;
  expires_at_ms: number;
}

interface Projects {
  id: string;
  slug: string;
  name: string;
  shared_access: Flag;
  created_at_ms: number;
}

interface Models {
  id: string;
  project_id: string | null;
  name: string;
  source: string;
  format: 'gguf' | 'safetensors';
  task: 'generate' | 'embed' | 'score';
  size_bytes: number | null;
  sha256: string | null;
  context_length: number | null;
  created_at_ms: number;
}

interface Endpoints {
  id: string;
  project_id: string;
  slug: string;
  model_id: string;
  tier: string;
  active: Flag;
  fallback_enabled: Flag;
  fallback_after_ms: number;
  fallback_tier: string | null;
  region: string | null;
  exclusive: Flag;
  minimum_isolation: string | null;
  resume: Flag;
  queue_timeout_ms: number;
  created_at_ms: number;
}

interface ApiKeys {
  id: string;
  project_id: string;
  name: string;
  sha256: string;
  last_four: string;
  scopes: JsonText;
  endpoint_id: string | null;
  expires_at_ms: number | null;
  ip_allow_list: JsonText;
  revoked: Flag;
  created_at_ms: number;
}

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
}

interface AgentEvents {
  id: Generated<number>;
  agent_id: string;
  at_ms: number;
  kind: string;
  actor: string;
  detail: string;
}

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

interface Settings {
  name: string;
  value: string;
}

export type ChangeKind = 'project' | 'api_key' | 'endpoint' | 'model' | 'agent';

interface Changes {
  revision: number;
  kind: ChangeKind;
  entity_id: string;
}

/** One row: the last revision that was given. Its row lock puts writers of `changes` in order. */
interface ChangeHead {
  id: 1;
  revision: number;
}

interface Migrations {
  version: number;
  name: string;
  applied_at: string;
}

export interface Tables {
  users: Users;
  sessions: Sessions;
  projects: Projects;
  models: Models;
  endpoints: Endpoints;
  api_keys: ApiKeys;
  join_keys: JoinKeys;
  agents: Agents;
  agent_events: AgentEvents;
  usage_records: UsageRecords;
  settings: Settings;
  changes: Changes;
  change_head: ChangeHead;
  migrations: Migrations;
}

/** A row as it is read from a table. */
export type Row<Name extends keyof Tables> = Selectable<Tables[Name]>;
