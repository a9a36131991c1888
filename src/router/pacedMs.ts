import { longestReadPauseMs, readShare } from './limits.ts';

/**
 * The pause (ms) before something is read again that took `tookMs`: `everyMs`, and longer where the
 * readings would take more than one part in `readShare` of the database's time.
 */
export function pacedMs(tookMs: number, everyMs: number): number {
  return Math.min(longestReadPauseMs, Math.max(everyMs, tookMs * readShare));
}
