/**
 * What the data plane tells of agents: when they were seen, and what happened on their links. The
 * first of either ends an agent's pending state, and with it the time in which its enrolment may be
 * repeated (E1). Both can be lost on the way, so both count.
 */
import { eventDetail } from '../agents/eventDetail.ts';
import { linkedAgentsRemembered } from '../limits.ts';
import type { ControlParts } from '../parts.ts';

export interface PresenceSink {
  /** At most once a minute per agent. */
  seen(batch: readonly { agentId: string; lastSeenAtMs: number }[]): Promise<void>;
  /** Link changes and security events, for the agent's list; `connected` is a link's start. */
  event(event: { agentId: string; atMs: number; kind: string; detail: string }): Promise<void>;
}

export function createPresenceSink(parts: Pick<ControlParts, 'store' | 'log'>): PresenceSink {
  const { store, log } = parts;
  /** Agents whose first link is in the store: asked once each per start, not each minute. */
  const linkedBefore = new Set<string>();
  const linked = async (agentId: string, atMs: number): Promise<void> => {
    if (linkedBefore.has(agentId)) return;
    const marked = await store.markFirstLinked({ agentId, atMs });
    if (marked.ok && marked.first) log.info({ agentId }, 'agent linked for the first time');
    if (linkedBefore.size >= linkedAgentsRemembered) linkedBefore.clear();
    linkedBefore.add(agentId);
  };
  return {
    async seen(batch) {
      for (const { agentId, lastSeenAtMs } of batch) await linked(agentId, lastSeenAtMs);
      await store.markSeen(batch);
    },
    async event({ agentId, atMs, kind, detail }) {
      if (kind === 'connected') await linked(agentId, atMs);
      // The end of a link may carry the agent's own words.
      const kept = eventDetail(detail);
      await store.insertAgentEvent({ agentId, atMs, kind, actor: 'agent', detail: kept });
    },
  };
}
