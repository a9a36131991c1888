/**
 * How we start Node for a server or an agent. Files that cannot import this (`package.json`,
 * `bin/xim`) repeat it; `nodeArguments.test.ts` holds them to it.
 */

/**
 * Half of the young generation of the main thread's heap, in MiB; it can be set on the command line
 * only. Node's own 64 is collected rarely, in pauses that every stream feels, and is never given
 * back. docs/internals/performance.md has what other sizes gave.
 */
const youngGenerationMiB = 4;

/** Arguments of Node, before the program's own. The second one is for `releaseMemory.ts`. */
export const nodeArguments: readonly string[] = [
  `--max-semi-space-size=${youngGenerationMiB}`,
  '--expose-gc',
];
