/**
 * The directory's entries: what the data plane knows of durable things, as plain data in memory.
 * Only what routing needs; secrets appear as hashes.
 */
import type { IsolationLevel } from './agents/isolation.ts';
import type { RegionMap } from './agents/regionMap.ts';
import type { TierSlug } from './tiers/tiers.ts';

export interface ProjectEntry {
  /** `proj_…` */
  id: string;
  slug: string;
  name: string;
  sharedAccess: boolean;
}

export interface ApiKeyEntry {
  id: string;
  projectId: string;
  /** SHA-256 of the whole key, hex. */
  sha256: string;
  /** The value before the last rotation, which is good until `untilMs` (epoch ms); null: none. */
  previous: { sha256: string; untilMs: number } | null;
  scopes: readonly ('inference' | 'management')[];
  /** Null: every endpoint of the project. */
  endpointId: string | null;
  /** Epoch ms; null: never. */
  expiresAtMs: number | null;
  /** Addresses or CIDR ranges; empty: any. */
  ipAllowList: readonly string[];
  /** Null: only the limits of the project bind. */
  quota: ApiKeyQuota | null;
  revoked: boolean;
}

/** What a key may use at most, whoever serves; null: unlimited. */
export interface ApiKeyQuota {
  requestsPerMinute: number | null;
  /** Input and output tokens together. */
  tokensPerMinute: number | null;
  tokensPerDay: number | null;
}

/** What a project, or one of its keys, may cost in a month. Its id is theirs. */
export interface BudgetEntry {
  id: string;
  projectId: string;
  /** Null: of the whole project. */
  apiKeyId: string | null;
  /** Millionths of the operator's unit. */
  amountMicros: number;
  /** What would cost more is refused when it is used up. */
  hardStop: boolean;
}

export interface FallbackOptions {
  enabled: boolean;
  afterMs: number;
  /** Null: the endpoint's own tier. */
  tier: TierSlug | null;
}

export interface EndpointEntry {
  id: string;
  projectId: string;
  slug: string;
  modelId: string;
  tier: TierSlug;
  active: boolean;
  fallback: FallbackOptions;
  region: string | null;
  exclusive: boolean;
  minimumIsolation: IsolationLevel | null;
  resume: boolean;
  queueTimeoutMs: number;
  createdAtMs: number;
}

export interface ModelEntry {
  id: string;
  /** Null: the shared catalogue. */
  projectId: string | null;
  name: string;
  /** `hf:<repo>[:<file>]`, `https:…`, `file:…` */
  source: string;
  format: 'gguf' | 'safetensors';
  task: 'generate' | 'embed' | 'score';
  sizeBytes: number | null;
  sha256: string | null;
  contextLength: number | null;
  /** The operator has approved this digest: shared agents may serve it though a project owns it. */
  approvedForShared: boolean;
}

/** The operator's map of near regions; there is one, with the id `near`. */
export interface RegionMapEntry extends RegionMap {
  id: 'near';
}

/** Stored states; pending, active and disconnected are derived from link presence. */
export type StoredAgentState = 'enrolled' | 'suspended' | 'dead';

/** What becomes of the requests that run on an agent when it is suspended or removed. */
export type StopMode = 'drain' | 'cut';

export interface AgentEntry {
  id: string;
  workerId: string;
  name: string;
  /** Null: a shared agent of the platform. */
  projectId: string | null;
  region: string;
  state: StoredAgentState;
  /** Of the last suspension or removal; means nothing while it is enrolled. */
  stopMode: StopMode;
  /** Generation of the rotation token: access tokens below `generation − 1` are void. */
  generation: number;
  /** Ed25519 public key, base64url of 32 bytes. */
  publicKey: string;
  /** As set; null = the accelerator's default. */
  supportedTiers: readonly TierSlug[] | null;
  /** What `supportedTiers` means for this agent, ownership included. */
  effectiveTiers: readonly TierSlug[];
  maxConcurrentRequests: number;
  boundEndpointIds: readonly string[] | null;
  storageLimitBytes: number | null;
  /** Epoch ms of the first link; null = never linked (pending). */
  firstLinkedAtMs: number | null;
  lastSeenAtMs: number | null;
}
