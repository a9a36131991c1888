/** Bounds of the store. Every queue, batch and wait of `store/` ends at one of these. */

/** Calls that may wait on one lane of a store; more are refused as `unavailable`. */
export const pendingCallsMax = 4_096;

/**
 * Young generation of a database worker's heap, in MiB. A worker lives on short calls; the default
 * would keep some ten times as much memory warm for nothing.
 */
export const workerYoungGenerationMb = 4;

/** Rows of `changes` that are kept for readers that lag; who is further behind takes a snapshot. */
export const changesKept = 10_000;

/** Entries of the directory that are read at once: the main thread opens them in some ms. */
export const directoryPageEntries = 1_000;

/** Readings of the directory in a row that more than `changesKept` changes overtook. */
export const directoryReadAttempts = 5;

/** Different lists of a column that are kept to be shared. */
export const sharedListsMax = 4_096;

/** Events kept of one agent. */
export const agentEventsKept = 1_000;

/** Rows that one SQL statement inserts or updates; SQLite takes 32,766 parameters in one. */
export const rowsPerStatement = 500;

/** Usage records in one statement: sizes of the pieces of a batch, largest first, down to one. */
export const usageRowsPerStatement = [64, 8, 1] as const;

/** Prepared statements that a SQLite connection keeps. */
export const preparedStatementsMax = 256;

/** Size to which SQLite cuts its write-ahead log back once it is in the file, in bytes. */
export const sqliteJournalSizeBytes = 64 * 1024 * 1024;

/** Calls that go before one that has time, before it has its turn. */
export const passesInRow = 8;

/**
 * Up to this size a start checks every page of the embedded database, some 700 MB a second; of a
 * larger one the tables that only grow, and that no start depends on, are left to backups.
 */
export const sqliteWholeCheckBytes = 256 * 1024 * 1024;

/** How long SQLite waits for another process that holds the file, in ms. */
export const sqliteBusyTimeoutMs = 5_000;

/** Pages that one step of a backup copies; between two steps progress is told. */
export const sqliteBackupPagesPerStep = 1_000;

/** Connections to PostgreSQL for calls; one more listens. */
export const postgresConnections = 10;

/** Of these, how many may write at a time, and how many may do what nobody waits for. */
export const postgresWriteConnections = 7;
export const postgresUpkeepConnections = 2;

/** The longest wait for a connection to PostgreSQL, in ms. */
export const postgresConnectTimeoutMs = 10_000;

/** The longest that one statement on PostgreSQL may take, in ms. Migrations are exempt. */
export const postgresStatementTimeoutMs = 30_000;

/** A transaction whose program fell silent is broken off after this long, in ms. */
export const postgresIdleInTransactionMs = 60_000;

/** Attempts of a transaction that PostgreSQL broke off for the sake of another one. */
export const postgresAttempts = 8;

/** Delays between attempts to listen again after the connection was lost, in ms. */
export const listenFirstDelayMs = 100;
export const listenLongestDelayMs = 10_000;

/** Agents that one endpoint is bound to, and endpoints that one agent is bound to, at most. */
export const boundAgentsPerEndpoint = 256;
export const boundEndpointsPerAgent = 64;

/** Hours that one page of filtered requests is looked for in. */
export const usageHoursOfPage = 1_000;

/** Of these, how many are looked up at once: most pages are full after a few. */
export const usageHoursAtOnce = 24;

/** Series of a metric by method: more than there are methods. */
export const maxMethodSeries = 512;
