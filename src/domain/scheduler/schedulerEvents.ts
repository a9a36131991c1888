/**
 * What goes into the scheduler and what comes out. Every event carries its time (monotonic ms of
 * the caller), so that the router and the simulator drive the same machine.
 */
import type { BudgetStop } from '../metering/budget.ts';
import type { AgentEntry, EndpointEntry, ModelEntry, ProjectEntry } from '../directory.ts';
import type { Work } from '../placing/instanceLoad.ts';
import type { Decision } from '../explaining/decision.ts';
import type { GrantedInstance } from './instancePools.ts';
import type { LimitHit, Rates } from '../quotas/limitAccount.ts';
import type { ExclusionReason, RoutedRequest, Stage } from '../agents/matching.ts';
import type { RegionMap } from '../agents/regionMap.ts';
import type { ModelProgress, Usage } from './schedulerState.ts';
import type { Prediction } from '../prediction/latencyModel.ts';
import type { Health } from '../failures/failureBook.ts';
import type { TierSlug } from '../tiers/tiers.ts';

export type SchedulerEvent = { atMs: number } & (
  | /** The directory's word on an agent, new or changed. */ { type: 'agent'; entry: AgentEntry }
  | /** The directory does not know the agent any more. */ { type: 'agent_gone'; agentId: string }
  | /** A link of this process is up; another process's instances are fenced. */ {
      type: 'join';
      agentId: string;
      nonce: string;
    }
  | /** The last link of this process is down. */ { type: 'leave'; agentId: string; nonce: string }
  | /** What the process grants over all its links: replaces what it granted before. */ {
      type: 'grant';
      agentId: string;
      nonce: string;
      instances: readonly GrantedInstance[];
    }
  | /** How far the agent is with its models: replaces what was said before. */ {
      type: 'models';
      agentId: string;
      nonce: string;
      models: readonly ModelProgress[];
    }
  | /** The round trip to the agent, as measured on its link. */ {
      type: 'rtt';
      agentId: string;
      nonce: string;
      rttMs: number;
    }
  | /** The directory's word on an endpoint whose requests are in the house. */ {
      type: 'endpoint';
      endpoint: EndpointEntry;
      project: ProjectEntry;
      model: ModelEntry;
    }
  | /** Which regions are near one another. */ { type: 'regions'; map: RegionMap }
  | /** The budget of a project or key (its id) is used up and stops it; null: not any more. */ {
      type: 'budget';
      id: string;
      stop: BudgetStop | null;
    }
  | /** What keys have used of a day that is not counted here; below zero: less than was said. */ {
      type: 'key_tokens';
      /** A moment of the day, epoch ms. */
      ofDayMs: number;
      keys: readonly { id: string; tokens: number }[];
    }
  | { type: 'arrive'; request: RoutedRequest }
  | /** The first body byte of the claim's answer: from here on nobody else is tried. */ {
      type: 'first_byte';
      claim: number;
    }
  | /** Its first byte is late: a second agent, if few have one and nobody waits for it. */ {
      type: 'hedge';
      claim: number;
    }
  | /** Of two claims of a request: this one is not needed, or failed (`slotFree`). */ {
      type: 'drop';
      claim: number;
      slotFree: boolean;
      /** As of `failed`. */
      neverRan?: boolean;
      health?: Health;
    }
  | /** Failed before its first byte. `slotFree`: the agent's side has closed already. */ {
      type: 'failed';
      claim: number;
      slotFree: boolean;
      /** It has less room than we thought: the same agent may be asked again. */
      blameless?: boolean;
      /** The slot is free, and it is certain that no engine was given the prompt. */
      neverRan?: boolean;
      /** It failed of its own fault. */
      health?: Health;
      /**
       * The client has part of the answer: whoever is next continues it, with these abilities more.
       * The request begins to wait anew. `delivered`: tokens of its answer, by whomever.
       */
      resume?: { abilities: readonly string[]; delivered: number };
    }
  | /** The request has its outcome. `slotFree` as above. */ {
      type: 'end';
      claim: number;
      slotFree: boolean;
      usage?: Usage | undefined;
      /** `good`: its answer was complete; `bad`: it broke of the agent's fault. */
      health?: Health;
    }
  | /** The agent's side of a claim that is failed or ended in this turn or before has closed. */ {
      type: 'release';
      claim: number;
      usage?: Usage | undefined;
      /** As of `failed`. */
      neverRan?: boolean;
    }
  | /** The request is not wanted any more. A running one keeps its slot until `end`. */ {
      type: 'hang_up';
      requestId: string;
      outcome: 'client_closed' | 'revoked' | 'shutting_down';
    }
  | /** Time has passed. */ { type: 'tick' }
);

