/** Agents, their stored states and their history. */
import type { AgentEntry } from '../../domain/directory.ts';
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditNote } from './auditStore.ts';
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

export interface AgentStore {
  agentById(id: string): Promise<AgentRow | null>;
  /** The project's own; `null` = shared ones. */
  agentsOf(projectId: string | null): Promise<AgentRow[]>;
  setAgentState(input: {
    agentId: string;
    state: 'enrolled' | 'suspended' | 'dead';
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
  agentEvents(input: { agentId: string; page: Page }): Promise<Paged<AgentEventRow>>;
}
