/** Agents. */
import { z } from 'zod';
import { agentStates, type AgentState } from '../../domain/agents/agentState.ts';
import { contract, isoTimeSchema, pagedList } from '../contract.ts';
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
  /** What its engine was found to support; with `continue` it takes up streams that broke. */
  abilities: z.array(z.string()),
});
export type AgentModelAnswer = z.infer<typeof agentModelSchema>;

/** The model cache under its limit, as the agent has said last. */
const storageSchema = z.strictObject({
  /** What binds: `storage_limit_bytes`, or the machine's own smaller one. */
  limit_bytes: z.number().nullable(),
  used_bytes: z.number(),
  /** Went for the present limit. */
  evicted_bytes: z.number(),
  /** Above the limit, because the files are in use. */
  over_bytes: z.number(),
  /** Largest first; of another agent that shares the cache, without a model. */
  in_use: z.array(
    z.strictObject({
      model_id: z.string().nullable(),
      model: z.string().nullable(),
      bytes: z.number(),
    }),
  ),
  /** Whether it follows `storage_limit_bytes` as it is now. */
  up_to_date: z.boolean(),
});

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
    /** Of one that is suspended or dead: what became of running requests. */
    stop_mode: z.enum(['drain', 'cut']).nullable(),
    last_seen_at: isoTimeSchema.nullable(),
    created_at: isoTimeSchema,
    /** As set; null = the accelerator's default. */
    supported_tiers: z.array(z.string()).nullable(),
    effective_tiers: z.array(z.string()),
    max_concurrent_requests: z.int(),
    bound_endpoint_ids: z.array(z.string()).nullable(),
    storage_limit_enabled: z.boolean(),
    storage_limit_bytes: z.int().nullable(),
    /** Null while no link is up, and for agents that keep no models. */
    storage: storageSchema.nullable(),
    facts: factsSchema.nullable(),
    agent_version: z.string().nullable(),
    /** Null while no link is up. */
    rtt_ms: z.number().nullable(),
    in_flight: z.int().nullable(),
    slots: z.int().nullable(),
    models: z.array(agentModelSchema),
    /**
     * It failed requests lately and is spared while others can serve: `boxed` until the time is
     * over, then `proving`, with one request at a time. Null: it is not.
     */
    penalty: z
      .strictObject({ state: z.enum(['boxed', 'proving']), ends_in_ms: z.number() })
      .nullable(),
    /** From 1, one more with each change. */
    version: z.int(),
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
    /**
     * A person's e-mail address, a key's name; null: there is none (any more), or, of a project's
     * agent, the person is no member of that project.
     */
    actor_name: z.string().nullable(),
    detail: z.string(),
  })
  .meta({ id: 'AgentEvent' });
export type AgentEventAnswer = z.infer<typeof agentEventSchema>;

/** The reason stands in the agent's history. */
const commandSchema = z.strictObject({ reason: z.string().max(512).optional() });

const stopSchema = z.strictObject({
  ...commandSchema.shape,
  mode: z
    .enum(['drain', 'cut'])
    .default('drain')
    .describe('What becomes of running requests; nothing new comes in either case'),
});

/** With what the caller should know of the change, e.g. that a tier's slug is deprecated. */
const changedAgentSchema = z
  .strictObject({ ...agentSchema.shape, warnings: z.array(z.string()) })
  .meta({ id: 'ChangedAgent' });
export type ChangedAgentAnswer = z.infer<typeof changedAgentSchema>;

const updateAgentSchema = z
  .strictObject({
    name: z.string().max(256).optional(),
    description: z.string().max(4096).optional(),
    region: z.string().max(256).optional(),
    max_concurrent_requests: z.number().optional().describe('0: as many as the agent grants'),
    supported_tiers: z
      .array(z.string().max(64))
      .max(16)
      .nullable()
      .optional()
      .describe("Null: the accelerator's default"),
    bound_endpoint_ids: z
      .array(z.string().min(1).max(64))
      .max(64)
      .nullable()
      .optional()
      .describe('It serves exactly these and nothing else; null or empty: whatever it may'),
    storage_limit_enabled: z.boolean().optional().describe('False: no limit but the disk'),
    storage_limit_bytes: z.number().nullable().optional(),
  })
  .meta({ id: 'UpdateAgent' });
export type UpdateAgentRequest = z.infer<typeof updateAgentSchema>;

const list = pagedList({
  item: agentSchema,
  place: ['number', 'number', 'string'],
  query: {
    state: z.enum(agentStates).optional(),
    region: z.string().max(64).optional().describe('Compared without case'),
    tier: z.string().max(64).optional().describe('One that the agent carries'),
    name: z.string().max(64).optional().describe('A part of it, compared without case'),
  },
  refusals: [],
});
const one = contract({
  answer: agentSchema,
  status: 200,
  refusals: ['not_found'],
  versioned: true,
});
const update = contract({
  body: updateAgentSchema,
  answer: changedAgentSchema,
  status: 200,
  refusals: ['not_found', 'conflict'],
  versioned: true,
});
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
const stop = contract({ ...command, body: stopSchema });

/** Own agents, and the shared ones that the caller may see. */
export const agentContracts = {
  agents: list,
  agent: one,
  updateAgent: update,
  agentEvents: events,
  suspendAgent: stop,
  resumeAgent: command,
  removeAgent: stop,
  revokeAgentCredentials: command,
  platformAgents: list,
  platformAgent: one,
  updatePlatformAgent: update,
  platformAgentEvents: events,
  suspendPlatformAgent: stop,
  resumePlatformAgent: command,
  removePlatformAgent: stop,
  revokePlatformAgentCredentials: command,
};
