/** How an agent is, and was over the last day. */
import { z } from 'zod';
import { agentStates } from '../../domain/agents/agentState.ts';
import { contract, isoTimeSchema } from '../contract.ts';

/** Of the last heartbeat, or of a span. Null: the agent, its engine or its driver does not say. */
const numbers = {
  /** Requests that hold a slot: of a span the mean, as of all that has no other word here. */
  in_flight: z.number().nullable(),
  slots: z.number().nullable(),
  /** In the agent and in its engines' own queues; of a span the most. */
  waiting: z.number().nullable(),
  tokens_per_second: z.number().nullable(),
  prompt_tokens_per_second: z.number().nullable(),
  /** 0 to 1, of the fullest engine; of a span the most. */
  kv_cache_use: z.number().nullable(),
  /** 0 to 1, over all accelerators. */
  accelerator_use: z.number().nullable(),
  /** Of a span the most. */
  accelerator_memory_used_bytes: z.number().nullable(),
  accelerator_memory_total_bytes: z.number().nullable(),
  /** Of the warmest part; of a span the most. */
  temperature_c: z.number().nullable(),
  /** Of a span the least. */
  disk_free_bytes: z.number().nullable(),
  disk_total_bytes: z.number().nullable(),
  /** Of a span the least. */
  memory_available_bytes: z.number().nullable(),
  memory_total_bytes: z.number().nullable(),
};

const acceleratorSchema = z.strictObject({
  name: z.string(),
  memory_used_bytes: z.number().nullable(),
  memory_total_bytes: z.number().nullable(),
  utilization: z.number().nullable(),
  temperature_c: z.number().nullable(),
  power_w: z.number().nullable(),
});

/** One loaded model. */
const engineSchema = z.strictObject({
  instance: z.string(),
  /** Null: the instance is gone. */
  model_id: z.string().nullable(),
  model: z.string().nullable(),
  engine: z.string().nullable(),
  running: z.int(),
  waiting: z.number().nullable(),
  tokens_per_second: z.number().nullable(),
  prompt_tokens_per_second: z.number().nullable(),
  kv_cache_use: z.number().nullable(),
  /** Under the engine's own names. */
  metrics: z.record(z.string(), z.number()),
});

const nowSchema = z.strictObject({
  at: isoTimeSchema,
  ...numbers,
  /** Of the agent's process. */
  resident_bytes: z.number().nullable(),
  accelerators: z.array(acceleratorSchema),
  engines: z.array(engineSchema),
});

const sampleSchema = z.strictObject({ at: isoTimeSchema, ...numbers });
export type HealthSampleAnswer = z.infer<typeof sampleSchema>;

const agentHealthSchema = z
  .strictObject({
    agent_id: z.string(),
    state: z.enum(agentStates),
    /** Null while no link is up. */
    now: nowSchema.nullable(),
    /** Of the last 24 hours, oldest first; `at` is the end of each span. */
    samples: z.array(sampleSchema),
  })
  .meta({ id: 'AgentHealth' });
export type AgentHealthAnswer = z.infer<typeof agentHealthSchema>;

const health = contract({ answer: agentHealthSchema, status: 200, refusals: ['not_found'] });

export const agentHealthContracts = { agentHealth: health, platformAgentHealth: health };
