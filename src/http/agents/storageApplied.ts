/**
 * Waits until an agent has followed a new storage limit: CONFIG goes out with the change, the agent
 * evicts what may go, and its next heartbeat, which comes at once, says what came of it.
 */
import type { AgentAnswer } from '../../api/control/agents.ts';
import type { Clock } from '../../lib/clock.ts';
import { sleep } from '../../lib/clock.ts';
import { storageAnswerMs } from '../limits.ts';
import type { LiveView } from '../live/liveView.ts';

type StorageApplied =
  /** It says so itself. */
  | 'applied'
  | 'not_linked'
  /** It keeps no models: its engine has them. */
  | 'no_cache'
  /** It has not said anything in `storageAnswerMs`. */
  | 'late';

export async function storageApplied(options: {
  router: Pick<LiveView, 'agent' | 'onAgentChange'>;
  clock: Clock;
  agentId: string;
  limitBytes: number | null;
  /** Ends the wait with the call. */
  signal: AbortSignal;
}): Promise<StorageApplied> {
  const { router, clock, agentId, limitBytes, signal } = options;
  const look = (): StorageApplied => {
    const present = router.agent(agentId);
    if (present === undefined) return 'not_linked';
    if (present.storage === null) return 'no_cache';
    return present.storage.configuredLimitBytes === limitBytes ? 'applied' : 'late';
  };
  const changed = new AbortController();
  const leave = router.onAgentChange((id) => {
    if (id === agentId && look() !== 'late') changed.abort();
  });
  try {
    if (look() === 'late') {
      await sleep(clock, storageAnswerMs, AbortSignal.any([changed.signal, signal]));
    }
    return look();
  } finally {
    leave();
  }
}

/** What the caller should know of a new limit. */
export function storageWarnings(
  applied: StorageApplied,
  storage: AgentAnswer['storage'],
): string[] {
  switch (applied) {
    case 'no_cache':
      return [];
    case 'not_linked':
      return ['storage_limit_bytes applies when the agent links again.'];
    case 'late':
      return ['The agent has not said yet what came of storage_limit_bytes; look again.'];
    case 'applied': {
      if (storage === null || storage.over_bytes === 0) return [];
      const models = storage.in_use.map(({ model, model_id: id, bytes }) => {
        return `${model ?? id ?? 'of another agent'} (${bytes})`;
      });
      return [
        `${storage.used_bytes} bytes are used, ${storage.over_bytes} more than ` +
          `${storage.limit_bytes}: in use, and gone once they are not: ${models.join(', ')}.`,
      ];
    }
  }
}
