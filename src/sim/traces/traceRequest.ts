/** One request of a trace, whatever its format was. */
export interface TraceRequest {
  /** Arrival, in ms from the start of the trace. */
  atMs: number;
  tenant: string;
  /** At least 1. */
  inputTokens: number;
  /** At least 1. */
  outputTokens: number;
  /** Ids of its prefix blocks, in order; empty: it shares nothing. */
  blocks: readonly number[];
  /** What came of it when it was served; absent: the trace does not say. */
  recorded?: { /** Null: no first token. */ ttftMs: number | null; failed: boolean };
}

/** What came of reading one; a problem is a sentence for a person, with file and line. */
export type TraceOutcome =
  | { kind: 'read'; requests: TraceRequest[]; /** What the reader did to it. */ notes: string[] }
  | { kind: 'bad_trace'; problem: string };

/** The one tenant of a trace that names none. */
export const onlyTenant = 'all';
