/**
 * One at a time per key, in order of arrival. It keeps callers of this process from outrunning each
 * other's reads; what must hold between processes is the store's to keep.
 *
 * R6 At most `waiting` callers wait, over all keys; one more is refused.
 */
export interface Turns {
  /** Runs `work` when every earlier one of this key has ended; undefined when too many wait. */
  run<Result>(key: string, work: () => Promise<Result>): Promise<Result | undefined>;
}

export function createTurns(options: { waiting: number }): Turns {
  /** Per key, what settles when its last caller has ended. */
  const last = new Map<string, Promise<void>>();
  let waiting = 0;
  return {
    async run(key, work) {
      const before = last.get(key);
      if (before !== undefined && waiting >= options.waiting) return undefined;
      const { promise: ended, resolve: end } = deferred();
      last.set(key, ended);
      if (before !== undefined) {
        waiting += 1;
        await before;
        waiting -= 1;
      }
      try {
        return await work();
      } finally {
        if (last.get(key) === ended) last.delete(key);
        end();
      }
    },
  };
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
