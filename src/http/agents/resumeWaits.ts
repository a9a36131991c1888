/**
 * Suspended agents that wait for the word of a person: the answer to a refresh is held until the
 * agent is resumed, so that it links again in that moment and not when it happens to ask (1.4.7).
 *
 * Invariants
 * W1 One wait for each agent: a later one ends the earlier one, unresumed.
 * W2 At most `maxResumeWaits` at once; one more is not held.
 * W3 No wait outlives its time, the caller's connection or the server.
 * W4 What could not be read says nothing: the store's word, that the agent is suspended, stands
 *    until a change says otherwise.
 */
import { sleep, type Clock } from '../../lib/clock.ts';
import type { Directory } from '../../router/directory.ts';
import { maxResumeWaits } from '../limits.ts';

export interface ResumeWaits {
  /**
   * Resolves with true when the agent is suspended no more (resumed, or removed), as far as the
   * directory knows; with false after `waitMs`, when `signal` aborts, or when it cannot be held
   * (W1, W2). Never rejects.
   */
  released(wait: { agentId: string; waitMs: number; signal: AbortSignal }): Promise<boolean>;
}

/** Why a wait ended: its agent is suspended no more. */
const suspendedNoMore = 'suspended no more';

export function createResumeWaits(options: {
  directory: Pick<Directory, 'agent' | 'onChange' | 'refresh'>;
  clock: Clock;
  /** Ends all of them: the server stops. */
  stopping: AbortSignal;
}): ResumeWaits {
  const { directory, clock, stopping } = options;
  const waits = new Map<string, AbortController>();
  const isSuspended = (id: string): boolean => directory.agent(id)?.state === 'suspended';
  directory.onChange((event) => {
    if (event.kind === 'agent' && !isSuspended(event.id)) {
      waits.get(event.id)?.abort(suspendedNoMore);
    }
  });
  return {
    async released({ agentId, waitMs, signal }) {
      waits.get(agentId)?.abort();
      if (waits.size >= maxResumeWaits && !waits.has(agentId)) return false;
      const over = new AbortController();
      waits.set(agentId, over);
      // From now on: what is read may take as long as the store lets it, or as others ask.
      const ended = sleep(clock, waitMs, AbortSignal.any([over.signal, signal, stopping]));
      try {
        // What the store has just said of it may be news here: resumed since, or not yet suspended.
        const read = await Promise.race([directory.refresh(), ended]);
        const isNews = read === 'read' && !isSuspended(agentId);
        if (!isNews) await ended;
        const isOver = isNews || over.signal.reason === suspendedNoMore;
        return isOver && waits.get(agentId) === over && !isSuspended(agentId);
      } finally {
        over.abort();
        if (waits.get(agentId) === over) waits.delete(agentId);
      }
    },
  };
}
