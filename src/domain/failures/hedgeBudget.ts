/**
 * How many requests may have a second agent at once while they wait for their first byte: a small
 * part of those that were dispatched, saved up for a moment and no longer.
 */
import { maxSavedHedges, requestsPerHedge } from './limits.ts';

export class HedgeBudget {
  /** Requests that nobody has been hedged for. */
  private saved = 0;

  /** A request was given its first agent. */
  dispatched(): void {
    this.saved = Math.min(maxSavedHedges * requestsPerHedge, this.saved + 1);
  }

  get isOpen(): boolean {
    return this.saved >= requestsPerHedge;
  }

  /** One was given a second agent. */
  spend(): void {
    this.saved -= requestsPerHedge;
  }
}
