/**
 * What a project may use on one tier, or a key, and what it uses: two buckets and a count of what
 * runs.
 *
 * Invariants
 * L1 `running` is the number of reservations that were taken and not settled yet.
 * L2 A bucket is never above its burst. It may be below zero: what ran longer than was set aside is
 *    a debt, which holds back new requests and never a running one.
 */
import { Allowance } from '../../lib/allowance.ts';
import type { TokenNeed } from '../prediction/tokenEstimates.ts';

/** Figures of an account; null: not limited. */
export interface LimitFigures {
  requestsPerMinute: number | null;
  tokensPerMinute: number | null;
  concurrent: number | null;
  /** What may be used at once, as a multiple of a minute's figure. */
  burst: number;
}

/**
 * The part of the limits that this process may give out, until when (2.6). Whoever is alone holds a
 * lease of everything.
 */
export interface LimitLease {
  /** What it is for: `*` is every project and tier. */
  scope: string;
  /** Share of each figure; 1: all of it. */
  amount: number;
  expiresAtMs: number;
}

export const leaseOfEverything: LimitLease = { scope: '*', amount: 1, expiresAtMs: Infinity };

export type LimitName =
  | 'requests_per_minute'
  | 'tokens_per_minute'
  | 'tokens_per_day'
  | 'concurrent_requests';

/** The limit that is in the way of a request. */
export interface LimitHit {
  limit: LimitName;
  /** The figure. */
  value: number;
  used: number;
  /** What the request would take of it, and what may be taken at once at most. */
  needed: number;
  most: number;
  /** In how many ms there will be room; null: when another one ends, `Infinity`: never. */
  waitMs: number | null;
}

/** What is left of one limit, as answers say it. */
export interface Rate {
  limit: number;
  remaining: number;
  /** Until the bucket is full. */
  resetMs: number;
}

export interface Rates {
  requests: Rate | null;
  tokens: Rate | null;
}

/** What a reservation came to: nothing at all, what was set aside, or so many tokens. */
export type Spent = 'nothing' | 'reserved' | number;

/** Requests, and the tokens that they will take. */
interface Ahead {
  requests: number;
  tokens: number;
}

export const nobodyAhead: Readonly<Ahead> = { requests: 0, tokens: 0 };

interface Bucket {
  figure: number;
  burst: number;
  allowance: Allowance;
}

export class LimitAccount {
  running = 0;
  private readonly concurrent: number | null;
  private readonly requests: Bucket | null;
  private readonly tokens: Bucket | null;
  private readonly lease: LimitLease;

  constructor(options: { figures: LimitFigures; lease: LimitLease; nowMs: number }) {
    const { figures, lease, nowMs } = options;
    const { requestsPerMinute, tokensPerMinute, concurrent, burst } = figures;
    this.lease = lease;
    this.concurrent = concurrent === null ? null : Math.floor(concurrent * lease.amount);
    this.requests = bucket(requestsPerMinute, { lease, burst, nowMs });
    this.tokens = bucket(tokensPerMinute, { lease, burst, nowMs });
  }

  /**
   * Tokens to set aside here: what is guessed of them is no more than fits at once. `delivered`:
   * of the answer, those that were written before.
   */
  amountOf({ prompt, usual, least }: TokenNeed, delivered = 0): number {
    const rest = (all: number): number => Math.max(Math.min(prompt + 1, all), all - delivered);
    return Math.max(rest(least), Math.min(rest(usual), this.tokens?.burst ?? Infinity));
  }

  /**
   * The limit that keeps a request of so many tokens from running now; null: it may run. `ahead`:
   * what was let go just now, and has taken nothing yet.
   */
  hit(tokens: number, nowMs: number, ahead: Ahead = nobodyAhead): LimitHit | null {
    const ofTokens = { bucket: this.tokens, needed: ahead.tokens + tokens, nowMs };
    const byTokens = rateHit('tokens_per_minute', ofTokens);
    const ofRequests = { bucket: this.requests, needed: ahead.requests + 1, nowMs };
    const byRequests = rateHit('requests_per_minute', ofRequests);
    const isByTokens = (byTokens?.waitMs ?? 0) >= (byRequests?.waitMs ?? 0);
    return (isByTokens ? byTokens : byRequests) ?? this.concurrencyHit(nowMs, ahead);
  }

