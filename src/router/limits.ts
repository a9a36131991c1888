/** Bounds of the data plane (R6). Times in ms, sizes in bytes unless the name says otherwise. */

const KiB = 1024;
const MiB = 1024 * KiB;

// Directory

/** The poll that makes the directory true when a hint was lost. */
export const directoryPollMs = 1000;
/** Changes that are read at once. */
export const directoryBatch = 1000;
/** Token keys are not asked for more often, whoever asks. */
export const tokenKeysReadEveryMs = 2000;

// Links

/** Links that have not proved who they are. */
export const maxStrangers = 1024;
/** Keyed hashes of projects that are remembered. */
export const maxCacheSalts = 10_000;
/** Links of one agent (HELLO numbers them below this); it opens one. */
export const maxLinksPerAgent = 8;
/** TOKEN messages of one link within a minute: each costs two looks at a signature's key. */
export const maxTokensPerMinute = 60;
/**
 * The longest life of an access token. Its expiry is a time of day: a clock that was set back since
 * must not let it hold a link for longer.
 */
export const longestTokenLifeMs = 600_000;
/** How long after its expiry an access token still holds a link that is up. */
export const tokenGraceMs = 60_000;
/** How often expiries are looked at. */
export const linkSweepMs = 1000;
/**
 * What runs on an agent that was stopped may go on for so long: as long as any tier gives to a
 * request that is no stream.
 */
export const stopDrainMs = 1_800_000;
/** `last_seen_at` of an agent is told at most so often. */
export const seenEveryMs = 60_000;
/** Link events that wait for the control plane. */
export const maxPendingPresenceEvents = 4096;
/** Changes of the directory within this time cost one look at every agent's models. */
export const configDelayMs = 50;
/** A link gets no more than one CONFIG in this time: the longest stay within its bounds even so. */
export const configEveryMs = 250;
/** Models that an agent is asked to hold. */
export const maxDesiredModels = 64;
/** Request ids in one ACK. */
export const maxAcked = 256;
/** How long an acknowledgement waits for others. The agent keeps a thousand trailers for it. */
export const ackDelayMs = 100;

/** How long private agents were linked is told so often: what a crash leaves uncharged. */
export const uptimeEveryMs = 60_000;
/** Spans of such time that wait for the store, and that one call carries. */
export const maxUntoldUptimes = 100_000;
export const uptimeBatch = 1_000;

// Budgets

/**
 * What the store says of the month, and of the day of keys, is read anew so often: for so long
 * several servers on one database may know nothing of what the others let pass.
 */
export const budgetReadEveryMs = 60_000;
/** Where a reading takes long, so many times as long; at most so long. */
export const readShare = 50;
export const longestReadPauseMs = 600_000;
/** Days for which it is known what keys have used: the clock may be set, and set back. */
export const daysOfKeys = 2;
/** The same after a reading that failed. */
export const budgetReadAgainMs = 5_000;
/** The same after records came that an earlier process had left. */
export const replayedReadMs = 1_000;
/** So often, and so long apart, a reading is tried beside which no record was written. */
export const budgetReadTries = 5;
export const budgetQuietMs = 200;
/** Costs whose records are on the way to the store. */
export const maxCostsOnTheWay = 200_000;

// Requests

/** Prompts are compared in blocks of so many bytes; of each prompt so many of the first ones. */
export const promptBlockBytes = KiB;
export const maxPromptBlocks = 256;
/** Definitions of tools beyond this are passed over. */
export const maxToolsBytes = 128 * KiB;
/** How often timeouts of running requests are looked at: their resolution. */
export const requestSweepMs = 250;
/** Those who wait and want to see it are told of their places so often. */
export const placeEveryMs = 1000;
/** An agent that was told to stop a request has so long to say that its engine has. */
export const confirmTimeoutMs = 10_000;
/** The outcome of a request that we stopped waits so long for its trailers, for their usage. */
export const settleTimeoutMs = 1000;
/** A client that takes nothing for so long loses its request. */
export const slowClientMs = 60_000;
/** An answer that is not a stream is kept whole up to here, so that a failure can be retried. */
export const maxHeldAnswerBytes = 8 * MiB;
/** What is kept of one stream that may be continued: its answer as it went out, and its request. */
export const maxKeptBytes = MiB;
export const maxKeptBodyBytes = 4 * MiB;
/** The same of all streams together. */
export const maxKeptBytesInAll = 64 * MiB;
/** No stream is given a second agent before it has waited so long for its first byte. */
export const leastHedgeMs = 250;
/** How often one stream is continued on another agent. */
export const maxResumes = 8;
/** Part of an event that waits for its rest; beyond, it is passed on as it is. */
export const maxHeldEventBytes = MiB;

// Receipts

/** Requests whose receipts are kept, and what these may take on disk: the oldest segment goes. */
export const maxReceipts = 100_000;
export const maxReceiptBytes = 128 * MiB;
/** A segment is closed at this size; the newest one is in memory. */
export const receiptSegmentBytes = MiB;
/** The largest receipt: one of a request with the longest prompt and most attempts fits in. */
export const maxReceiptRecordBytes = 32 * KiB;
/** The newest segment is written so often while it grows: what a crash loses. */
export const receiptSyncMs = 10_000;
/** Requests that are over wait so long for an idle turn, or until there are so many of them. */
export const receiptDelayMs = 50;
export const maxPendingReceipts = 16;
/** Of a prompt's blocks every second one is kept. */
export const receiptBlockStep = 2;
/** Attempts of one request that its receipt tells of. */
export const maxReceiptAttempts = 16;
/** Who could never serve an endpoint is found out so often, over all endpoints. */
export const outsiderLooksPerSecond = 20;
/** Endpoints for which it is remembered. */
export const maxKnownOutsiders = 1024;

