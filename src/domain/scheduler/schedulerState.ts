/**
 * What the scheduler holds: agents, their engine instances, the pools in which instances and
 * waiting requests meet, and the claims that tie a running request to a slot.
 */
import type { AgentEntry } from '../directory.ts';
import type { ProjectAccount } from '../quotas/projectAccount.ts';
import type { KeyHold } from '../quotas/keyQuotas.ts';
import type { Reservation } from '../quotas/limitBook.ts';
import { ownershipOf, type Ownership, type RoutedRequest, type Stage } from '../agents/matching.ts';
import type { FairAccount } from '../waiting/fairQueue.ts';
import type { InstanceLoad } from '../placing/instanceLoad.ts';
import type { LongPrompts } from '../placing/longPrompts.ts';
import type { Placed } from '../placing/placement.ts';
import type { ScopedPrompt } from '../placing/prefixIndex.ts';
import type { Place, PoolQueue } from '../waiting/poolQueue.ts';
import type { TokenNeed } from '../prediction/tokenEstimates.ts';
import type { OpenInstances } from './openInstances.ts';

/** How far an agent is with a model. */
export interface ModelProgress {
  modelId: string;
  state: 'fetching' | 'loading' | 'ready' | 'failed' | 'cached';
  receivedBytes?: number | undefined;
  totalBytes?: number | undefined;
  bytesPerSecond?: number | undefined;
}

/** Tokens of a request as its engine counted them, within what was relayed. */
export interface Usage {
  input: number;
  output: number;
  /** Of the input: what the engine did not have to compute; absent: it did not say. */
  cached?: number | undefined;
  /** Of the output: what earlier attempts had given; absent: nothing. */
  delivered?: number | undefined;
}

export interface KnownAgent {
  entry: AgentEntry;
  /** The directory has forgotten it; it is kept while a claim still holds one of its slots. */
  gone: boolean;
  /** Random per start of the agent's process; null while no link is up. */
  nonce: string | null;
  /** The process that was lost with requests under way; null: the last one had none. */
  lostNonce: string | null;
  /** Processes that were lost so, one after the other, without an answer that was complete. */
  crashes: number;
  /** Counts over all agents: another one each time that a process, new or known, has linked. */
  life: number;
  /** To it and back, in ms; null: not measured, or no link is up. */
  rttMs: number | null;
  models: ReadonlyMap<string, ModelProgress>;
  /** By `<nonce>/<instance>/<model>`: granted ones, and gone ones whose claims still run. */
  instances: ReadonlyMap<string, EngineInstance>;
  groups: AgentGroup[];
}

/**
 * What an agent without a link has of either: one for all of them, who may be a hundred thousand.
 */
export const nothingYet: ReadonlyMap<string, never> = new Map<string, never>();

/** Names an instance of one process of an agent: with another model it is another one. */
export const instanceKey = (nonce: string, { id, modelId }: { id: string; modelId: string }) =>
  `${nonce}/${id}/${modelId}`;

/** Whether an instance could be given one more, by its slots alone. */
export const hasSlot = ({ engine, slots }: Pick<EngineInstance, 'engine' | 'slots'>): boolean =>
  engine.inFlight < slots;

/** Agents that share a scope and a tier, with the counts that waiting depends on. */
export interface AgentGroup {
  key: string;
  /** Everybody but the dead. */
  members: Set<KnownAgent>;
  /** Neither suspended nor dead. */
  enrolled: number;
  /** Enrolled, with a link up. */
  active: Set<KnownAgent>;
  /** When the last of these went. */
  lastActiveAtMs: number;
}

/** One model loaded in one engine of one agent: everything that is counted is counted here. */
export interface EngineInstance {
  agent: KnownAgent;
  nonce: string;
  id: string;
  modelId: string;
  abilities: readonly string[];
  /** Since when no slot has become free, ms as in events: the last release, or the first claim. */
  lastFreeAtMs: number;
  /** Granted by the agent; 0 once it is gone. */
  slots: number;
  /** Claims that hold a slot (R5: changes at claim and release only). */
  inFlight: number;
  /** The same, with what runs on it of models that it had before: they hold its slots, too. */
  engine: { inFlight: number };
  /** What it has to do, and what was learned of it. */
  load: InstanceLoad;
  /** Empty while it is not granted. */
  pools: InstancePool[];
}

