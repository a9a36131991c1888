/**
 * The second agent of a stream whose first byte is late (hedging). Whoever is first goes on; the
 * other is told to stop.
 *
 * Invariants
 * R8 The one that lost is reset before a byte of the winner goes out.
 */
import type { Health } from '../../domain/failures/failureBook.ts';
import type { UntimedEvent } from '../../domain/scheduler/schedulerEvents.ts';
import { leastHedgeMs } from '../limits.ts';
import type { Attempt } from './attempt.ts';

export class Rival {
  private attempt: Attempt | null = null;
  private readonly tell: (event: UntimedEvent) => void;

  constructor(tell: (event: UntimedEvent) => void) {
    this.tell = tell;
  }

  get isThere(): boolean {
    return this.attempt !== null;
  }

  is(attempt: Attempt): boolean {
    return this.attempt === attempt;
  }

  /** It was sent the request, too. */
  enter(attempt: Attempt): void {
    this.attempt = attempt;
  }

  /** Asks for one, if the request has been under way for longer than was to be expected. */
  want(main: Attempt, nowMs: number): void {
    const { predicted, claim } = main.dispatch;
    if (this.attempt !== null || predicted === null || !main.isUnanswered) return;
    const longMs = Math.max(leastHedgeMs, predicted.p90Ms);
    if (nowMs - main.startedAtMs >= longMs) this.tell({ type: 'hedge', claim });
  }

  /** It has the first byte: it takes the place of `main`, which is told to stop. */
  win(main: Attempt, nowMs: number): void {
    this.attempt = null;
    this.drop(main, nowMs);
  }

  /** The other one goes on, or nobody does. Gives the one that lost. */
  lose(nowMs: number): Attempt | null {
    const { attempt } = this;
    this.attempt = null;
    if (attempt !== null) this.drop(attempt, nowMs);
    return attempt;
  }

  /**
   * One of two has failed, and the other goes on. Undefined: there was only one; otherwise the one
   * that is left.
   */
  outlive(
    failed: Attempt,
    how: { main: Attempt; health: Health; neverRan: boolean },
  ): Attempt | undefined {
    const { attempt } = this;
    if (attempt === null) return undefined;
    this.attempt = null;
    const { health, neverRan } = how;
    this.tell({ type: 'drop', claim: failed.claim, slotFree: true, health, neverRan });
    return failed === attempt ? how.main : attempt;
  }

  private drop(attempt: Attempt, nowMs: number): void {
    attempt.reset('cancelled', nowMs);
    this.tell({ type: 'drop', claim: attempt.claim, slotFree: false });
  }
}
