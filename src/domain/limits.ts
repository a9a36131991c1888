/** Bounds of the decisions (R6). Times in ms, sizes in bytes. */

/** The longest that a request may wait for an agent; an endpoint may ask for less. */
export const longestQueueTimeoutMs = 30_000;

/** Requests that wait, over all projects. */
export const maxWaitingRequests = 4096;

/** Bodies of the requests that wait, over all projects. */
export const maxWaitingBytes = 128 * 1024 * 1024;

/**
 * One project's part of these, on all tiers together: an eighth, so that what a few of them send
 * leaves room for all others. Of requests that is more than any one tier allows (384 at most, as
 * tiers are shipped); where an operator lets a tier have more, it holds no project on that tier to
 * less. Of bytes it is one body of the largest size as shipped; a larger one may wait by itself.
 */
export const maxProjectWaitingRequests = maxWaitingRequests / 8;
export const maxProjectWaitingBytes = maxWaitingBytes / 8;

/** Waiting requests of a project per running one that its tier allows. */
export const waitingPerConcurrent = 4;

/** Attempts after the first. */
export const maxRetries = 2;

/**
 * The same for those who are to continue an answer: its client has a part of it, and can begin anew
 * only by hand.
 */
export const maxRetriesOfBroken = 5;

/** Agents that the explanation of one refusal looks at, for each stage. */
export const maxExplainedAgents = 512;

/** Agents that a receipt names as nearest misses. */
export const maxNearestMisses = 8;

/** Candidates of a choice that are kept for its receipt. */
export const maxDecisionCandidates = 8;

/** Instances that are looked at to say who was closed in the moment of a choice. */
export const maxSurveyed = 64;

/** What those who wait may expect is found out anew after so long. */
export const outlookMs = 500;

/** Instances of a pool that are looked at for it. */
export const maxOutlookInstances = 512;

// Limits of projects and keys

/** What may be used at once, as a multiple of the figure for a minute. */
export const burstOfMinute = 1.5;

/** No text has more tokens than bytes. */
export const leastBytesPerToken = 1;

/** Bytes of a request's body that make a token, before anything was learned. */
export const firstBytesPerToken = 4;

/** The most output that is set aside for one request; what is longer is settled at its end. */
export const maxReservedOutputTokens = 4096;

/** The most prompt that is set aside for a request with images or sound. */
export const maxMediaPromptTokens = 4096;

/** Endpoints whose requests are learned from: of own agents so many, and of shared ones. */
export const maxLearnedEndpoints = 10_000;

/** Answers after which the older ones count half. */
export const fadeOutputsAt = 200;

/** Accounts of limits that are kept before idle ones are looked for. */
export const minLimitAccounts = 1024;
/** Days of a key that are counted: today's, and one more, where the clock was set and set back. */
export const daysOfKey = 2;
