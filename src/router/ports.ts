/**
 * What the router needs from durable state, as ports: it never sees SQL. `control/` implements them
 * over the store; a router without a database can be given others (a stream from a control plane).
 *
 * The directory is fed from the `changes` table only: a snapshot, then numbered changes. Hints make
 * it quick, the poll each second makes it true.
 */
import type { HealthSample } from '../domain/agents/agentHealth.ts';
import type { Expectation } from '../domain/waiting/queueOutlook.ts';
import type { ErrorName } from '../api/errors.ts';
import type { TraceContext } from '../lib/tracing/traceContext.ts';
import type { BudgetMark } from '../domain/metering/budget.ts';
import type {
  EndpointEntry,
  AgentEntry,
  ApiKeyEntry,
  BudgetEntry,
  ModelEntry,
  ProjectEntry,
  RegionMapEntry,
} from '../domain/directory.ts';
import type { Outcome } from '../domain/outcomes.ts';

export type { Outcome } from '../domain/outcomes.ts';

export interface DirectorySnapshot {
  /** The last change that the snapshot contains. */
  revision: number;
  projects: ProjectEntry[];
  apiKeys: ApiKeyEntry[];
  endpoints: EndpointEntry[];
  models: ModelEntry[];
  agents: AgentEntry[];
  budgets: BudgetEntry[];
  regionMap: RegionMapEntry;
  /** Public keys that access tokens are checked with; two during a rotation. */
  tokenKeys: TokenKey[];
}

/** Ed25519 public key in JWK form (`x` is base64url). */
export interface TokenKey {
  keyId: string;
  x: string;
}

/** `entry: null` means that the thing is gone. */
export type DirectoryChange =
  | { revision: number; kind: 'project'; id: string; entry: ProjectEntry | null }
  | { revision: number; kind: 'api_key'; id: string; entry: ApiKeyEntry | null }
  | { revision: number; kind: 'endpoint'; id: string; entry: EndpointEntry | null }
  | { revision: number; kind: 'model'; id: string; entry: ModelEntry | null }
  | { revision: number; kind: 'agent'; id: string; entry: AgentEntry | null }
  | { revision: number; kind: 'budget'; id: string; entry: BudgetEntry | null }
  | { revision: number; kind: 'region_map'; id: string; entry: RegionMapEntry | null };

export type DirectoryChanges =
  | { ok: true; changes: DirectoryChange[] }
  /** The changes after that revision are not kept any more. */
  | { ok: false; reason: 'snapshot_needed' };

export interface DirectoryFeed {
  snapshot(): Promise<DirectorySnapshot>;
  /** The token keys alone: they are in no change. */
  tokenKeys(): Promise<TokenKey[]>;
  /** Changes after `revision`, oldest first, at most `limit`. */
  changesSince(revision: number, limit: number): Promise<DirectoryChanges>;
  /** Calls `hint` soon after a change was committed. Returns the unsubscriber. */
  onHint(hint: () => void): () => void;
}

/** One finished request. Recording it twice has the effect of once (`requestId`). */
export interface UsageRecord {
  requestId: string;
  projectId: string;
  endpointId: string;
  endpointSlug: string;
  apiKeyId: string;
  modelId: string;
  /** Null when no agent was chosen. */
  agentId: string | null;
  /** Tier that served; the endpoint's own when nothing did. */
  tier: string;
  startedAtMs: number;
  inputTokens: number | null;
  cachedTokens: number | null;
  outputTokens: number | null;
  /** From arrival to the first body byte, in ms. */
  ttftMs: number | null;
  /** From arrival to the end, in ms. */
  latencyMs: number;
  /** Waited in the router's queue, in ms. */
  queueMs: number;
  status: number;
  outcome: Outcome;
  stream: boolean;
  /** Usage that the agent reported was out of the range of what was relayed. */
  usageClamped: boolean;
  /** A shared agent served it: its tokens are charged at the tier's price. */
  shared: boolean;
  /** Millionths of the operator's unit, at the price of the moment. */
  costMicros: number;
  /** An earlier process began it, and left it in the journal. */
  replayed?: true;
}

/** A private agent had a link for this time; epoch ms. */
export interface Uptime {
  agentId: string;
  projectId: string;
  fromMs: number;
  toMs: number;
}

export interface UsageSink {
  /**
   * Durable when it resolves. Rejects when the store is away (`isAway`), or when it takes nothing
   * of the kind; the journal keeps it and goes on.
   */
  record(batch: readonly UsageRecord[]): Promise<void>;
  /** Rejects when it was not taken. Each moment of an agent is counted once, however often told. */
  uptime(batch: readonly Uptime[]): Promise<void>;
}

/**
 * What the budgets of `BudgetEntry` have come to, and daily quotas of keys. Ids are those of the
 * entries.
 */
