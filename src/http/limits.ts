/**
 * The bounds of the HTTP plane. Whoever adds a buffer, a map or a wait to `src/http` names its
 * bound here. All of them can be given smaller in tests; the operator's configuration sets a few.
 */

export interface HttpLimits {
  /** Request line and headers together, in bytes. */
  headerBytes: number;
  /** The target alone, in characters. */
  targetCharacters: number;
  /** Header lines of a request. */
  headerLines: number;
  /** Body of a data request, in bytes. */
  bodyBytes: number;
  /** Body of a control or enrolment request, in bytes. */
  controlBodyBytes: number;
  /** Bodies of data requests that are being read, all together, in bytes. */
  readingBytes: number;
  /** What of these one project may hold, in bytes. */
  projectReadingBytes: number;
  /** The same for control and enrolment requests, and what one address may hold. */
  controlReadingBytes: number;
  addressReadingBytes: number;
  /** Open connections; beyond it new ones are closed unanswered. */
  connections: number;
  /** Requests of one connection that are not answered yet. */
  pipelinedRequests: number;
  /** From the first byte of a request to the end of its headers, in ms. */
  headersTimeoutMs: number;
  /** From the first byte of a request to the end of its body, in ms. */
  requestTimeoutMs: number;
  /** How long an idle connection is kept, in ms. Above the usual idle time of a proxy (60 s). */
  keepAliveTimeoutMs: number;
  /** How often the two timeouts above are looked at, in ms. */
  timeoutCheckMs: number;
  /** For how long an answer that is complete may lie unread, in ms. */
  unreadAnswerMs: number;
  /** Beyond it, the slowest reading that is waited for: a large answer takes its time. */
  leastReadBytesPerSecond: number;
  /** How much of an answer that is not a stream is held to send it with its length, in bytes. */
  heldAnswerBytes: number;
  /** How long requests may go on after a drain began, in ms. */
  drainMs: number;
  /** Keys of each per-address limit; the one that was quiet longest is forgotten. */
  limitedAddresses: number;
  /** Clients that watch live or follow a log, over all projects. */
  liveClients: number;
  /** Of these, those that watch one project, or the platform's agents. */
  liveClientsPerOwner: number;
  /** Between two snapshots to a browser, in ms. */
  liveIntervalMs: number;
  /** How often it is looked again who watches, and what they may see, in ms. */
  liveRecheckMs: number;
  /** One WebSocket message of an agent link, in bytes; the router's own bound holds too. */
  linkMessageBytes: number;
  /** One file of the dashboard or the installer, in bytes. */
  fileBytes: number;
  /** What one account or key may read over the control routes. */
  reading: {
    /** Reads under way at once, and that wait for their turn. */
    atOnce: number;
    waiting: number;
    /** A read that takes no longer is free; the time of a longer one is charged, in ms. */
    freeMs: number;
    /** What may be charged at once (ms), and from then on, as a share of the time that passes. */
    burstMs: number;
    share: number;
  };
  /**
   * Sign-in, enrolment, refresh, nonces and link upgrades of one address; changes over the control
   * routes of one account or key.
   */
  perAddress: Readonly<Record<LimitedAction, AddressLimit>>;
}

/** Longest wait that is ever sent: client libraries ignore a longer one and come back sooner. */
export const longestRetryAfterMs = 60_000;
/** A refused body of at most this size is read to its end, so that the connection can be kept. */
export const smallBodyBytes = 64 * 1024;
/** How long a larger one is read before the connection is cut. */
export const lingerMs = 2_000;
/** Names of ours that one enrolment's signature is tried with. */
export const hostCandidates = 32;
/** Levels that a control body nests at most. */
export const controlBodyNesting = 32;
/**
 * Between leaving for an identity provider and coming back, in s: the control plane's own bound.
 */
export const oidcCookieSeconds = 600;
/** Longest idempotency key, in characters. */
export const longestIdempotencyKey = 255;
/** Pieces of a body below the one are put together until they have the other, in bytes. */
export const smallPieceBytes = 4 * 1024;
export const bodyPieceBytes = 64 * 1024;
/** Longest API key that is hashed, and client's request id that is logged, in characters. */
export const longestKey = 512;
export const longestClientRequestId = 512;
/** Name of a caller's that a message repeats, in characters. */
export const longestShownName = 80;
/** Header names that a preflight may make us repeat, in characters together. */
export const longestRequestedHeaders = 1024;
/** Live streams: a snapshot at least so often, requests shown. */
export const liveKeepAliveMs = 5_000;
export const liveRequests = 50;
/** Suspended agents whose refresh is held until they are resumed. */
export const maxResumeWaits = 10_000;
/** How long the change of a storage limit waits for the agent's word on it. */
export const storageAnswerMs = 5_000;
/** Entries of a log in one piece of a stream, and how often one without news says that it lives. */
export const logEntriesPerPiece = 200;
export const logKeepAliveMs = 15_000;
/** Rows that a CSV file is read in at a time. */
export const csvPageRows = 500;
/** How much of a file is in hand at once, and how deep the dashboard's folders go. */
export const filePieceBytes = 64 * 1024;
export const dashboardDepth = 4;

export type LimitedAction = 'sign_in' | 'nonce' | 'enroll' | 'refresh' | 'link' | 'change';

/** A token bucket. */
export interface AddressLimit {
  burst: number;
  perSecond: number;
}

export const httpLimits: HttpLimits = {
  headerBytes: 16 * 1024,
  targetCharacters: 4096,
  headerLines: 100,
  bodyBytes: 16 * 1024 * 1024,
  controlBodyBytes: 64 * 1024,
  readingBytes: 256 * 1024 * 1024,
  projectReadingBytes: 128 * 1024 * 1024,
  controlReadingBytes: 32 * 1024 * 1024,
  addressReadingBytes: 4 * 1024 * 1024,
  connections: 10_000,
  pipelinedRequests: 32,
  headersTimeoutMs: 20_000,
  requestTimeoutMs: 300_000,
  keepAliveTimeoutMs: 75_000,
  timeoutCheckMs: 2_000,
  unreadAnswerMs: 60_000,
  leastReadBytesPerSecond: 16 * 1024,
  heldAnswerBytes: 256 * 1024,
  drainMs: 5_000,
  limitedAddresses: 10_000,
  liveClients: 128,
  liveClientsPerOwner: 64,
  liveIntervalMs: 1_000,
  liveRecheckMs: 15_000,
  linkMessageBytes: 1024 * 1024,
  fileBytes: 64 * 1024 * 1024,
  // Lists take some ms; the sums of 400 days of a busy project 0.3 to 0.7 s.
  reading: { atOnce: 4, waiting: 32, freeMs: 100, burstMs: 20_000, share: 0.2 },
  perAddress: {
    // Failures are counted much more narrowly by the control plane.
    sign_in: { burst: 60, perSecond: 1 },
    // An office behind one address may start a rack of agents at once.
    nonce: { burst: 500, perSecond: 20 },
    enroll: { burst: 200, perSecond: 5 },
    refresh: { burst: 300, perSecond: 10 },
    link: { burst: 200, perSecond: 10 },
    // Far above what people do; a script in a loop is told when to go on.
    change: { burst: 500, perSecond: 50 },
  },
};

/** An error of an engine that is put into a stream that is open already, in bytes. */
export const largestHeldError = 64 * 1024;
