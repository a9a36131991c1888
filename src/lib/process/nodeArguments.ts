/**
 * How we start Node for a server or an agent. Files that cannot import this (`package.json`,
 * `bin/xim`) repeat it; `nodeArguments.test.ts` holds them to it.
 */

/**
 * Half of the young generation of the main thread's heap, in MiB; it can be set on the command line
 * only. Node's own 64 is collected rarely, in pauses that every stream feels, and is never given
 * back. docs/internals/performance.md has what other sizes gave.
 */
const youngGenerationMiB = 8;

/**
 * Below this size, in MiB, the heap is not collected as a whole. It counts what lies outside of it
 * too: a heap of 25 MiB would be marked from end to end for every 15 MiB of request bodies.
 */
const initialHeapMiB = 64;

/** Arguments of Node, before the program's own. `--expose-gc` is for `releaseMemory.ts`. */
export const nodeArguments: readonly string[] = [
  `--max-semi-space-size=${youngGenerationMiB}`,
  '--expose-gc',
  `--initial-heap-size=${initialHeapMiB}`,
];
