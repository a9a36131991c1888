/** Agents. */
import { z } from 'zod';
import type { AgentState } from '../../domain/agentState.ts';
import type { AgentFacts } from '../enrollment.ts';

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

/** `POST …/agents/{agent}/suspend` and `/resume`; the reason stands in the agent's history. */
export const agentCommandSchema = z.strictObject({
  reason: z.string().max(512).optional(),
});
