/**
 * The enrolment wire: what an agent posts, what it gets, and the exact bytes that it signs
 * (`GET /v1/enroll/nonce`, `POST /v1/enroll`, `POST /v1/enroll/refresh`).
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';

const text = z.string().max(256);

/** The longest that a refresh of a suspended agent is held. */
const longestResumeWaitSeconds = 30;

/**
 * What an agent says of its machine. Untrusted: shown, and used for default tiers, never for
 * access.
 */
export const factsSchema = z.object({
  hostname: text,
  os: text,
  arch: text,
  agentVersion: text,
  nodeVersion: text,
  cpu: z.object({
    vendor: z.enum(['amd', 'intel', 'arm', 'other']),
    /** True for EPYC and Xeon: only these carry a CPU tier by default. */
    serverClass: z.boolean(),
    model: text,
    cores: z.int().min(1).max(65_536),
  }),
  memoryBytes: z.number().nonnegative(),
  accelerators: z
    .array(
      z.object({
        kind: z.enum(['nvidia', 'amd', 'intel', 'gaudi']),
        model: text,
        memoryBytes: z.number().nonnegative().optional(),
        driver: text.optional(),
      }),
    )
    .max(64),
  engine: text,
});
export type AgentFacts = z.infer<typeof factsSchema>;

export const nonceAnswerSchema = z.object({ nonce: z.string(), expires_in: z.number() });

export const enrollRequestSchema = z.object({
  join_key: z.string().min(1).max(256),
  nonce: z.string().min(1).max(64),
  /** Ed25519 public key, 32 raw bytes, base64url. */
  public_key: z.string().length(43),
  /** Name for the agent; the join key's or the hostname otherwise. */
  name: z.string().min(1).max(64).optional(),
  facts: factsSchema,
  /** Ed25519 over `enrollMessage(...)`, base64url. */
  signature: z.string().max(128),
});
export type EnrollRequest = z.infer<typeof enrollRequestSchema>;

export const enrollAnswerSchema = z.object({
  agent_id: z.uuid(),
  worker_id: z.string(),
  name: z.string(),
  region: z.string(),
  link_url: z.string(),
  access_token: z.string(),
  /** Seconds of life of the access token, counted from receipt. */
  expires_in: z.number(),
  rotation_token: z.string(),
});
export type EnrollAnswer = z.infer<typeof enrollAnswerSchema>;

export const refreshRequestSchema = z.object({
  agent_id: z.uuid(),
  rotation_token: z.string().min(1).max(256),
  nonce: z.string().min(1).max(64),
  signature: z.string().max(128),
  /** A suspended agent is answered when it is resumed, or after so many seconds at the latest. */
  wait_seconds: z.number().min(0).max(longestResumeWaitSeconds).optional(),
});
export type RefreshRequest = z.infer<typeof refreshRequestSchema>;

export const refreshAnswerSchema = z.object({
  access_token: z.string(),
  expires_in: z.number(),
  rotation_token: z.string(),
});
export type RefreshAnswer = z.infer<typeof refreshAnswerSchema>;

const sha256Hex = (data: string): string => createHash('sha256').update(data).digest('hex');

/** The id inside a join key `xjk_<id>_<secret>`; undefined when it has not that form. */
export function joinKeyIdOf(joinKey: string): string | undefined {
  return /^xjk_([0-9a-z]{1,64})_[A-Za-z0-9_-]+$/.exec(joinKey)?.[1];
}

/**
 * What the enrolment signature covers. `host` is the host[:port] of the server as the agent was
 * given it.
 */
export function enrollMessage(parts: {
  nonce: string;
  host: string;
  joinKeyId: string;
  publicKey: string;
  facts: AgentFacts;
}): Buffer {
  return Buffer.from(
    [
      'xim-enroll-1',
      parts.nonce,
      parts.host.toLowerCase(),
      parts.joinKeyId,
      parts.publicKey,
      sha256Hex(canonicalJson(parts.facts)),
    ].join('\n'),
  );
}

/** What the refresh signature covers. */
export function refreshMessage(parts: {
  agentId: string;
  rotationToken: string;
  nonce: string;
}): Buffer {
  return Buffer.from(
    [
      'xim-refresh-1',
      'POST',
      '/v1/enroll/refresh',
      parts.agentId,
      sha256Hex(parts.rotationToken),
      parts.nonce,
    ].join('\n'),
  );
}

/** JSON with sorted keys, so that both sides hash the same bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