/** Instances of one model in one scope, and the requests that wait for one of them. */
export interface InstancePool {
  key: string;
  /** Of all its agents: its tokens are as these count. */
  ownership: Ownership;
  instances: Set<EngineInstance>;
  /** Those that are open: with a slot to use, and a short backlog. */
  open: OpenInstances;
  slots: number;
  waiting: PoolQueue<WaitingRequest>;
  long: LongPrompts<EngineInstance>;
  /** When the last instance went. */
  lastPresentAtMs: number;
  /** Moving mean of how long a claim holds a slot; 0 = none has ended yet. */
  serviceMs: number;
}

/** What a request is to agents that are all own or all shared. Tokens are as these count. */
export interface Measure {
  /** What is set aside for it, as estimated on arrival. */
  tokens: TokenNeed;
  /** From how many tokens to be computed its prompt counts as long; null: nobody asked yet. */
  longFrom: number | null;
  /** Until when it is kept to some instances, if its prompt is long; null: it does not wait yet. */
  keptUntilMs: number | null;
}

/** A request between arrival and its claim, or between a failed claim and the next. */
export interface WaitingRequest {
  request: RoutedRequest;
  projectId: string;
  /** Null: nothing is known of what its prompt shares with others. */
  prompt: ScopedPrompt | null;
  /** Arrivals count up from 1; retries are below zero, in the same order, and go first. */
  order: number;
  /** It was counted as having come, where it waits or is served. */
  counted: boolean;
  measures: Readonly<Record<Ownership, Measure>>;
  /** What its project was served by shared agents, while it waits or runs on them. */
  fair: FairAccount | null;
  /** The account among whose requests it counts as waiting; null: not for shared agents. */
  waitsIn: FairAccount | null;
  arrivedAtMs: number;
  deadlineMs: number;
  /** What it holds of its key's quota, from its arrival to its end; null: nothing. */
  keyHold: KeyHold | null;
  /** Limits that keep it from slots that are free (L3). */
  heldBackBy: Set<ProjectAccount>;
  /** When shared agents open; null = never, or already open. */
  fallbackAtMs: number | null;
  stages: Stage[];
  /** Lives of agents that failed it: one that restarted, or linked anew, counts as another. */
  tried: string[];
  /** Agents that failed it, and which of them were put into the box for it. */
  failedAt: Set<string>;
  strikes: { agent: KnownAgent; life: number }[];
  /** Somebody else was found who is closer to clear than this, and in which round (F2). */
  others: { severity: number; round: number } | null;
  /** How often an agent had less room than it had granted; no agent is excluded for it. */
  turnedDown: number;
  /** What its project was charged for attempts that failed, and has back while others try. */
  lostCharge: number;
  /** As many lives may fail it, and one more. */
  maxRetries: number;
  /** Tokens of the answer that its client has; null: it has no part of it. */
  delivered: number | null;
  /** The attempt that failed, or is late, while what it holds of a limit is this request's (L7). */
  left: Claim | null;
  /** Those that were made before its answer broke. */
  attemptsBefore: number;
  places: { pool: InstancePool; stage: Stage; place: Place<WaitingRequest> }[];
  wakeAtMs: number;
  heapIndex: number;
}

/** What a request is to an instance. */
export const measureFor = ({ measures }: WaitingRequest, { agent }: EngineInstance): Measure =>
  measures[ownershipOf(agent.entry)];

/** L7. Whether its request waits with what the claim holds of a limit, its slot free or not. */
export const isKept = (claim: Claim): boolean =>
  claim.waiting.left === claim && claim.waiting.delivered !== null;

/** A slot that a request holds. */
export interface Claim {
  id: number;
  instance: EngineInstance;
  waiting: WaitingRequest;
  /** The other one that the same request depends on, until one of them has a first byte. */
  twin: Claim | null;
  /** The agent's life when it was claimed. */
  life: number;
  stage: Stage;
  startedAtMs: number;
  placed: Placed;
  /** It is certain that no engine was given its prompt. */
  neverRan: boolean;
  /** Null: settled, or another claim of its request goes on with it (L7). */
  reservation: Reservation | null;
  /**
   * What the reservation comes to: nothing for an attempt that failed before its first byte; what
   * was set aside, until the engine has said what it was.
   */
  spent: 'nothing' | 'reserved' | Usage;
  /**
   * `serving`: the request depends on it. `closed`: it still does, and the agent's side has closed
   * in the turn in which the request is taken away. `over`: the request has its outcome or another
   * claim, and the slot waits until the agent's side has closed.
   */
  phase: 'serving' | 'closed' | 'over';
}
