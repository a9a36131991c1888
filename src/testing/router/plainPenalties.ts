/** The penalty box as plainly as it can be said, for tests that hold the scheduler against it. */
import {
  longestPenaltyMs,
  penaltyMemoryMs,
  shortestPenaltyMs,
} from '../../domain/failures/limits.ts';

export class PlainPenalties {
  private readonly known = new Map<string, { strikes: number; untilMs: number }>();

  /** 0: clear, 1: it proves itself, 2: it is in the box. */
  severity(agentId: string, nowMs: number): 0 | 1 | 2 {
    const one = this.known.get(agentId);
    if (one === undefined || nowMs - one.untilMs >= penaltyMemoryMs) return 0;
    return nowMs < one.untilMs ? 2 : 1;
  }

  /** Whether it is a strike. `before`: those of earlier lives. */
  failed(agentId: string, nowMs: number, before = 0): boolean {
    const severity = this.severity(agentId, nowMs);
    if (severity === 2) return false;
    const strikes = (severity === 0 ? before : (this.known.get(agentId)?.strikes ?? 0)) + 1;
    const forMs = Math.min(longestPenaltyMs, shortestPenaltyMs * 2 ** (strikes - 1));
    this.known.set(agentId, { strikes, untilMs: nowMs + forMs });
    return true;
  }

  /** F4: a strike was none of its own. */
  forgive(agentId: string, nowMs: number): void {
    const one = this.known.get(agentId);
    if (one === undefined) return;
    one.strikes -= 1;
    one.untilMs = Math.min(one.untilMs, nowMs);
    if (one.strikes === 0) this.clear(agentId);
  }

  clear(agentId: string): void {
    this.known.delete(agentId);
  }
}
