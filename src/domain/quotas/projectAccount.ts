/** What one project may use on one tier, or of its own agents, and who waits for it. */
import type { Ownership } from '../agents/matching.ts';
import type { Claim, WaitingRequest } from '../scheduler/schedulerState.ts';
import { LimitAccount, type LimitFigures, type LimitLease } from './limitAccount.ts';

/** Weight of the newest in what a claim of an account usually holds its slot for. */
const serviceWeight = 0.1;

export class ProjectAccount extends LimitAccount {
  /** Of the agents that it is for: tokens are as these count. */
  readonly ownership: Ownership;
  /** Requests that wait because of it. */
  readonly heldBack = new Set<WaitingRequest>();
  /** Those whose slots its reservations are for: of them the outlook says when they end. */
  readonly claims = new Set<Claim>();
  /** Moving mean of how long a claim holds its slot; 0: none has ended yet. */
  serviceMs = 0;
  /** When the first of them may go on, by time alone. */
  wakeAtMs = Infinity;
  heapIndex = -1;
  /** Tokens of the largest request for which its agents counted as within reach, as of late. */
  reachedBy = -Infinity;

  constructor(options: {
    ownership: Ownership;
    figures: LimitFigures;
    lease: LimitLease;
    nowMs: number;
  }) {
    super(options);
    this.ownership = options.ownership;
  }

  /** Tokens to set aside here for a request: its prompt, and what its answer still may have. */
  amountFor({ measures, delivered }: WaitingRequest): number {
    return this.amountOf(measures[this.ownership].tokens, delivered ?? 0);
  }

  /** A claim has held its slot for so long, and was not in vain. */
  served(heldMs: number): void {
    const old = this.serviceMs === 0 ? heldMs : this.serviceMs;
    this.serviceMs = old + serviceWeight * (heldMs - old);
  }

  override isIdle(nowMs: number): boolean {
    return this.heldBack.size === 0 && super.isIdle(nowMs);
  }
}