/** Receipts that are read, and given out, in one turn of the event loop. */
export const receiptsPerPiece = 200;
/** Blocks of prompts whose numbers one export remembers. */
export const maxExportedBlocks = 500_000;
/** Requests in the house that one list names. */
export const maxActiveListed = 500;

// Stopping

/** What a stopping router waits for the store to take the last records. */
export const stopTimeoutMs = 1000;

// Journal

/** Lines that wait for the disk; beyond, new requests are refused. */
export const maxPendingJournalBytes = 4 * MiB;
/** What a line that is not made yet counts for in that. */
export const assumedLineBytes = 1024;
/** A segment is closed at this size. */
export const journalSegmentBytes = 16 * MiB;
/** All segments together: what the store has not taken in. Beyond, new requests are refused. */
export const maxJournalBytes = 1024 * MiB;
/** A `begin` line waits so long for company: a write costs as much CPU as ten requests' lines. */
export const journalLingerMs = 2;
/** Time between two fsyncs. */
export const journalSyncMs = 1000;
/** A write that takes longer no longer holds answers back. */
export const journalSlowWriteMs = 2000;
/** Of a segment that is read back, so much is taken apart in one turn of the event loop. */
export const journalReadBytes = 64 * KiB;
/** First and longest delay before a failed write, or a failed delivery, is tried again. */
export const journalRetryFirstMs = 200;
export const journalRetryLongestMs = 10_000;
/** The same of a segment that cannot be read: those behind it do not wait for it. */
export const segmentReadFirstMs = 500;
export const segmentReadLongestMs = 60_000;
/** A file that could not be read for so long, and more often than that, is set aside. */
export const unreadableForMs = 3_600_000;
export const unreadableTries = 10;
/** Records that one delivery carries, and that wait for one in memory. */
export const usageBatch = 500;
/**
 * Of few that wait, no more than these are carried at once: the store's thread shares a core with
 * the router's where there are few, and holds up what streams for as long as it is at a batch.
 */
export const smallUsageBatch = 100;
export const maxUndeliveredRecords = 20_000;
/** Records are delivered so long after the first of a batch. */
export const usageDelayMs = 200;
/** A call of the store's that has not come back after so long counts as refused. */
export const usageCallMs = 120_000;
/** Engine instances of which we know how many tokens a chunk of theirs has, for each project. */
export const maxChunkCounters = 10_000;
/** Records that the store refused by themselves are noted so many at once. */
export const refusedBatch = 100;
/** Those that the disk has not taken yet. */
export const maxUnnotedRecords = 10_000;
/** A file of them takes no more at this size, and all of them together at that one. */
export const refusedFileBytes = MiB;
export const maxRefusedBytes = 256 * MiB;
/** The longest reason of a refusal, in characters. */
export const maxReasonLength = 300;
/** Calls of the store in one go, to try them anew: others wait meanwhile. */
export const refusedAtOnce = 16;
/** First and longest pause between two rounds in which all of them are tried. */
export const refusedPauseFirstMs = 1_000;
export const refusedPauseLongestMs = 300_000;
/** A store that has taken others within this time is one that takes records. */
export const takesOthersMs = 60_000;
/** Lines of the journal that cannot be read are kept in one file, up to this size. */
export const maxUnreadableBytes = MiB;
/** So many of a file's are in the log, too. */
export const maxUnreadableTold = 3;

// Health of agents

/** Heartbeats of so long become one sample, where agents are few. */
export const healthSpanMs = 300_000;
/** Samples of all agents together: with more agents than these allow, spans are longer. */
export const healthSamplesPerDay = 2_500_000;
/** How often it is looked which spans are over. */
export const healthTickMs = 10_000;
/** Samples that are told at once, and that wait for it. */
export const healthBatch = 500;
export const maxPendingHealthSamples = 20_000;
/** Numbers of one engine, under the engine's own names. */
export const maxEngineNumbers = 32;

// Metrics

/** Requests by outcome, tier, who served and whether it was streamed: all that there can be. */
export const maxOutcomeSeries = 2048;
/** Series of every other metric with labels. */
export const maxSeries = 256;
/** Each link's round-trip time is counted once in so many sweeps. */
export const sweepsPerRttSample = 5;

// Logs of agents

/** Lines that are kept of one agent, or of one project's requests on shared agents. */
export const maxLogLines = 10_000;
/** What one such log may take, and all of them together. */
export const maxLogBytes = 4 * MiB;
export const maxAllLogsBytes = 64 * MiB;
/** What a line takes beside its text. */
export const logLineBytes = 128;
/** Longest text of a line. */
export const maxLogTextCharacters = 4_000;
/** What one agent may send; beyond it lines are counted and not looked at. */
export const agentLogBytes = { burst: MiB, perSecond: 128 * KiB } as const;
export const agentLogLines = { burst: 10_000, perSecond: 1_000 } as const;
/** Requests on shared agents whose project is remembered for lines that name them. */
export const maxServedRequests = 20_000;
