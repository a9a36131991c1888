/**
 * How much of what an agent grants is of use, as tokens of prompts and answers in flight. Too
 * little wastes the machine; too much only moves the queue into the engine, where nobody is fair,
 * because its memory for keys and values is full, or its batch is.
 *
 * Where an engine has said how many tokens it holds, these are used, less a part that keeps what is
 * cached, where prompts begin with that. Where it has not, or it was not true, first tokens tell:
 * one that is much later than computing the prompts before it explains waits inside. Nothing more
 * is given to the engine until it has come; what is in flight stays below where that began, and
 * creeps up again while first tokens come in time.
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
/** What is left of what an engine says that it holds, for the beginnings of prompts. */
const keptForCache = 0.2;
/** It is less where a smaller part than this of the prompts' tokens is found there. */
const muchCached = 0.08;
/** Weight of the newest prompt in that. */
const cachedWeight = 0.01;
/** What is used of what was in flight when first tokens began to be late. */
const partOfFull = 0.95;
/**
 * For each first token in time though nearly all of it is used, or one more such request would find
 * no room: this part of it, or so much of what that one takes, whichever is more. Of few requests
 * at a time one is a large part, to which small parts of the rest never come.
 */
const rise = 0.0002;
const inTimeForOneMore = 200;
const usedUp = 0.9;
/** A late first token with less in flight than this part of what was in time says nothing. */
const plausible = 0.7;
const fade = 0.9998;
/** Before so many first tokens came in time, a late one says more of our ignorance. */
const enoughInTime = 40;

export class RoomLearner {
  private readonly holds: number | null;
  /** The part of prompts that was cached, in the mean: taken for much before the first one. */
  private cached = muchCached;
  /** What an engine says that it holds is not that far from the truth. */
  private readonly least: number;
  /** Tokens in flight from which on requests waited inside; `Infinity`: they never did. */
  private fullAt = Infinity;
  /** The most with which a first token came in time, and how many did. */
  private proven = 0;
  private inTime = 0;

  /** @param holds Tokens that the engine says that it holds; null: it does not say. */
  constructor(holds: number | null) {
    this.holds = holds;
    this.least = holds === null ? 0 : holds / 2;
  }

  /** Tokens that may be in flight. One request may be, whatever its size. */
  get bound(): number {
    const { holds, cached } = this;
    const kept = keptForCache * Math.min(1, cached / muchCached);
    return Math.min(holds === null ? Infinity : holds * (1 - kept), this.fullAt * partOfFull);
  }

  /** So many tokens of a prompt were cached. */
  found({ prompt, cached }: { prompt: number; cached: number }): void {
    if (prompt > 0) this.cached += cachedWeight * (Math.min(1, cached / prompt) - this.cached);
  }

  /** One that has not come in `measuredMs` waits inside. */
  isOverdue(token: FirstToken): boolean {
    return isLate(token) && this.saysFull(token);
  }

  private saysFull({ given }: FirstToken): boolean {
    return this.inTime >= enoughInTime && given >= this.proven * plausible;
  }

  /** `tokens`: of those in flight its own. */
  firstToken(token: FirstToken & { tokens: number }): void {
    const { given, tokens } = token;
    if (isLate(token)) {
      if (this.saysFull(token)) this.fullAt = Math.min(this.fullAt, Math.max(given, this.least));
      return;
    }
    this.inTime += 1;
    this.proven = Math.max(this.proven * fade, given);
    const isUsedUp = given > this.bound * usedUp || given + tokens > this.bound;
    if (isUsedUp) this.fullAt += Math.max(this.fullAt * rise, tokens / inTimeForOneMore);
  }
}

const isLate = ({ measuredMs, explainedMs }: FirstToken): boolean =>
  measuredMs > lateFactor * explainedMs + lateMs;
