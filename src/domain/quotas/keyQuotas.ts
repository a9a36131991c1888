/**
 * Quotas of keys: what one key may use, whoever serves, beside the limits of its project. They bind
 * on arrival: what is over is refused, nothing waits for a quota.
 *
 * A minute's figure is a bucket of that size, refilled all the time. A day is a day in UTC: its
 * tokens are counted from midnight to midnight, by the clock on the wall at which a request came.
 * That clock may be set; nothing else here goes by it.
 */
import type { ApiKeyEntry, ApiKeyQuota } from '../directory.ts';
import {
  LimitAccount,
  type LimitHit,
  type LimitLease,
  type Rates,
  type Spent,
} from './limitAccount.ts';
import { daysOfKey, minLimitAccounts } from '../limits.ts';
import type { TokenNeed } from '../prediction/tokenEstimates.ts';

/** What a request holds of its key's quota. */
export interface KeyHold {
  minute: LimitAccount;
  /** The day that it counts for: what comes back after midnight does not come to the next day. */
  day: DayCount;
  /** The figure of a day; null: none. */
  perDay: number | null;
  /** What it was reckoned from. */
  need: TokenNeed;
  tokens: number;
}

type QuotaKey = Pick<ApiKeyEntry, 'id' | 'quota'> | null;

interface KeyAccount {
  quota: ApiKeyQuota;
  minute: LimitAccount;
}

/** Tokens of a key on one day, counted in days since the epoch. */
interface DayCount {
  day: number;
  tokens: number;
}

const dayMs = 86_400_000;
const dayOf = (epochMs: number): number => Math.floor(epochMs / dayMs);
const unlimited: Rates = { requests: null, tokens: null };

export class KeyQuotas {
  /** Requests that hold a part of some quota. */
  holds = 0;
  private readonly lease: LimitLease;
  private readonly accounts = new Map<string, KeyAccount>();
  /** By key, at most `daysOfKey`, the one that was begun last last. */
  private readonly days = new Map<string, DayCount[]>();
  /** Of the last request. */
  private today = 0;
  private sweepAt = minLimitAccounts;

  constructor(options: { lease: LimitLease }) {
    this.lease = options.lease;
  }

  /** Holds what a new request will probably need, or says which figure has no room for it. */
  hold(
    key: QuotaKey,
    { need, nowMs, startedAtMs }: { need: TokenNeed; nowMs: number; startedAtMs: number },
  ): { kind: 'held'; hold: KeyHold | null } | { kind: 'over'; hit: LimitHit } {
    if (key === null || key.quota === null) return { kind: 'held', hold: null };
    const { minute } = this.accountOf(key.id, { quota: key.quota, nowMs });
    this.today = dayOf(startedAtMs);
    const day = this.countOf(key.id, this.today);
    const { tokensPerDay: value } = key.quota;
    const left = value === null ? Infinity : value - day.tokens;
    const tokens = amountOf(need, { minute, left });
    const hit = minute.hit(tokens, nowMs);
    if (hit !== null) return { kind: 'over', hit };
    if (value !== null && tokens > left) {
      const waitMs = tokens > value ? Infinity : dayMs - (startedAtMs % dayMs);
      const used = { value, used: day.tokens, needed: tokens, most: value };
      return { kind: 'over', hit: { limit: 'tokens_per_day', ...used, waitMs } };
    }
    minute.take(tokens, nowMs);
    day.tokens += tokens;
    this.holds += 1;
    return { kind: 'held', hold: { minute, day, perDay: value, need, tokens } };
  }

  /** Who serves it counts otherwise than those who probably would have. */
  restate(hold: KeyHold, { need, nowMs }: { need: TokenNeed; nowMs: number }): void {
    if (need === hold.need) return;
    const { minute, day, perDay } = hold;
    const left = perDay === null ? Infinity : perDay - (day.tokens - hold.tokens);
    const tokens = amountOf(need, { minute, left });
    minute.change(tokens - hold.tokens, nowMs);
    day.tokens += tokens - hold.tokens;
    Object.assign(hold, { need, tokens });
  }

  /** Tokens of a day that were used and are not counted here; below zero: fewer than was said. */
  addToDay(keyId: string, { tokens, ofDayMs }: { tokens: number; ofDayMs: number }): void {
    this.countOf(keyId, dayOf(ofDayMs)).tokens += tokens;
  }

  /** The end of a hold: what was not spent goes back. */
  settle(hold: KeyHold, { spent, nowMs }: { spent: Spent; nowMs: number }): void {
    const { minute, day, tokens } = hold;
    this.holds -= 1;
    minute.settle({ tokens, spent, nowMs });
    if (spent !== 'reserved') day.tokens -= tokens - (spent === 'nothing' ? 0 : spent);
  }

  rates(key: QuotaKey, nowMs: number): Rates {
    if (key === null || key.quota === null) return unlimited;
    return this.accountOf(key.id, { quota: key.quota, nowMs }).minute.rates(nowMs);
  }

  private countOf(keyId: string, day: number): DayCount {
    const known = this.days.get(keyId) ?? [];
    const found = known.find((one) => one.day === day);
    if (found !== undefined) return found;
    const fresh = { day, tokens: 0 };
    this.days.set(keyId, [...known, fresh].slice(-daysOfKey));
    return fresh;
  }

  private accountOf(
    keyId: string,
    { quota, nowMs }: { quota: ApiKeyQuota; nowMs: number },
  ): KeyAccount {
    const known = this.accounts.get(keyId);
    if (known !== undefined && isSame(known.quota, quota)) return known;
    this.sweepIdle(nowMs);
    const { requestsPerMinute, tokensPerMinute } = quota;
    const figures = { requestsPerMinute, tokensPerMinute, concurrent: null, burst: 1 };
    const minute = new LimitAccount({ figures, lease: this.lease, nowMs });
    const account = { quota, minute };
    this.accounts.set(keyId, account);
    return account;
  }

  /** R6: keys that have rested are dropped each time that their number has doubled. */
  private sweepIdle(nowMs: number): void {
    if (this.accounts.size < this.sweepAt) return;
    for (const [keyId, account] of this.accounts) {
      if (account.minute.isIdle(nowMs)) this.accounts.delete(keyId);
    }
    for (const [keyId, counts] of this.days) {
      const isOver = counts.every(({ day }) => Math.abs(day - this.today) > 1);
      if (isOver && !this.accounts.has(keyId)) this.days.delete(keyId);
    }
    this.sweepAt = Math.max(minLimitAccounts, this.accounts.size * 2);
  }
}

/** What is guessed of it is no more than a minute holds, or is `left` of a day. */
function amountOf(need: TokenNeed, of: { minute: LimitAccount; left: number }): number {
  return of.minute.amountOf({ ...need, usual: Math.min(need.usual, of.left) });
}

function isSame(one: ApiKeyQuota, other: ApiKeyQuota): boolean {
  return (
    one === other ||
    (one.requestsPerMinute === other.requestsPerMinute &&
      one.tokensPerMinute === other.tokensPerMinute &&
      one.tokensPerDay === other.tokensPerDay)
  );
}
