/** The bounds of the control plane, by name. Times are in ms, sizes in bytes. */

/** A session ends this long after sign-in, used or not: a stolen cookie is not good for ever. */
export const sessionLifetimeMs = 12 * 3_600_000;

/** Password checks that run at once (each takes 32 MiB), and that may wait for their turn. */
export const passwordChecksAtOnce = 2;
export const passwordChecksWaiting = 32;

/** Shortest new password, and longest one that is looked at, in characters. */
export const leastPassword = 12;
export const longestPassword = 1024;
/** Longest e-mail address that is looked at, in characters. */
export const longestEmail = 254;

/**
 * Failed sign-ins: so many at once, then one more each so often. The account's bound is the wider
 * one, because whoever knows an address can use it up for its owner.
 */
export const signInFailuresPerAddress = { burst: 10, refillMs: 30_000 } as const;
export const signInFailuresPerAccount = { burst: 50, refillMs: 10_000 } as const;

/** Sign-ups with one invitation: each may cost as much as a sign-in. */
export const signUpsPerInvitation = { burst: 10, refillMs: 30_000 } as const;

/** Proofs of one's own password, right or wrong, by account: each may cost two sign-ins. */
export const ownPasswordProofsPerAccount = { burst: 10, refillMs: 30_000 } as const;

/** Wrong codes of a second factor, by account: who tries them has the password. */
export const secondFactorFailuresPerAccount = { burst: 5, refillMs: 120_000 } as const;
/** Recovery codes that an account is given at once. */
export const recoveryCodesMade = 10;

/** Between leaving for an identity provider and coming back from it. */
export const oidcLoginLifetimeMs = 600_000;
/** The longest wait for an answer of an identity provider, and the largest one that is read. */
export const oidcTimeoutMs = 10_000;
export const oidcAnswerBytes = 1024 * 1024;
/** How long a provider's own description of itself is kept. */
export const oidcDiscoveryLifetimeMs = 3_600_000;
/** How far a provider's clock may be off, in seconds. */
export const oidcClockToleranceSeconds = 30;

/** An invitation can be accepted for so long; so many of a project (or the platform) are open. */
export const invitationLifetimeMs = 7 * 86_400_000;
export const openInvitationsPerOwner = 200;

/** Projects that one person may own, where not only operators make them. */
export const ownedProjectsPerUser = 20;
/** Longest name of a project, in characters. */
export const longestProjectName = 80;

/** API keys of one project that are neither revoked nor expired. */
export const livingApiKeysPerProject = 1_000;
/** Ranges that one key's allow-list may hold. */
export const longestAllowList = 64;
/** The value before a rotation stays good for at most, and by default, so long. */
export const rotationGraceMs = 24 * 3_600_000;
/** The furthest end that a key may be given, from now. */
export const longestKeyLifetimeMs = 10 * 365 * 86_400_000;
/** The largest number that a quota may hold. */
export const largestQuota = 1_000_000_000_000;
/** Keys whose use is remembered until it is written down, about once a minute. */
export const usedKeysRemembered = 100_000;
/** Of these, in one transaction. */
export const usedKeysAtOnce = 1_000;
/** An invitation is forgotten so long after its end. */
export const invitationsKeptMs = 90 * 86_400_000;

/** Addresses (or accounts) that one limiter remembers; the longest unused is forgotten first. */
export const limiterEntries = 10_000;

/** A nonce of the server is good for this long, once. */
export const nonceLifetimeMs = 60_000;
/** Nonces that wait to be used: in all, and per address. The oldest gives way. */
export const noncesWaiting = 20_000;
export const noncesWaitingPerAddress = 512;

export const joinKeyTtlMs = { least: 1_000, default: 900_000, most: 3_600_000 } as const;
export const joinKeyUses = { least: 1, default: 1, most: 1000 } as const;
/** Join keys of one project (or the platform) that are open at the same time. */
export const openJoinKeysPerOwner = 500;
/** A repeated enrolment is answered until this long after the join key's expiry. */
export const enrolmentRetryGraceMs = 300_000;
/** The smallest storage limit that makes sense: less holds no model at all. */
export const leastStorageLimitBytes = 1_000_000;

