/** Bounds of what is done about failures (R6). Times in ms. */

/** The first time in the penalty box; each further failure doubles it. */
export const shortestPenaltyMs = 1000;

/** No agent is spared for longer: requests wait 30 s at most, and it may be well again. */
export const longestPenaltyMs = 16_000;

/** A failure that nothing followed for so long is forgotten. */
export const penaltyMemoryMs = 600_000;

/** One of so many requests may have a second agent (2 %), and so many of them may be saved up. */
export const requestsPerHedge = 50;
export const maxSavedHedges = 10;

/** Stalled means: nothing came for the larger of this and so many times a token's time (p99). */
export const leastStallMs = 15_000;
export const stallTokens = 20;

/** Times per token that the 99th percentile is taken of, for each engine instance. */
export const tokenTimesKept = 256;

/** Requests unlike one another of which it is remembered who could serve them. */
export const maxWitnesses = 4096;