export interface BudgetLedger {
  /**
   * What the records and the linked time of some month cost that the sink has taken until now: for
   * each budget of the project, or for all there are. None is left out.
   */
  spent(asked: {
    projectId: string | null;
    /** The month, epoch ms. */
    fromMs: number;
    toMs: number;
  }): Promise<{ id: string; spentMicros: number }[]>;
  /** Tokens of each key with a daily quota in some day; one that used none may be left out. */
  keyTokens(day: { fromMs: number; toMs: number }): Promise<{ id: string; tokens: number }[]>;
  /** A mark was passed. To tell it twice in one month has the effect of once. */
  reached(budget: {
    entry: BudgetEntry;
    mark: BudgetMark;
    spentMicros: number;
    /** Begin of the month, epoch ms. */
    monthMs: number;
  }): Promise<void>;
}

/**
 * Whether a port rejected because durable state is away, and not because of what it was given. Told
 * by the error's class name: the router must not know the store.
 */
export function isAway(error: unknown): boolean {
  return error instanceof Error && error.name === 'StoreError';
}

/** What the router tells the control plane about agents. Never awaited on the request path. */
export interface PresenceSink {
  /** At most once a minute per agent. */
  seen(batch: readonly { agentId: string; lastSeenAtMs: number }[]): Promise<void>;
  /** Link changes and security events, for the agent's event list. */
  event(event: { agentId: string; atMs: number; kind: string; detail: string }): Promise<void>;
}

/** Samples of agents' health. Never awaited but by the next batch; what it refuses is lost. */
export interface HealthSink {
  record(batch: readonly HealthSample[]): Promise<void>;
}

export interface RouterPorts {
  directory: DirectoryFeed;
  usage: UsageSink;
  budgets: BudgetLedger;
  presence: PresenceSink;
  health: HealthSink;
}

/** Where an answer goes: an HTTP response in the product, an array in tests. */
export interface ClientSink {
  /**
   * The answer's status and headers; sent with the first body byte and not before.
   * At most once, before `write`.
   */
  head(status: number, headers: Record<string, string>): void;
  /** Returns false when the client's socket is full; `onDrain` follows. */
  write(chunk: Buffer): boolean;
  end(): void;
  /** Cuts the client's connection: an answer broke after its first byte and cannot say so. */
  destroy(): void;
  /** Called by the sink when the client can take more, or has gone away. Set by the router. */
  onDrain: (() => void) | undefined;
  onClientClosed: (() => void) | undefined;
  /**
   * Where its client wants to see it: once the request was accepted its place in line, about once a
   * second while it waits; null: it is with an agent.
   */
  onPlace?(place: Expectation | null, left?: Record<string, string>): void;
}

/** A refusal that `http/` puts into the envelope of its error table. */
export interface Refusal {
  name: ErrorName;
  /** A sentence that names the knob, its value and the limit; never a path or a token. */
  message: string;
  /** For `Retry-After`, in ms. */
  retryAfterMs?: number;
  /** False: to try again makes no sense, whatever the status says. */
  shouldRetry?: false;
  param?: string;
  /** Further members of the error object, e.g. `progress`. */
  extra?: Record<string, unknown>;
}

/** What became of a submitted request, once nothing more will happen to its sink. */
export interface SubmitResult {
  outcome: Outcome;
  /**
   * True when the router answered (or cut) the client through the sink. Otherwise `refusal` is what
   * the caller answers with; with a null `refusal` the client is gone.
   */
  answered: boolean;
  refusal: Refusal | null;
  /** With a refusal: the headers that name the agent that was tried last, if one was. */
  agentHeaders?: Record<string, string>;
  /** With a refusal by a limit: what is left of it. */
  rateHeaders?: Record<string, string>;
}

/** One admitted request, as `http/` hands it over: no I/O was done after its body was read. */
export interface InferenceRequest {
  requestId: string;
  project: ProjectEntry;
  endpoint: EndpointEntry;
  model: ModelEntry;
  apiKey: ApiKeyEntry;
  /** Hash of the value that the caller sent: during a rotation's grace a key has two. */
  apiKeySha256: string;
  /** Engine route: `/v1/chat/completions`. */
  path: string;
  body: Buffer;
  stream: boolean;
  includeUsage: boolean;
  /** A stream that breaks is to be continued by another agent, where that is possible. */
  resume: boolean;
  /** Abilities that the body asks for, e.g. `chat`, `tools`; empty when any engine will do. */
  abilities: readonly string[];
  /** Tokens that the body allows the answer to have, all choices together; null: no bound. */
  maxTokens: number | null;
  /** From the `X-XIM-Region` header, else null. */
  region: string | null;
  /** Monotonic ms at which the head was read. */
  arrivedAtMs: number;
  /** Absent or null: it belongs to none. */
  trace?: TraceContext | null;
}