  /** Whether one more may run at once, beside those ahead. */
  hasSlot(nowMs: number, ahead: Ahead): boolean {
    const { concurrent, running, lease } = this;
    if (nowMs >= lease.expiresAtMs) return false;
    return concurrent === null || running + ahead.requests < concurrent;
  }

  /** L1. */
  take(tokens: number, nowMs: number): void {
    this.running += 1;
    this.requests?.allowance.owe(1, nowMs);
    this.tokens?.allowance.owe(tokens, nowMs);
  }

  /** A reservation becomes one of so many tokens more; below zero: fewer. */
  change(tokens: number, nowMs: number): void {
    if (tokens > 0) this.tokens?.allowance.owe(tokens, nowMs);
    else this.tokens?.allowance.give(-tokens, nowMs);
  }

  /** L1, L2. The end of a reservation of so many tokens. */
  settle(reservation: { tokens: number; spent: Spent; nowMs: number }): void {
    const { tokens, spent, nowMs } = reservation;
    this.running -= 1;
    if (spent === 'reserved') return;
    if (spent === 'nothing') this.requests?.allowance.give(1, nowMs);
    this.tokens?.allowance.give(tokens - (spent === 'nothing' ? 0 : spent), nowMs);
  }

  rates(nowMs: number): Rates {
    return { requests: rateOf(this.requests, nowMs), tokens: rateOf(this.tokens, nowMs) };
  }

  /** Whether it says nothing that a new one would not say. */
  isIdle(nowMs: number): boolean {
    if (this.running > 0) return false;
    return [this.requests, this.tokens].every(
      (one) => one === null || one.allowance.left(nowMs) >= one.burst,
    );
  }

  private concurrencyHit(nowMs: number, ahead: Ahead): LimitHit | null {
    if (this.hasSlot(nowMs, ahead)) return null;
    const { running: used, lease } = this;
    const value = nowMs >= lease.expiresAtMs ? 0 : (this.concurrent ?? 0);
    return { limit: 'concurrent_requests', value, used, needed: 1, most: value, waitMs: null };
  }
}

function bucket(
  figure: number | null,
  how: { lease: LimitLease; burst: number; nowMs: number },
): Bucket | null {
  if (figure === null) return null;
  const ours = figure * how.lease.amount;
  const burst = ours * how.burst;
  const { nowMs } = how;
  return { figure, burst, allowance: new Allowance({ burst, perSecond: ours / 60 }, nowMs) };
}

function rateHit(
  limit: LimitName,
  what: { bucket: Bucket | null; needed: number; nowMs: number },
): LimitHit | null {
  const { bucket: one, needed, nowMs } = what;
  if (one === null) return null;
  const waitMs = one.allowance.waitMs(needed, nowMs);
  if (waitMs === 0) return null;
  const left = Math.floor(one.allowance.left(nowMs));
  const used = Math.max(0, one.figure - left);
  return { limit, value: one.figure, used, needed, most: one.burst, waitMs };
}

function rateOf(one: Bucket | null, nowMs: number): Rate | null {
  if (one === null) return null;
  const remaining = Math.max(0, Math.floor(one.allowance.left(nowMs)));
  return { limit: one.figure, remaining, resetMs: one.allowance.waitMs(one.burst, nowMs) };
}

/** Of two accounts that both bind, what is less. */
export function tighter(one: Rates, other: Rates): Rates {
  return {
    requests: less(one.requests, other.requests),
    tokens: less(one.tokens, other.tokens),
  };
}

function less(one: Rate | null, other: Rate | null): Rate | null {
  if (one === null || other === null) return one ?? other;
  return other.remaining < one.remaining ? other : one;
}
