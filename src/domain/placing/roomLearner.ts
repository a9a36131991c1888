/**
 * How much of what an agent grants is of use, as tokens of prompts and answers in flight. Too
 * little wastes the machine; too much only moves the queue into the engine, where nobody is fair,
 * because its memory for keys and values is full, or its batch is.
 *
 * Where an engine has said how many tokens it holds, a part of that is used: the rest keeps what is
 * cached, and decoding fewer sequences is faster for each. Without that, or where it was not true,
 * first tokens tell: one that comes much later than computing the prompts before it explains has
 * waited inside. What is in flight stays below where that began, and creeps up again while first
 * tokens come in time.
 */

export interface FirstToken {
  measuredMs: number;
  /** What computing the prompts ahead and its own takes at most, by what is known. */
  explainedMs: number;
  /** Tokens in flight when it was dispatched, its own included. */
  given: number;
}

/** A first token is late when it came after so many times what explains it, and so many ms more. */
const lateFactor = 2;
const lateMs = 750;
/** What is used of what an engine says that it holds. */
const partOfSaid = 0.7;
/** What is used of what was in flight when first tokens began to be late. */
const partOfFull = 0.8;
/** For each first token that comes in time though nearly all of it is used. */
const rise = 1.0002;
const usedUp = 0.9;
/** A late first token with less in flight than this part of what was in time says nothing. */
const plausible = 0.7;
const fade = 0.9998;
/** Before so many first tokens came in time, a late one says more of our ignorance. */
const enoughInTime = 40;

export class RoomLearner {
  private readonly most: number;
  /** What an engine says that it holds is not that far from the truth. */
  private readonly least: number;
  /** Tokens in flight from which on requests waited inside; `Infinity`: they never did. */
  private fullAt = Infinity;
  /** The most with which a first token came in time, and how many did. */
  private proven = 0;
  private inTime = 0;

  /** @param holds Tokens that the engine says that it holds; null: it does not say. */
  constructor(holds: number | null) {
    this.most = holds === null ? Infinity : holds * partOfSaid;
    this.least = holds === null ? 0 : holds / 2;
  }

  /** Tokens that may be in flight. One request may be, whatever its size. */
  get bound(): number {
    return Math.min(this.most, this.fullAt * partOfFull);
  }

  firstToken({ measuredMs, explainedMs, given }: FirstToken): void {
    if (measuredMs > lateFactor * explainedMs + lateMs) {
      if (this.inTime < enoughInTime || given < this.proven * plausible) return;
      this.fullAt = Math.min(this.fullAt, Math.max(given, this.least));
      return;
    }
    this.inTime += 1;
    this.proven = Math.max(this.proven * fade, given);
    if (given > this.bound * usedUp) this.fullAt *= rise;
  }
}
