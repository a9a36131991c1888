/** The penalty box as plainly as it can be said, for tests that hold the scheduler against it. */
import { longestPenaltyMs, shortestPenaltyMs } from '../../domain/failures/limits.ts';

export class PlainPenalties {
  private readonly known = new Map<string, { strikes: number; untilMs: number }>();

  /** 0: clear, 1: it proves itself, 2: it is in the box. */
  severity(agentId: string, nowMs: number): 0 | 1 | 2 {
    const one = this.known.get(agentId);
    if (one === undefined) return 0;
    return nowMs < one.untilMs ? 2 : 1;
  }

  failed(agentId: string, nowMs: number): void {
    if (this.severity(agentId, nowMs) === 2) return;
    const strikes = (this.known.get(agentId)?.strikes ?? 0) + 1;
    const forMs = Math.min(longestPenaltyMs, shortestPenaltyMs * 2 ** (strikes - 1));
    this.known.set(agentId, { strikes, untilMs: nowMs + forMs });
  }

  clear(agentId: string): void {
    this.known.delete(agentId);
  }
}
