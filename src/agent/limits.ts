/** Bounds and times of the agent, by name (spec rule R6). Times in ms, sizes in bytes. */

/** First and longest delay between attempts to link or to reach the server. */
export const reconnectFirstMs = 500;
export const reconnectLongestMs = 30_000;
/** A link that lived this long has held: the next loss starts the back-off anew. */
export const linkHeldMs = 30_000;
/**
 * A suspended agent asks the server to answer when it is resumed, or after so long, and asks again.
 * One that answers at once (it holds too many, or does not know how) is asked after so long.
 */
export const suspendedHoldMs = 10_000;

/** One call of the enrolment routes, from connecting to the last byte. */
export const controlCallTimeoutMs = 15_000;
/** Largest answer of an enrolment route. */
export const maxControlAnswerBytes = 64 * 1024;
/** The longest pause that a server (or what stands before it) may ask for: ours never ask more. */
export const longestServerPauseMs = 60_000;
/** A nonce that the server has forgotten is replaced this often within one attempt. */
export const maxNonceAttempts = 3;

/**
 * Share of an access token's life after which it is replaced, at the latest, and how much earlier
 * it may be: agents that joined together do not all come at once for ever.
 */
export const refreshAtShare = 0.6;
export const refreshSpreadShare = 0.1;
/** Between two refreshes, however short a life the server gives its tokens. */
export const shortestRefreshMs = 1_000;
/** A token with less life than this left is not used for a new link. */
export const tokenMarginMs = 15_000;

/** Opening a connection for the link, TLS and upgrade included. */
export const linkConnectTimeoutMs = 15_000;
export const heartbeatIntervalMs = 5_000;
/** A drain that the router asked for ends after this, whatever still runs. */
export const drainTimeoutMs = 1_800_000;
/** Between looks whether the last stream of a draining link has ended. */
export const drainCheckMs = 20;

/** Trailers that are kept until the router has acknowledged them. */
export const maxKeptTrailers = 1_000;
/** Trailers in one message (the schema's bound). */
export const trailersPerMessage = 32;

/** Log lines that wait for the link, how many go in one message, and the longest that is sent. */
export const maxKeptLogLines = 1_000;
export const maxKeptLogCharacters = 4 * 1024 * 1024;
export const logLinesPerMessage = 100;
export const logMessageCharacters = 8 * 1024;
export const maxLogTextCharacters = 4_000;
/** Between looks whether lines may go over the link, and what they may take of it, in bytes. */
export const logFlushIntervalMs = 200;
export const logRate = { burst: 256 * 1024, perSecond: 64 * 1024 } as const;

/** Largest request body that an OPEN may announce. */
export const maxRequestBodyBytes = 64 * 1024 * 1024;
/** A whole answer goes to the link in pieces of this size. */
export const answerPieceBytes = 64 * 1024;
/** Engine routes that a request may name. */
export const enginePaths: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
]);
/** How long an OPEN waits for the engine to let go of a cancelled request's slot. */
export const slotWaitMs = 1_000;
/** Longest message of an engine's error that a client sees. */
export const maxErrorCharacters = 2_000;

/** Longest sentence on why a model is not there, with what was tried. */
export const maxModelErrorCharacters = 2_000;
/** First and longest delay before a model that could not be had is tried again. */
export const modelRetryFirstMs = 2_000;
export const modelRetryLongestMs = 60_000;

/** The url engine: between probes, while it is down, and how long one may take. */
export const probeIntervalMs = 5_000;
export const probeRetryFirstMs = 250;
export const probeTimeoutMs = 5_000;
/** So often an engine that breaks off what it is asked is not attached, but probed anew. */
export const maxBrokenProbes = 2;
/** An ability is probed with one token; a cold engine may load its model for it. */
export const abilityProbeTimeoutMs = 120_000;
/** How often abilities that gave no answer are probed: one that hangs costs the engine its time. */
export const maxAbilityRounds = 4;
/** Slots of an attached engine that does not say how many it has. */
export const defaultUrlSlots = 8;
/** Largest event, answer, error, and list or page of metrics that is read from an engine. */
export const maxEngineEventBytes = 4 * 1024 * 1024;
export const maxEngineAnswerBytes = 64 * 1024 * 1024;
export const maxEngineErrorBytes = 64 * 1024;
export const maxEngineListBytes = 1024 * 1024;
/** Text of one token's id in a list of them, and what such a list may have in all. */
export const tokenTextBytes = 8;
export const maxTokenCountBytes = { frame: 1024, most: 8 * 1024 * 1024 } as const;
/** Tokens that a chat template may add to what a body holds. */
export const mostTemplateTokens = 1024;
/** From an engine's [DONE] to the end of its response, before the connection is cut. */
export const doneLingerMs = 1_000;
/** A connection that fails this soon after a request was closed for idleness, most likely. */
export const staleConnectionMs = 50;

