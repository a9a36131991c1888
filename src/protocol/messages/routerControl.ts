/** Control messages that a router sends (stream 0). */
import { z } from 'zod';

export const challengeSchema = z.object({
  type: z.literal('challenge'),
  nonce: z.string().min(16).max(64),
  versions: z.array(z.int().positive()).min(1).max(8),
});

export const welcomeSchema = z.object({
  type: z.literal('welcome'),
  version: z.int().positive(),
  routerId: z.string().max(64),
  agentName: z.string().max(256),
  pingIntervalMs: z.int().positive(),
  silentAfterMs: z.int().positive(),
});

export const desiredModelSchema = z.object({
  modelId: z.string().min(1).max(64),
  name: z.string().min(1).max(256),
  /** `hf:<repo>[:<file>]`, `https:…` or `file:…` */
  source: z.string().min(1).max(2048),
  format: z.enum(['gguf', 'safetensors']),
  task: z.enum(['generate', 'embed', 'score']),
  sizeBytes: z.number().nonnegative().nullable(),
  sha256: z.string().length(64).nullable(),
  contextLength: z.int().positive().nullable(),
});
export type DesiredModel = z.infer<typeof desiredModelSchema>;

/** What the agent should hold and how much of it the router will use. Replaces the last one. */
export const configSchema = z.object({
  type: z.literal('config'),
  /** Models of the endpoints that the agent may serve, last used first. */
  models: z.array(desiredModelSchema).max(64),
  /** 0 = the agent decides. */
  maxConcurrentRequests: z.int().min(0).max(4096),
  /** Null = no limit but the disk. */
  storageLimitBytes: z.number().nonnegative().nullable(),
  /** In-flight cap per instance that the router learned, where it is below the grant. */
  caps: z.record(z.string().max(64), z.int().min(0)).optional(),
});
export type ConfigMessage = z.infer<typeof configSchema>;

export const routerGoawaySchema = z.object({
  type: z.literal('goaway'),
  /**
   * `suspended` and `dead` are final for this agent's credentials (dead) or until resumed;
   * `drain` asks for a new link once running requests have ended.
   */
  reason: z.enum(['drain', 'suspended', 'dead', 'token_expired', 'replaced', 'shutting_down']),
});

export const ackSchema = z.object({
  type: z.literal('ack'),
  /** Request ids whose END trailers are safe with the router. */
  requestIds: z.array(z.string().max(64)).max(256),
});

export const routerControlSchema = z.discriminatedUnion('type', [
  challengeSchema,
  welcomeSchema,
  configSchema,
  routerGoawaySchema,
  ackSchema,
]);
export type RouterControl = z.infer<typeof routerControlSchema>;
