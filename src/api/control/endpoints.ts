/** Endpoints. */
import { z } from 'zod';
import { isolationLevels } from '../../domain/agents/isolation.ts';
import { tierSlugs } from '../../domain/tiers/tiers.ts';
import { contract, isoTimeSchema, pagedList } from '../contract.ts';

const isolationSchema = z.enum(isolationLevels);

const boundAgentSchema = z.strictObject({
  id: z.string(),
  /** `shared` for one of the platform's, unless the caller is an operator. */
  name: z.string(),
  ownership: z.enum(['project', 'shared']),
});

export const endpointSchema = z
  .strictObject({
    id: z.string(),
    slug: z.string(),
    tier: z.enum(tierSlugs),
    /** The model's name. */
    model: z.string(),
    model_id: z.string(),
    active: z.boolean(),
    fallback: z.strictObject({
      enabled: z.boolean(),
      after_ms: z.int(),
      tier: z.enum(tierSlugs).nullable(),
    }),
    region: z.string().nullable(),
    /** Only the agents in `bound_agents` serve it; none there: all of them are dead. */
    exclusive: z.boolean(),
    bound_agents: z.array(boundAgentSchema),
    /** Null: the tier's. */
    minimum_isolation: isolationSchema.nullable(),
    resume: z.boolean(),
    queue_timeout_ms: z.int(),
    base_url: z.string(),
    created_at: isoTimeSchema,
    updated_at: isoTimeSchema,
    version: z.int(),
    /** Agents that could serve it now. */
    agents_ready: z.int(),
    running: z.int(),
    waiting: z.int(),
  })
  .meta({ id: 'Endpoint' });
export type EndpointAnswer = z.infer<typeof endpointSchema>;

/** With what the caller should know of the change, e.g. that a tier's slug is deprecated. */
const changedEndpointSchema = z
  .strictObject({ ...endpointSchema.shape, warnings: z.array(z.string()) })
  .meta({ id: 'ChangedEndpoint' });
export type ChangedEndpointAnswer = z.infer<typeof changedEndpointSchema>;

const fallbackInput = z.strictObject({
  /** By default on, but off on `self_hosted` and where agents are bound. */
  enabled: z.boolean().optional(),
  /** 0: at once; at most `queue_timeout_ms`. */
  after_ms: z.number().optional(),
  /** The shared tier that serves; null: the endpoint's own. */
  tier: z.string().max(64).nullable().optional(),
});

const settingsInput = {
  active: z.boolean().optional(),
  fallback: fallbackInput.optional(),
  region: z.string().max(256).nullable().optional(),
  /** Exactly these agents serve the endpoint and nothing else; empty: whoever may. */
  bound_agent_ids: z.array(z.string().min(1).max(64)).max(256).optional(),
  /** Null: the tier's. */
  minimum_isolation: isolationSchema.nullable().optional(),
  resume: z.boolean().optional(),
  /** 1 to 30,000, which is the default. */
  queue_timeout_ms: z.number().optional(),
};

const createEndpointSchema = z
  .strictObject({
    slug: z.string().max(256).describe('In the address; fixed after creation'),
    model_id: z.string().min(1).max(64),
    tier: z.string().max(64).describe('Of a deprecated slug, the one that replaced it is stored'),
    ...settingsInput,
  })
  .meta({ id: 'CreateEndpoint' });
export type CreateEndpointRequest = z.infer<typeof createEndpointSchema>;

const updateEndpointSchema = z
  .strictObject({
    model_id: z.string().min(1).max(64).optional(),
    tier: z.string().max(64).optional(),
    ...settingsInput,
  })
  .meta({ id: 'UpdateEndpoint' });
export type UpdateEndpointRequest = z.infer<typeof updateEndpointSchema>;

export const endpointContracts = {
  endpoints: pagedList({ item: endpointSchema, place: ['number', 'string'], refusals: [] }),
  endpoint: contract({
    answer: endpointSchema,
    status: 200,
    refusals: ['not_found'],
    versioned: true,
  }),
  createEndpoint: contract({
    body: createEndpointSchema,
    answer: changedEndpointSchema,
    status: 201,
    refusals: ['model_not_found', 'tier_quota_exceeded', 'conflict'],
    creates: true,
  }),
  updateEndpoint: contract({
    body: updateEndpointSchema,
    answer: changedEndpointSchema,
    status: 200,
    refusals: ['not_found', 'model_not_found', 'tier_quota_exceeded', 'conflict'],
    versioned: true,
  }),
  deleteEndpoint: contract({
    answer: z.strictObject({
      id: z.string(),
      deleted: z.literal(true),
      /** Keys that were pinned to it, and were revoked with it. */
      revoked_key_ids: z.array(z.string()),
    }),
    status: 200,
    refusals: ['not_found', 'tier_quota_exceeded'],
  }),
};