/** One command of the hardware probe, and all of them together. */
export const probeCommandTimeoutMs = 3_000;
export const maxProbeOutputBytes = 256 * 1024;

/** Between looks at the machine, how long a look counts, and how long a useless tool rests. */
export const healthIntervalMs = 10_000;
export const healthStaleMs = 45_000;
export const missingToolRetryMs = 600_000;
/** How long an engine's page of metrics may take, and the numbers of it that are passed on. */
export const engineMetricsTimeoutMs = 2_000;
export const mostEngineMetrics = 32;

/** Downloads of models: opening a connection, waiting for an answer, and a gap between bytes. */
export const downloadConnectTimeoutMs = 5_000;
export const downloadHeadersTimeoutMs = 15_000;
export const downloadStallTimeoutMs = 30_000;
export const maxDownloadRedirects = 5;
/** Attempts in a row that brought no byte, and the delays between them. */
export const maxFruitlessAttempts = 4;
export const downloadRetryFirstMs = 500;
export const downloadRetryLongestMs = 8_000;
/** Largest answer of the hub that is not a file. */
export const maxHubAnswerBytes = 4 * 1024 * 1024;
/** Files of a repository that are looked through for the one to take. */
export const maxHubFiles = 10_000;

/** Of the disk, when no storage limit is set: what the model cache leaves free. */
export const diskReserveShare = 0.05;
/** Files in use that a report of the cache names (the schema's bound). */
export const shownFiles = 16;
/** Between looks at a model that another process is fetching. */
export const lockPollMs = 250;
/** A lock of another machine or container whose owner did not touch it for this long is void. */
export const lockSilentMs = 60_000;
export const lockTouchMs = 10_000;
/** A model that was fetched and not yet named as in use is kept at least this long. */
export const freshModelMs = 600_000;
/** Entries of the cache that are looked at; more than this many models is a mistake. */
export const maxCacheEntries = 10_000;
/** Between two reports of progress. */
export const progressIntervalMs = 250;
/** A Python tool that brings no byte for this long is ended. */
export const toolStallMs = 180_000;
export const maxToolOutputBytes = 64 * 1024;
/** A mark "in use" of another container, whose processes cannot be seen, counts this long. */
export const foreignUseMs = 86_400_000;

/** The embedded engine: how a request samples that does not say, as llama.cpp's own server does. */
export const embeddedSampling = { temperature: 0.8, topP: 0.95, topK: 40, minP: 0.05 } as const;
export const maxStopStrings = 16;
/** Rules of one grammar: a schema beyond it would take seconds to compile. */
export const maxGrammarRules = 500;
export const maxGrammarRepetitions = 20_000;
/** A step of the engine (one batch) aims at this, so that a cancel waits at most twice as long. */
export const embeddedStepMs = 50;
/** Tokens in one batch: the memory for computing them is set aside at load. */
export const embeddedBatchTokens = 256;
/** Fewest prompt tokens in a batch: below it, a long prompt would never end. */
export const embeddedLeastPrefill = 8;
/** Requests at once by default: twice the cores, within these. */
export const embeddedSlots = { least: 2, most: 8 } as const;
/** Context of one slot when nobody says otherwise, and the least that is worth loading. */
export const embeddedContextTokens = 8_192;
export const embeddedLeastContextTokens = 512;
/** Share of the machine's available memory that contexts may take. */
export const embeddedContextMemoryShare = 0.125;
/** A prompt that begins like what a slot holds is reused from this many tokens on. */
export const embeddedLeastReuse = 16;
