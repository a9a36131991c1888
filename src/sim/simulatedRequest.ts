import type { Predicted } from './routerPort.ts';
import type { TraceRequest } from './traces/traceRequest.ts';

/** What became of one offered request. Times in ms of the run. */
export interface SimulatedRequest {
  id: number;
  offered: TraceRequest;
  /**
   * waiting ─▶ dispatched ─▶ streaming ─▶ done; failed from everywhere before done, and back to
   * waiting when its machine went away before its first byte.
   */
  phase: 'waiting' | 'dispatched' | 'streaming' | 'done' | 'failed';
  /** The last dispatch. */
  dispatch: { machine: number; atMs: number; predicted: Predicted | undefined } | null;
  firstByteAtMs: number | null;
  endAtMs: number | null;
  /** Of its prompt, as its engine found it; null: no engine has begun it. */
  cachedTokens: number | null;
}