/** Longest name of an agent or a join key, in characters. */
export const longestName = 64;
/** Longest description of an agent, in characters. */
export const longestDescription = 512;
/** What an agent may be asked to do at once, at most (as the link carries it). */
export const mostConcurrentRequests = 4_096;
/** Names that are tried before the worker id's digits make the name unique. */
export const nameAttempts = 8;
/** Names that are asked for at once, and how far: 32 × 2^20 agents of one name. */
export const namesAtOnce = 32;
export const mostDoublings = 20;
/** Messages that one signature is checked against (one per name of the server). */
export const signedMessagesPerCall = 32;
/** Times that a use-case reads again because another one was quicker. */
export const staleAttempts = 8;

export const accessTokenLifetimeMs = 600_000;

/** Tokens that are rotated in one transaction, and that may wait for the next one. */
export const rotationsAtOnce = 64;
export const rotationsWaiting = 4_096;

/** Enrolments with one join key run one after another; so many may wait for their turn, in all. */
export const enrolmentsWaiting = 1_000;

/** Agents that one sweep sets dead; the rest dies in the next one. */
export const sweepAgentsAtOnce = 500;

/** Rows that a list shows at most. */
export const listRows = 500;

/** Agents that are remembered to have linked before; beyond it the memory starts anew. */
export const linkedAgentsRemembered = 100_000;

/** Samples of agents' health are kept for this long, in ms; so many of one are shown. */
export const healthKeptMs = 86_400_000;
export const healthSamplesShown = 500;
/** Samples that one sweep forgets; the rest goes in the next one. */
export const healthForgottenAtOnce = 20_000;

/** Longest text of an event or a reason that is kept, in characters. */
export const longestDetail = 512;

/** An answer is given again under its idempotency key for this long, in ms. */
export const idempotencyKeptMs = 86_400_000;
/** A call under a key that has changed nothing for this long, in ms, gives way to the next one. */
export const idempotencyAbandonedMs = 60_000;

/** Notes of the audit log are kept for this long, in ms. */
export const auditKeptMs = 400 * 86_400_000;
/** Notes that one sweep forgets; the rest goes in the next one. */
export const auditNotesForgottenAtOnce = 5_000;

/** Endpoints of one project, models of one owner, and digests that the operator has approved. */
export const endpointsPerProject = 1_000;
export const modelsPerOwner = 1_000;
export const modelApprovals = 10_000;

/** Longest name of a model, and longest source, in characters (as the link carries them). */
export const longestModelName = 128;
export const longestModelSource = 2_048;
/** The largest model that may be registered, in bytes, and the longest context, in tokens. */
export const largestModelBytes = 2 ** 50;
export const longestContext = 2 ** 27;
/** Longest note on an approval, in characters. */
export const longestNote = 256;

/** Longest JSON of what is said of a tier, in characters. */
export const longestTierFeatures = 16_384;
/** Groups of near regions, and regions of one. */
export const regionGroups = 64;
export const regionsPerGroup = 64;

/** Tiers are measured over this long, in ms. */
export const tierMeasuredMs = 86_400_000;
/** One slice of it is read in one go: a million requests a day take 20 ms then. */
export const tierSliceMs = 600_000;
/** A slice is read again until it has been over for this long: requests end, and journals lag. */
export const tierSliceSettledMs = 7_200_000;
/** What was measured is shown for this long before it is measured again. */
export const tierMeasuresKeptMs = 60_000;

/** A join key is forgotten this long after its expiry, so many at a time. */
export const joinKeysKeptMs = 30 * 86_400_000;
export const joinKeysForgottenAtOnce = 1_000;

/** Usage is shown for so long, in ms, where nobody says, and at most; in so many groups. */
export const usualUsageRangeMs = 30 * 86_400_000;
export const longestUsageRangeMs = 400 * 86_400_000;
export const usageGroups = 5_000;
