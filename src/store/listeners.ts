/** Who wants to hear that `changes` has new rows. */
import type { Logger } from '../lib/log.ts';

export interface Listeners {
  /** Returns what removes the listener again. */
  add: (listener: () => void) => () => void;
  /** Calls them all; one that throws is logged and does not keep the others from hearing. */
  call: () => void;
}

export function createListeners(log: Logger): Listeners {
  const listeners = new Set<{ listener: () => void }>();
  return {
    add(listener) {
      const entry = { listener };
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    call() {
      for (const { listener } of listeners) {
        try {
          listener();
        } catch (err) {
          log.error({ err }, 'a listener for changes of the store failed');
        }
      }
    },
  };
}
