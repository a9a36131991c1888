/**
 * The store as the control plane sees it: one method = one whole transaction. Nothing of SQL leaks
 * out, no handle crosses; the embedded store runs each method inside its worker thread.
 *
 * Invariants
 * S1 A method commits whole or not at all, together with its rows in `changes`.
 * S2 Every change that the data plane must see appends to `changes` in the same transaction.
 * S3 Expected outcomes are returned as `{ ok: false, reason }`, never thrown.
 * S4 `recordUsage` twice with one request id leaves one row.
 */
import type {
  AgentEntry,
  ApiKeyEntry,
  EndpointEntry,
  ModelEntry,
  ProjectEntry,
} from '../domain/directory.ts';

export type Refused<Reason extends string> = { ok: false; reason: Reason };

export interface UserRow {
  id: string;
  email: string;
  passwordHash: string;
  role: 'admin' | 'user';
  mustChangePassword: boolean;
  createdAtMs: number;
}

export interface SessionRow {
  tokenSha256: string;
  userId: string;
  createdAtMs: number;
  expiresAtMs: number;
}

export interface JoinKeyRow {
  id: string;
  /** Null: a platform key, which enrols shared agents. */
  projectId: string | null;
  secretSha256: string;
  name: string;
  region: string;
  supportedTiers: readonly string[] | null;
  storageLimitBytes: number | null;
  maxUses: number;
  uses: number;
  createdAtMs: number;
  expiresAtMs: number;
  revokedAtMs: number | null;
  createdBy: string;
}

/** An agent with everything that is stored of it. */
export interface AgentRow extends AgentEntry {
  description: string;
  joinKeyId: string;
  /** JSON of the facts that it enrolled with. */
  facts: string;
  tokenHash: string;
  previousTokenHash: string | null;
  /** True once the current token was presented: then the previous one is "older". */
  currentTokenUsed: boolean;
  createdAtMs: number;
  suspendedReason: string | null;
}

export interface AgentEventRow {
  id: number;
  agentId: string;
  atMs: number;
  kind: string;
  /** `user:<id>`, `agent`, `system` or `rule:<name>`. */
  actor: string;
  detail: string;
}

export interface UsageRow {
  requestId: string;
  projectId: string;
  endpointId: string;
  endpointSlug: string;
  apiKeyId: string;
  modelId: string;
  agentId: string | null;
  tier: string;
  startedAtMs: number;
  inputTokens: number | null;
  cachedTokens: number | null;
  outputTokens: number | null;
  ttftMs: number | null;
  latencyMs: number;
  queueMs: number;
  status: number;
  outcome: string;
  stream: boolean;
  usageClamped: boolean;
}

export interface ChangeRow {
  revision: number;
  kind: 'project' | 'api_key' | 'endpoint' | 'model' | 'agent';
  id: string;
}

/** First rows of a new platform, written in one transaction. */
export interface BootstrapRows {
  admin: UserRow;
  project: ProjectEntry & { createdAtMs: number };
  apiKeys: (ApiKeyEntry & { name: string; createdAtMs: number; lastFour: string })[];
  models: (ModelEntry & { createdAtMs: number })[];
  endpoints: EndpointEntry[];
  joinKeys: JoinKeyRow[];
}

export interface EnrollInput {
  joinKeyId: string;
  secretSha256: string;
  nowMs: number;
  /** The agent to create when this public key has none that may be resumed. */
  agent: AgentRow;
  /** A retry is accepted until this long after the key's expiry, in ms. */
  retryGraceMs: number;
}

export type EnrollOutcome =
  | { ok: true; agent: AgentRow; resumed: boolean }
  | Refused<
      | 'unknown_key'
      | 'wrong_secret'
      | 'expired'
      | 'revoked'
      | 'used_up'
      | 'already_linked'
      | 'agent_suspended'
      | 'agent_dead'
    >;

export interface RotateInput {
  agentId: string;
  presentedHash: string;
  /**
   * Hash of the token of a generation, by generation: derived by the caller (HMAC), because only
   * generation and hashes are stored. Given for the generations that the transaction may move to.
   */
  nextHash: string;
  /** The generation that the caller read; the transaction refuses with `stale` if it moved. */
  generation: number;
  nowMs: number;
}

