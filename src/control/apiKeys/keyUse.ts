/**
 * When keys were last used, to the minute or so: remembered in memory and written down with the
 * sweep, so that no request waits for it. A crash forgets a minute of it.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Store } from '../../store/store.ts';
import { usedKeysAtOnce, usedKeysRemembered } from '../limits.ts';

export interface KeyUse {
  /** A key has opened something now. */
  note(apiKeyId: string): void;
  /** Writes down what was noted; what cannot be written is noted again for the next time. */
  flush(): Promise<void>;
}

export function createKeyUse(options: {
  store: Pick<Store, 'markApiKeysUsed'>;
  clock: Clock;
}): KeyUse {
  const { store, clock } = options;
  let used = new Map<string, number>();
  return {
    note(apiKeyId) {
      if (used.size < usedKeysRemembered || used.has(apiKeyId)) used.set(apiKeyId, clock.now());
    },
    async flush() {
      if (used.size === 0) return;
      const batch = used;
      used = new Map();
      const chunk: { id: string; atMs: number }[] = [];
      try {
        for (const [id, atMs] of batch) {
          chunk.push({ id, atMs });
          if (chunk.length < usedKeysAtOnce) continue;
          await store.markApiKeysUsed(chunk.splice(0));
        }
        if (chunk.length > 0) await store.markApiKeysUsed(chunk);
      } catch (error) {
        for (const [id, atMs] of batch) if (!used.has(id)) used.set(id, atMs);
        throw error;
      }
    },
  };
}
