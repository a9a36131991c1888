/** When a process is killed: at a piece of what it says, a change of its files, a moment. */
import { watch } from 'node:fs';
import type { CuttingProxy } from '../links/cuttingProxy.ts';

export type KillMoment =
  /** At the nth piece of the talk by the proxy, from 1, which still arrives or not. */
  | { kind: 'piece'; at: number; passedOn: boolean }
  /** At the nth change of a name or a content in the directory, from 1. */
  | { kind: 'file'; change: number }
  | { kind: 'time'; afterMs: number };

/** Calls `kill` when the moment comes, once at most. Returns what calls it off. */
export function armKill(
  moment: KillMoment,
  parts: { proxy: CuttingProxy; directory: string; kill: () => void },
): () => void {
  const { proxy, directory, kill } = parts;
  switch (moment.kind) {
    case 'piece': {
      proxy.arm({ at: moment.at, passedOn: moment.passedOn, act: kill });
      return () => proxy.arm(undefined);
    }
    case 'file': {
      let changes = 0;
      const watcher = watch(directory, () => {
        changes += 1;
        if (changes === moment.change) kill();
      });
      return () => watcher.close();
    }
    case 'time': {
      const timer = setTimeout(kill, moment.afterMs);
      return () => clearTimeout(timer);
    }
  }
}
