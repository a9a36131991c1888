/** Agents, their stored states and their history. */
import type { AgentEntry, StopMode, StoredAgentState } from '../../domain/directory.ts';
import type { Page, Paged } from '../../lib/page.ts';
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import type { AuditNote } from './auditStore.ts';
import type { BindingRefusal } from './catalogueStore.ts';
import type { Refused } from './refused.ts';

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
  /** From 1, one more with each change of a person's. */
  version: number;
}

/** What a person changes of an agent; what is left out stays as it is. */
export interface AgentPatch {
  name?: string | undefined;
  description?: string | undefined;
  region?: string | undefined;
  maxConcurrentRequests?: number | undefined;
  /** With what they mean for this agent. */
  tiers?: { supported: readonly TierSlug[] | null; effective: readonly TierSlug[] } | undefined;
  storageLimitBytes?: number | null | undefined;
}

/** Which agents of one owner a list shows. What is left out does not matter. */
export interface AgentQuery {
  /** Null: the shared ones. */
  projectId: string | null;
  /** The dead are a list of their own. */
  dead: boolean;
  stored?: StoredAgentState | undefined;
  /** Those that are in `ids`, or (`is` false) those that are not. */
  linked?: { ids: readonly string[]; is: boolean } | undefined;
  everLinked?: boolean | undefined;
  /** Compared without case. */
  region?: string | undefined;
  /** One that it carries. */
  tier?: TierSlug | undefined;
  /** A part of its name, compared without case. */
  name?: string | undefined;
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

/** As it is read. */
export interface NamedAgentEvent extends AgentEventRow {
  /** A person's e-mail address, a key's name; null: there is none (any more). */
  actorName: string | null;
}

export interface AgentStore {
  agentById(id: string): Promise<AgentRow | null>;
  /** Those of the names that living agents of the owner have; null: the platform. */
  takenAgentNames(input: { projectId: string | null; names: readonly string[] }): Promise<string[]>;
  /** Oldest first; a place is `[createdAtMs, id]`. */
  agentPage(input: AgentQuery & { page: Page }): Promise<Paged<AgentRow>>;
  /**
   * All of it in one transaction, with the other side of its bindings. `projectId` is the agent's
   * owner, for whom there is no other agent.
   */
  updateAgent(input: {
    agentId: string;
    projectId: string | null;
    patch: AgentPatch;
    /** Replaces the whole binding; null: bound to nothing. Undefined: as it is. */
    boundEndpointIds: readonly string[] | null | undefined;
    expectedVersion: number | null;
    audit: AuditNote;
  }): Promise<
    | { ok: true; agent: AgentRow }
    | Refused<'not_found' | 'version_conflict'>
    | Refused<'dead' | 'name_taken'>
    | BindingRefusal
  >;
  /**
   * The state that it is in already is no change, but `cut` ends what an earlier `drain` lets run.
   * Dead is final.
   */
  setAgentState(input: {
    agentId: string;
    state: StoredAgentState;
    /** Of running requests, when it is suspended or removed. Left out: cut. */
    mode?: StopMode | undefined;
    /** Of the event, where the state alone does not say it. */
    kind?: string | undefined;
    atMs: number;
    actor: string;
    reason: string;
    audit: AuditNote;
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
  /** Newest first; a place is `[id]`. */
  agentEvents(input: { agentId: string; page: Page }): Promise<Paged<NamedAgentEvent>>;
}
