/**
 * What the data plane tells of agents: when they were seen, and what happened on their links. The
 * first `connected` ends an agent's pending state, and with it the time in which its enrolment may
 * be repeated (E1).
 */
import { longestDetail } from '../limits.ts';
import type { ControlParts } from '../parts.ts';

export interface PresenceSink {
  /** At most once a minute per agent. */
  seen(batch: readonly { agentId: string; lastSeenAtMs: number }[]): Promise<void>;
  /** Link changes and security events, for the agent's event list. */
  event(event: { agentId: string; atMs: number; kind: string; detail: string }): Promise<void>;
}

export function createPresenceSink({
  store,
  log,
}: Pick<ControlParts, 'store' | 'log'>): PresenceSink {
  return {
    seen: (batch) => store.markSeen(batch),
    async event({ agentId, atMs, kind, detail }) {
      if (kind === 'connected') {
        const marked = await store.markFirstLinked({ agentId, atMs });
        if (marked.ok && marked.first) log.info({ agentId }, 'agent linked for the first time');
      }
      const kept = detail.slice(0, longestDetail);
      await store.insertAgentEvent({ agentId, atMs, kind, actor: 'agent', detail: kept });
    },
  };
}
