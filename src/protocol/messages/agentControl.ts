/** Control messages that an agent sends (stream 0). */
import { z } from 'zod';
import { maxInstances, maxInstanceSlots } from '../limits.ts';
import { endSchema } from './end.ts';

const name = z.string().min(1).max(256);
const bytes = z.number().nonnegative();

export const helloSchema = z.object({
  type: z.literal('hello'),
  /** Link protocol versions that the agent speaks, newest first. */
  versions: z.array(z.int().positive()).min(1).max(8),
  agentVersion: z.string().max(64),
  agentId: z.uuid(),
  /** Random per start of the agent: a new one fences all links of the old. */
  instance: z.string().min(8).max(64),
  /** Number of this link, from 0. */
  link: z.int().min(0).max(15),
  accessToken: z.string().max(4096),
  /** Ed25519 over `helloMessage(...)` of `signing.ts`, base64url. */
  signature: z.string().max(128),
});

/** One model on the agent, at any stage of becoming servable. */
export const modelStateSchema = z.object({
  modelId: z.string().min(1).max(64),
  state: z.enum(['fetching', 'loading', 'ready', 'failed', 'cached']),
  /** While fetching. */
  receivedBytes: bytes.optional(),
  totalBytes: bytes.optional(),
  bytesPerSecond: bytes.optional(),
  /** Plain sentence, when failed. */
  error: z.string().max(2000).optional(),
});
export type ModelState = z.infer<typeof modelStateSchema>;

/** The agent's capacity, whole: it replaces what this link granted before. */
export const grantSchema = z.object({
  type: z.literal('grant'),
  instances: z
    .array(
      z.object({
        /** Engine instance = (agent, loaded model); changes when the engine restarts. */
        instance: z.string().min(1).max(64),
        modelId: z.string().min(1).max(64),
        slots: z.int().min(0).max(maxInstanceSlots),
        engine: name,
        engineVersion: z.string().max(128).optional(),
        contextLength: z.int().positive().optional(),
        /** What the engine was probed to support, e.g. `chat`, `tools`, `logprobs`, `continue`. */
        abilities: z.array(z.string().max(32)).max(32),
      }),
    )
    .max(maxInstances),
});
export type GrantMessage = z.infer<typeof grantSchema>;

export const heartbeatSchema = z.object({
  type: z.literal('heartbeat'),
  models: z.array(modelStateSchema).max(64),
  /** Free disk of the model cache, in bytes. */
  diskFreeBytes: bytes.optional(),
  /** Resident memory of the agent, in bytes. */
  residentBytes: bytes.optional(),
  /** Engine metrics by instance; names are the engine's, values numbers. */
  engines: z
    .array(
      z.object({
        instance: z.string().max(64),
        running: z.int().nonnegative(),
        metrics: z.record(z.string().max(64), z.number()).optional(),
      }),
    )
    .max(maxInstances),
});
export type HeartbeatMessage = z.infer<typeof heartbeatSchema>;

export const tokenSchema = z.object({
  type: z.literal('token'),
  accessToken: z.string().max(4096),
});

export const logSchema = z.object({
  type: z.literal('log'),
  lines: z
    .array(
      z.object({
        atMs: z.number(),
        level: z.enum(['debug', 'info', 'warn', 'error']),
        source: z.enum(['agent', 'engine']),
        text: z.string().max(4000),
        requestId: z.string().max(64).optional(),
      }),
    )
    .max(200),
  /** Lines that were dropped before the first of these. */
  dropped: z.int().nonnegative(),
});
export type LogMessage = z.infer<typeof logSchema>;

/** Trailers that no ACK was seen for, sent again after a reconnect. */
export const trailersSchema = z.object({
  type: z.literal('trailers'),
  ends: z.array(endSchema).max(32),
});

export const agentGoawaySchema = z.object({
  type: z.literal('goaway'),
  reason: z.enum(['draining', 'restarting', 'stopped']),
});

export const agentControlSchema = z.discriminatedUnion('type', [
  helloSchema,
  grantSchema,
  heartbeatSchema,
  tokenSchema,
  logSchema,
  trailersSchema,
  agentGoawaySchema,
]);
export type AgentControl = z.infer<typeof agentControlSchema>;
export type HelloMessage = z.infer<typeof helloSchema>;
