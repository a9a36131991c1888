/** Bounds of what the scheduler learns (R6, S6). Times in ms, sizes in bytes. */

/** First bytes of an instance before its own model is asked instead of its kind's. */
export const minLatencySamples = 8;

/** The longest time that is learned from; what took longer counts as this. */
export const longestMeasuredMs = 3_600_000;

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

// Choice

/** An instance takes no more while computing what it has been given takes longer than this. */
export const backlogBoundMs = 500;

/** The same in tokens, where nothing is known of its speed. */
export const backlogBoundTokens = 8000;

/**
 * Who has waited for so long is not kept waiting any more for an instance to have as much room as
 * is of use: large requests would wait for ever behind small ones.
 */
export const patienceMs = 10_000;

/** No prompt with fewer tokens to be computed is long, whatever is usual. */
export const longPromptTokens = 8000;

/** Open instances that are all looked at for one request. */
export const maxScored = 64;

/**
 * Where there are more: so many of them at random, half of them the nearest, beside those that hold
 * its beginning.
 */
export const maxSampled = 32;

/** Regions of open instances that are looked at for the nearest ones. */
export const maxSampledRegions = 64;

/** Waiting requests of one project that are looked at for one instance. */
export const maxConsidered = 64;

/** The same where none of those may have the instance: then it is the next project's turn. */
export const maxPassedOver = 256;

/** Those closest to their deadlines that are looked at before them. */
export const maxUrgent = 4;

/** Kinds of requests (endpoint and abilities) of which is known who may serve them, or why not. */
export const maxKindsOfRequests = 1024;

/**
 * Models of machines that are kept while these are away. Where there are more, the agent that went
 * longest ago loses one. There are no more kinds than these and the granted ones (M4).
 */
export const maxMachines = 16_384;

/** The same of one agent: it has no more of the room that all share. */
export const maxModelsOfAgent = 64;
