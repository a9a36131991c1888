/** Bounds of what the scheduler learns (R6, S6). Times in ms, sizes in bytes. */

/** First bytes of an instance before its own model is asked instead of its kind's. */
export const minLatencySamples = 8;

/** The longest time that is learned from; what took longer counts as this. */
export const longestMeasuredMs = 3_600_000;

/** Kinds of machines whose models are kept; the one that was asked for longest ago goes first. */
export const maxKinds = 1024;

/** Blocks of prompts that are remembered for one project and model. */
export const maxPrefixBlocksInScope = 16_384;

/** The same in all: the scope that was used longest ago is forgotten first. */
export const maxPrefixBlocks = 1_000_000;

/** Instances that are remembered for one block. */
export const maxBlockHolders = 64;

/** A project that neither waits nor runs on shared agents for so long begins anew. */
export const idleCounterMs = 300_000;

/** How often counters of idle projects are looked for, at most. */
export const counterSweepMs = 60_000;