export type RotateOutcome =
  | { ok: true; generation: number }
  /** Somebody else rotated between the caller's read and this transaction: read again. */
  | Refused<'stale' | 'unknown_agent' | 'agent_dead' | 'agent_suspended' | 'reused'>;

export interface Store {
  /** Runs migrations, checks the file. Rejects with a `StoreError` that says what to do. */
  open(): Promise<void>;
  close(): Promise<void>;

  // people
  isBootstrapped(): Promise<boolean>;
  bootstrap(rows: BootstrapRows): Promise<{ ok: true } | Refused<'already_bootstrapped'>>;
  userByEmail(email: string): Promise<UserRow | null>;
  userById(id: string): Promise<UserRow | null>;
  insertSession(row: SessionRow): Promise<void>;
  sessionByHash(
    tokenSha256: string,
    nowMs: number,
  ): Promise<(SessionRow & { user: UserRow }) | null>;
  deleteSession(tokenSha256: string): Promise<void>;
  deleteExpiredSessions(nowMs: number): Promise<void>;

  // projects, endpoints, models, keys
  projects(): Promise<ProjectEntry[]>;
  endpointsOf(projectId: string): Promise<EndpointEntry[]>;
  modelById(id: string): Promise<ModelEntry | null>;
  /** Points a catalogue model at another source (a first start with another `--model`). */
  updateModelSource(input: {
    id: string;
    name: string;
    source: string;
    sha256: string | null;
    sizeBytes: number | null;
    contextLength: number | null;
  }): Promise<void>;
  apiKeysOf(
    projectId: string,
  ): Promise<(ApiKeyEntry & { name: string; createdAtMs: number; lastFour: string })[]>;
  revokeApiKey(input: {
    id: string;
    projectId: string;
  }): Promise<{ ok: true } | Refused<'unknown'>>;

  // join keys and agents
  insertJoinKey(row: JoinKeyRow): Promise<void>;
  joinKeysOf(projectId: string | null): Promise<JoinKeyRow[]>;
  revokeJoinKey(input: {
    id: string;
    projectId: string | null;
    nowMs: number;
  }): Promise<{ ok: true } | Refused<'unknown'>>;
  /** C1: consumes the key and creates the agent in one transaction. */
  enroll(input: EnrollInput): Promise<EnrollOutcome>;
  agentById(id: string): Promise<AgentRow | null>;
  /** The project's own; `null` = shared ones. */
  agentsOf(projectId: string | null): Promise<AgentRow[]>;
  /** Current token → next generation. */
  rotateToken(input: RotateInput): Promise<RotateOutcome>;
  setAgentState(input: {
    agentId: string;
    state: 'enrolled' | 'suspended' | 'dead';
    atMs: number;
    actor: string;
    reason: string;
  }): Promise<{ ok: true; agent: AgentRow } | Refused<'unknown' | 'dead'>>;
  markSeen(batch: readonly { agentId: string; lastSeenAtMs: number }[]): Promise<void>;
  insertAgentEvent(event: Omit<AgentEventRow, 'id'>): Promise<void>;
  agentEvents(agentId: string, limit: number): Promise<AgentEventRow[]>;

  // usage
  recordUsage(batch: readonly UsageRow[]): Promise<void>;
  recentUsage(input: { projectId: string; limit: number }): Promise<UsageRow[]>;

  // settings: small named values of the platform (sealed secrets, key ids)
  setting(name: string): Promise<string | null>;
  /** Writes it only when absent; returns what is stored afterwards. */
  settingOrInsert(name: string, value: string): Promise<string>;

  // directory
  directory(): Promise<{
    revision: number;
    projects: ProjectEntry[];
    apiKeys: ApiKeyEntry[];
    endpoints: EndpointEntry[];
    models: ModelEntry[];
    agents: AgentEntry[];
  }>;
  /** Changes after `revision` with the present entry (null = gone), oldest first. */
  changesSince(input: {
    revision: number;
    limit: number;
  }): Promise<(ChangeRow & { entry: unknown })[]>;
  /** Calls back after each commit that wrote to `changes`. */
  onChange(listener: () => void): () => void;
}
