/**
 * A rate with a burst, as one bucket without a timer: it is brought up to date when it is looked
 * at. Units (bytes, lines) are the caller's.
 */
export interface AllowanceRate {
  /** What may be spent at once. */
  burst: number;
  perSecond: number;
}

/** Fractions are added up: what is missing by less than this is there. */
const roundingError = 1e-6;

export class Allowance {
  private readonly rate: AllowanceRate;
  private amount: number;
  private atMs: number;

  /** Full at `nowMs`; times are monotonic. */
  constructor(rate: AllowanceRate, nowMs: number) {
    this.rate = rate;
    this.amount = rate.burst;
    this.atMs = nowMs;
  }

  /** What may be spent now. Below 0 after an overdraft. */
  left(nowMs: number): number {
    const earned = (Math.max(0, nowMs - this.atMs) / 1000) * this.rate.perSecond;
    this.amount = Math.min(this.rate.burst, this.amount + earned);
    this.atMs = nowMs;
    return this.amount;
  }

  /** Takes all of `amount`, or nothing and says no. */
  take(amount: number, nowMs: number): boolean {
    if (this.left(nowMs) < amount) return false;
    this.amount -= amount;
    return true;
  }

  /** Takes `amount` whether it is there or not: what is owed is earned first. */
  owe(amount: number, nowMs: number): void {
    this.left(nowMs);
    this.amount -= amount;
  }

  /** Puts back what was taken and not spent; the burst stays the most that there is. */
  give(amount: number, nowMs: number): void {
    this.amount = Math.min(this.rate.burst, this.left(nowMs) + amount);
  }

  /** In how many ms `amount` may be spent; 0: now, `Infinity`: never. */
  waitMs(amount: number, nowMs: number): number {
    if (amount > this.rate.burst) return Infinity;
    const missing = amount - this.left(nowMs);
    return missing <= roundingError ? 0 : (missing * 1000) / this.rate.perSecond;
  }
}
