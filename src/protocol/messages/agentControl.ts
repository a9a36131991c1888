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
        /** Tokens of keys and values that all slots share; absent: the engine does not say. */
        holdsTokens: z.int().positive().max(1e9).optional(),
        /** What one short answer took with nothing else to do, in ms. */
        speed: z
          .object({
            firstByteMs: z.number().nonnegative().max(1e7),
            perTokenMs: z.number().nonnegative().max(1e7),
          })
          .optional(),
        /** What the engine was probed to support, e.g. `chat`, `tools`, `logprobs`, `continue`. */
        abilities: z.array(z.string().max(32)).max(32),
      }),
    )
    .max(maxInstances),
});
export type GrantMessage = z.infer<typeof grantSchema>;

const share = z.number().min(0).max(1);
const degrees = z.number().min(-273).max(1_000);

/** An accelerator as it is now. What its driver does not say is absent. */
const acceleratorHealthSchema = z.object({
  name: z.string().max(128),
  memoryUsedBytes: bytes.optional(),
  memoryTotalBytes: bytes.optional(),
  /** Share of the time in which it computes. */
  utilization: share.optional(),
  temperatureC: degrees.optional(),
  powerW: z.number().nonnegative().optional(),
});

/** The model cache under its limit, after the last time that files went because of it. */
const storageSchema = z.object({
  /** `storageLimitBytes` of the CONFIG that this follows from. */
  configuredLimitBytes: bytes.nullable(),
  /** What binds: that, or the machine's own smaller one. */
  limitBytes: bytes.nullable(),
  usedBytes: bytes,
  /** Files that went for the present limit. */
  evictedBytes: bytes,
  /** Above the limit, because what is left is in use. */
  overBytes: bytes,
  /** Largest first; null: of another agent that shares the cache. */
  inUse: z.array(z.object({ modelId: z.string().max(64).nullable(), bytes })).max(16),
});
export type StorageReport = z.infer<typeof storageSchema>;

export const heartbeatSchema = z.object({
  type: z.literal('heartbeat'),
  models: z.array(modelStateSchema).max(64),
  /** Requests that hold one of the agent's slots, and that wait for one. */
  load: z
    .object({
      slots: z.int().nonnegative(),
      running: z.int().nonnegative(),
      waiting: z.int().nonnegative(),
    })
    .optional(),
  /** Disk of the model cache (or of the agent's state where there is none), in bytes. */
  diskFreeBytes: bytes.optional(),
  diskTotalBytes: bytes.optional(),
  storage: storageSchema.optional(),
  /** Resident memory of the agent, and memory of the machine, in bytes. */
  residentBytes: bytes.optional(),
  memoryAvailableBytes: bytes.optional(),
  memoryTotalBytes: bytes.optional(),
  /** Of the processor. */
  temperatureC: degrees.optional(),
  accelerators: z.array(acceleratorHealthSchema).max(64).optional(),
  /** Engine metrics by instance; names are the engine's, values numbers. */
  engines: z
    .array(
      z.object({
        instance: z.string().max(64),
        /** Of this agent's requests. */
        running: z.int().nonnegative(),
        /** In the engine's own queue. */
        queued: z.number().nonnegative().optional(),
        /** Tokens of answers, and of prompts that were read. */
        tokensPerSecond: z.number().nonnegative().optional(),
        promptTokensPerSecond: z.number().nonnegative().optional(),
        kvCacheUse: share.optional(),
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
