/**
 * The wire of the control routes under `/api/v1`: what the dashboard and the CLI read. Times are
 * ISO 8601 in UTC, sizes are bytes, spans carry their unit in the name. Unknown is null, never 0.
 */
import type { AgentState } from '../domain/agentState.ts';
import type { AgentFacts } from './enrollment.ts';

/** `GET /api/v1/session`, and the answer of `POST /api/v1/sign-in` `{email, password}`. */
export interface SessionAnswer {
  user: { id: string; email: string; role: 'admin' | 'user' };
  /** True until the one-time password was changed. */
  must_change_password: boolean;
  projects: ProjectAnswer[];
  expires_at: string;
}

export interface ProjectAnswer {
  id: string;
  slug: string;
  name: string;
  shared_access: boolean;
  role: 'owner' | 'member';
}

/** Lists answer `{"data": [...]}`. */
export interface ListAnswer<Item> {
  data: Item[];
}

/** `GET /api/v1/status`. */
export interface StatusAnswer {
  version: string;
  started_at: string;
  now: string;
  /** Requests that run and wait, over all projects that the caller may see. */
  running: number;
  waiting: number;
  journal: 'ok' | 'failing';
  /** What an operator should know, e.g. that shared agents run without a sandbox. */
  notices: { code: string; message: string }[];
  base_url: string;
}

export type AgentStateName = AgentState;

/**
 * `GET /api/v1/projects/:project/agents`: own agents, and the shared ones that the caller may see.
 */
export interface AgentAnswer {
  id: string;
  worker_id: string;
  name: string;
  description: string;
  ownership: 'project' | 'shared';
  region: string;
  state: AgentStateName;
  /** When the present state began, where that is known. */
  state_since: string | null;
  suspended_reason: string | null;
  last_seen_at: string | null;
  created_at: string;
  /** As set; null = the accelerator's default. */
  supported_tiers: string[] | null;
  effective_tiers: string[];
  max_concurrent_requests: number;
  bound_endpoint_ids: string[] | null;
  storage_limit_bytes: number | null;
  facts: AgentFacts | null;
  agent_version: string | null;
  /** Null while no link is up. */
  rtt_ms: number | null;
  in_flight: number | null;
  slots: number | null;
  models: AgentModelAnswer[];
}

/** `GET …/agents/{agent}/events`: newest first. */
export interface AgentEventAnswer {
  id: number;
  at: string;
  kind: string;
  /** `user:<id>`, `key:<id>`, `agent`, `system` or `rule:<name>`. */
  actor: string;
  detail: string;
}

export interface AgentModelAnswer {
  model_id: string;
  name: string;
  state: 'fetching' | 'loading' | 'ready' | 'failed' | 'cached';
  received_bytes: number | null;
  total_bytes: number | null;
  bytes_per_second: number | null;
  error: string | null;
  engine: string | null;
}

/** `GET /api/v1/projects/:project/endpoints`. */
export interface EndpointAnswer {
  id: string;
  slug: string;
  tier: string;
  model: string;
  active: boolean;
  fallback: { enabled: boolean; after_ms: number; tier: string | null };
  region: string | null;
  exclusive: boolean;
  queue_timeout_ms: number;
  base_url: string;
  /** Agents that could serve it now. */
  agents_ready: number;
  running: number;
  waiting: number;
}

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

/** `GET /api/v1/projects/:project/join-keys` (and `/api/v1/platform/join-keys`). */
export interface JoinKeyAnswer {
  id: string;
  name: string;
  region: string;
  supported_tiers: string[] | null;
  storage_limit_enabled: boolean;
  storage_limit_bytes: number | null;
  max_uses: number;
  uses: number;
  state: 'open' | 'used_up' | 'expired' | 'revoked';
  created_at: string;
  expires_at: string;
}

/** The answer of `POST …/join-keys`: the only time that key and command are shown. */
export interface CreatedJoinKeyAnswer extends JoinKeyAnswer {
  key: string;
  /** The exact line to paste on the machine. */
  join_command: string;
  /** The same without `curl`, by Node alone. */
  join_command_node: string;
  warnings: string[];
}

/** `POST …/join-keys`. */
export interface CreateJoinKeyRequest {
  name?: string;
  region?: string;
  supported_tiers?: string[] | null;
  storage_limit_enabled?: boolean;
  storage_limit_bytes?: number | null;
  max_uses?: number;
  /** 1 to 3600; 900 by default. */
  ttl_seconds?: number;
}

/** `GET /api/v1/projects/:project/live`: server-sent events `snapshot`, at most one a second. */
export interface LiveSnapshot {
  at: string;
  status: StatusAnswer;
  agents: AgentAnswer[];
  endpoints: EndpointAnswer[];
  requests: RequestAnswer[];
}