/** Those about agents. */
export type FleetEvent = Extract<
  SchedulerEvent,
  { type: 'agent' | 'agent_gone' | 'join' | 'leave' | 'grant' | 'models' | 'rtt' }
>;

type Untimed<Event> = Event extends unknown ? Omit<Event, 'atMs'> : never;

/** An event before its driver has put the time on it. */
export type UntimedEvent = Untimed<SchedulerEvent>;

export type SchedulerCommand = Dispatch | Reject | SetTimer;

export interface Dispatch {
  type: 'dispatch';
  requestId: string;
  claim: number;
  agentId: string;
  nonce: string;
  instance: string;
  modelId: string;
  stage: Stage;
  /** The tier that serves. */
  tier: TierSlug;
  /** A shared agent serves: its tier's limits and price hold. */
  shared: boolean;
  /** A second agent for a request that has one. */
  hedge: boolean;
  /** From 0. */
  attempt: number;
  /** Since arrival, in ms. */
  waitedMs: number;
  /** What the choice was made from. */
  decision: Decision;
  /** What it is to the instance that was taken. */
  work: Readonly<Work>;
  /** A stream of this instance on which nothing comes for so long has stalled, in ms. */
  stallMs: number;
  /** Until its first byte, as far as anything is known. */
  predicted: Prediction | null;
  /** What its project has left of the limits that it counts against. */
  rates: Rates;
}

export interface Reject {
  type: 'reject';
  requestId: string;
  verdict: Verdict;
  /** What its project has left of the limits that it met; null: it met none. */
  rates: Rates | null;
}

/** Ask for a `tick` at this time; replaces the last one asked for. */
export interface SetTimer {
  type: 'set_timer';
  atMs: number;
}

/**
 * Bounds of the queue: requests and bytes in all, those of one project, and its requests on one
 * tier (`project`).
 */
export type QueueBound = 'requests' | 'bytes' | 'project' | 'project_requests' | 'project_bytes';

/** Why a request was not served, with what its refusal and its receipt say. */
export type Verdict =
  | {
      kind: 'queue_timeout';
      waitedMs: number;
      /** How long a new request would wait, by what is known; null = nothing is known. */
      expectedWaitMs: number | null;
      /** The limit that kept it from agents that were free; null: none did. */
      heldBy: LimitHit | null;
      explanation: Explanation;
    }
  | {
      kind: 'queue_full';
      /** Which bound it met. */
      bound: QueueBound;
      limit: number;
      used: number;
      expectedWaitMs: number | null;
    }
  | {
      kind: 'no_agent_available';
      why: 'microvm' | 'bound_agents_dead' | 'no_agents' | 'none_active';
      /** What keeps it from all shared agents, whoever is there; null: nothing does. */
      bar: ExclusionReason | null;
      waitedMs: number;
      explanation: Explanation;
    }
  | {
      kind: 'rate_limit_exceeded' | 'concurrency_exceeded';
      hit: LimitHit;
      /** The tier whose limit it is; null: it is the quota of the request's key. */
      tier: TierSlug | null;
      expectedWaitMs: number | null;
    }
  | { kind: 'insufficient_quota'; budget: BudgetStop }
  | { kind: 'model_loading'; waitedMs: number; progress: ModelProgress | null }
  | { kind: 'unsupported_parameter'; missing: string[] }
  | { kind: 'upstream_error'; attempts: number; waitedMs: number }
  | { kind: 'client_closed' | 'revoked' | 'shutting_down'; waitedMs: number };

/** Who was out, and why: counts by reason, and the nearest misses. */
export interface Explanation {
  exclusions: Partial<Record<ExclusionReason, number>>;
  nearest: { agentId: string; stage: Stage; reason: ExclusionReason }[];
}
