/** Agents. */
import { z } from 'zod';
import { agentStates, type AgentState } from '../../domain/agentState.ts';
import { contract, isoTimeSchema, pagedList, wholeList } from '../contract.ts';
import { factsSchema } from '../enrollment.ts';

export type AgentStateName = AgentState;

const agentModelSchema = z.strictObject({
  model_id: z.string(),
  name: z.string(),
  state: z.enum(['fetching', 'loading', 'ready', 'failed', 'cached']),
  received_bytes: z.number().nullable(),
  total_bytes: z.number().nullable(),
  bytes_per_second: z.number().nullable(),
  error: z.string().nullable(),
  engine: z.string().nullable(),
});
export type AgentModelAnswer = z.infer<typeof agentModelSchema>;

export const agentSchema = z
  .strictObject({
    id: z.string(),
    worker_id: z.string(),
    name: z.string(),
    description: z.string(),
    ownership: z.enum(['project', 'shared']),
    region: z.string(),
    state: z.enum(agentStates),
    /** When the present state began, where that is known. */
    state_since: isoTimeSchema.nullable(),
    suspended_reason: z.string().nullable(),
    last_seen_at: isoTimeSchema.nullable(),
    created_at: isoTimeSchema,
    /** As set; null = the accelerator's default. */
    supported_tiers: z.array(z.string()).nullable(),
    effective_tiers: z.array(z.string()),
    max_concurrent_requests: z.int(),
    bound_endpoint_ids: z.array(z.string()).nullable(),
    storage_limit_bytes: z.int().nullable(),
    facts: factsSchema.nullable(),
    agent_version: z.string().nullable(),
    /** Null while no link is up. */
    rtt_ms: z.number().nullable(),
    in_flight: z.int().nullable(),
    slots: z.int().nullable(),
    models: z.array(agentModelSchema),
  })
  .meta({ id: 'Agent' });
export type AgentAnswer = z.infer<typeof agentSchema>;

const agentEventSchema = z
  .strictObject({
    id: z.int(),
    at: isoTimeSchema,
    kind: z.string(),
    /** `user:<id>`, `key:<id>`, `agent`, `system` or `rule:<name>`. */
    actor: z.string(),
    detail: z.string(),
  })
  .meta({ id: 'AgentEvent' });
export type AgentEventAnswer = z.infer<typeof agentEventSchema>;

/** The reason stands in the agent's history. */
const commandSchema = z.strictObject({ reason: z.string().max(512).optional() });

const list = contract({ answer: wholeList(agentSchema), status: 200, refusals: [] });
const one = contract({ answer: agentSchema, status: 200, refusals: ['not_found'] });
const events = pagedList({
  item: agentEventSchema,
  place: ['number'],
  refusals: ['not_found'],
});
const command = contract({
  body: commandSchema,
  answer: agentSchema,
  status: 200,
  refusals: ['not_found', 'conflict'],
});

/** Own agents, and the shared ones that the caller may see. */
export const agentContracts = {
  agents: list,
  agent: one,
  agentEvents: events,
  suspendAgent: command,
  resumeAgent: command,
  removeAgent: command,
  platformAgents: list,
  platformAgent: one,
  platformAgentEvents: events,
  suspendPlatformAgent: command,
  resumePlatformAgent: command,
  removePlatformAgent: command,
};
