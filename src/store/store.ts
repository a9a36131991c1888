/**
 * The store as the control plane sees it: one method = one whole transaction. Nothing of SQL leaks
 * out, no handle crosses; the embedded store runs each method inside its worker thread.
 *
 * `tables.ts` and `migrations/` are the tables, `queries/` what is asked of them, written once for
 * both databases and listed in `methods.ts`; `sqlite/` and `postgres/` run it; `openStore.ts`
 * chooses. One suite (`testing/storeContract.ts`) holds both to what stands here.
 *
 * Invariants
 * S1 A method commits whole or not at all, together with its rows in `changes`.
 * S2 Every change that the data plane must see appends to `changes` in the same transaction.
 * S3 Expected outcomes are returned as `{ ok: false, reason }`, never thrown.
 * S4 `recordUsage` twice with one request id leaves one row.
 * S5 A rotation token that is neither the current nor the previous one suspends its agent, in the
 *    transaction that finds it.
 * S6 Revisions have no gaps and become visible in order: who has read up to n misses nothing
 *    at or below n.
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
  /** Hash of the rotation token of `generation`. */
  tokenHash: string;
  /** Hash of the token before it, which still leads to the same successor; null: there is none. */
  previousTokenHash: string | null;
  createdAtMs: number;
  /** When the stored state began. */
  stateSinceMs: number;
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

/** A change with what the thing is now; `entry: null` means that it is gone. */
export type Change =
  | { revision: number; kind: 'project'; id: string; entry: ProjectEntry | null }
  | { revision: number; kind: 'api_key'; id: string; entry: ApiKeyEntry | null }
  | { revision: number; kind: 'endpoint'; id: string; entry: EndpointEntry | null }
  | { revision: number; kind: 'model'; id: string; entry: ModelEntry | null }
  | { revision: number; kind: 'agent'; id: string; entry: AgentEntry | null };

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
  /** The agent to create when this key pair has made none with this join key. */
  agent: AgentRow;
  /**
   * What the caller read with `agentByEnrollment` just before: a retry takes that agent over and
   * moves it to `next`. The token of a generation is derived outside (HMAC), so that the store sees
   * hashes only. `next.generation` is at least `generation + 2`: access tokens are good down to one
   * generation below the agent's, and a retry voids all earlier ones. Null: there was none.
   */
  resume: {
    agentId: string;
    generation: number;
    next: { generation: number; tokenHash: string };
  } | null;
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
      /** Another agent of the same owner that is not dead has this name. */
      | 'name_taken'
      | 'already_linked'
      | 'agent_suspended'
      | 'agent_dead'
      /** The agent of this key pair is not what `resume` says: read it again. */
      | 'stale'
    >;

export interface RotateInput {
  agentId: string;
  /** Hash of the token that the agent sent. */
  presentedHash: string;
  /** The generation that the caller read. */
  generation: number;
  /** Hash of the token of `generation + 1`, derived by the caller (HMAC). */
  nextHash: string;
  nowMs: number;
}

export type RotateOutcome =
  /** The generation whose token (derived by the caller) is the answer. */
  | { ok: true; generation: number }
  /** `stale`: somebody else rotated since the caller's read: read again. `reused`: S5. */
  | Refused<'stale' | 'unknown_agent' | 'agent_dead' | 'agent_suspended' | 'reused'>;

export type ChangesOutcome =
  | { ok: true; changes: Change[] }
  /** The reader's revision is older than the oldest kept one, or is not of this database. */
  | Refused<'snapshot_needed'>;

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
  joinKeyById(id: string): Promise<JoinKeyRow | null>;
  joinKeysOf(projectId: string | null): Promise<JoinKeyRow[]>;
  revokeJoinKey(input: {
    id: string;
    projectId: string | null;
    nowMs: number;
  }): Promise<{ ok: true } | Refused<'unknown'>>;
  /** The agent that this key pair made with this join key, whatever became of it. */
  agentByEnrollment(input: { joinKeyId: string; publicKey: string }): Promise<AgentRow | null>;
  /**
   * C1: consumes the key and creates the agent in one transaction. The same key pair with the same
   * join key is a retry: it consumes nothing, works also when the key is used up, and begins the
   * agent's state anew. A revoked key refuses retries too.
   */
  enroll(input: EnrollInput): Promise<EnrollOutcome>;
  agentById(id: string): Promise<AgentRow | null>;
  /** The project's own; `null` = shared ones. */
  agentsOf(projectId: string | null): Promise<AgentRow[]>;
  /**
   * Current token → next generation; previous token → the generation that there is, as often as it
   * comes; any other → `reused`, and the agent is suspended (S5).
   */
  rotateToken(input: RotateInput): Promise<RotateOutcome>;
  setAgentState(input: {
    agentId: string;
    state: 'enrolled' | 'suspended' | 'dead';
    atMs: number;
    actor: string;
    reason: string;
  }): Promise<{ ok: true; agent: AgentRow } | Refused<'unknown' | 'dead'>>;
  /** First link ever: no longer pending, and a retried enrolment is refused from here on. */
  markFirstLinked(input: {
    agentId: string;
    atMs: number;
  }): Promise<{ ok: true; first: boolean } | Refused<'unknown'>>;
  /**
   * Makes dead, at most `limit` at a time: enrolled agents that never linked and whose state began
   * before `pendingBeforeMs`, and those that were last seen (or resumed, if that was later) before
   * `silentBeforeMs` (null: never for silence). Suspended agents stay. `linkedAgentIds` are spared:
   * presence in memory is truer than what is stored.
   */
  expireAgents(input: {
    pendingBeforeMs: number;
    silentBeforeMs: number | null;
    linkedAgentIds: readonly string[];
    atMs: number;
    limit: number;
  }): Promise<AgentRow[]>;
  /** Never writes to `changes`; an older time than the stored one is ignored. */
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
  changesSince(input: { revision: number; limit: number }): Promise<ChangesOutcome>;
  /**
   * Calls back soon after a commit that wrote to `changes`: a hint, which may come late, twice or
   * (other processes on SQLite, a lost connection to PostgreSQL) not at all. Poll for the truth.
   */
  onChange(listener: () => void): () => void;
}
