/** Bounds of the decisions (R6). Times in ms, sizes in bytes. */

/** The longest that a request may wait for an agent; an endpoint may ask for less. */
export const longestQueueTimeoutMs = 30_000;

/** Requests that wait, over all projects. */
export const maxWaitingRequests = 4096;

/** Bodies of the requests that wait, over all projects. */
export const maxWaitingBytes = 128 * 1024 * 1024;

/** Waiting requests of a project per running one that its tier allows. */
export const waitingPerConcurrent = 4;

/** Attempts after the first. */
export const maxRetries = 2;

/** Agents that the explanation of one refusal looks at, for each stage. */
export const maxExplainedAgents = 512;

/** Agents that a receipt names as nearest misses. */
export const maxNearestMisses = 8;
