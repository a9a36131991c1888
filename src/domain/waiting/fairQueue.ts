/**
 * Who next, between projects: weighted virtual token counters (Sheng et al., "Fairness in Serving
 * Large Language Models", OSDI 2024) over shared agents, with the lift for who returns from idle.
 *
 * A charge is divided by the weight of the tier that serves before it comes here. Output that
 * streams is charged as a flow, by predicted time per token: nobody looks at chunks. Real usage
 * settles both.
 *
 * Invariants
 * S4 Of two projects that always wait, the counters differ by no more than
 *    `2 · max(longest input, 2 · Σ slots · longest output) / weight`.
 * F1 A project that was idle gains nothing by it: it begins at the smallest active counter, or at
 *    that of the last one that left.
 * F2 What a project was served at nobody's cost is not held against it: a claim is forgiven when it
 *    ends if neither then nor when it was made somebody of another project waited whom the same
 *    instance could have served. Nor does who waits beside nobody save up what others are charged
 *    meanwhile: when it meets another one in a queue, what it was forgiven is charged after all, as
 *    far as it is behind the smallest counter of the others that wait.
 * F3 Whoever runs a little all the time saves nothing up by it either: when a project begins to
 *    wait it is not behind the smallest counter of those that wait already.
 */
import { counterSweepMs, idleCounterMs } from '../scheduler/limits.ts';

/** What one project was served. */
export interface FairAccount {
  readonly projectId: string;
  counter: number;
  /** What is added by what streams, per ms, and since when. */
  flow: number;
  sinceMs: number;
  /** Requests that wait or run on shared agents, and those of them that wait. */
  active: number;
  waiting: number;
  /** F2: since it met another project in a queue. */
  forgiven: number;
}

/** What a token is worth. */
const uncachedWeight = 1;
const cachedWeight = 0.25;
const outputWeight = 2;

/** The charge for a prompt, before weights. */
export function promptCharge({ input, cached }: { input: number; cached: number }): number {
  const had = Math.min(cached, input);
  return (input - had) * uncachedWeight + had * cachedWeight;
}

/** The charge for an answer, before weights. */
export const answerCharge = (tokens: number): number => tokens * outputWeight;

export class FairQueue {
  private readonly accounts = new Map<string, FairAccount>();
  private readonly active = new Set<FairAccount>();
  private readonly waiting = new Set<FairAccount>();
  /** Counter of the last one that left. */
  private lastLeft = 0;
  private sweptAtMs = 0;

  /** Counters that are kept. */
  get size(): number {
    return this.accounts.size;
  }

  /** F1. One more request of a project waits or runs on shared agents. */
  enter(projectId: string, nowMs: number): FairAccount {
    this.sweep(nowMs);
    const account = this.accounts.get(projectId) ?? newAccount(projectId, nowMs);
    this.accounts.set(projectId, account);
    if (account.active === 0) {
      account.counter = Math.max(valueOf(account, nowMs), this.floor(nowMs));
      account.sinceMs = nowMs;
      this.active.add(account);
    }
    account.active += 1;
    return account;
  }

  /** One less. */
  leave(account: FairAccount, nowMs: number): void {
    account.active -= 1;
    if (account.active > 0) return;
    account.counter = valueOf(account, nowMs);
    account.sinceMs = nowMs;
    account.forgiven = 0;
    this.active.delete(account);
    this.lastLeft = account.counter;
  }

  /** F3. One of its requests begins to wait. */
  waits(account: FairAccount, nowMs: number): void {
    account.waiting += 1;
    if (account.waiting > 1) return;
    const leastWaiting = leastOf(this.waiting, nowMs);
    const value = valueOf(account, nowMs);
    account.counter = leastWaiting === Infinity ? value : Math.max(value, leastWaiting);
    account.sinceMs = nowMs;
    this.waiting.add(account);
  }

  /** F1, F3. What its counter would be if one of its requests began to wait now. */
  entryOf(projectId: string, nowMs: number): number {
    const account = this.accounts.get(projectId);
    const value = account === undefined ? 0 : valueOf(account, nowMs);
    if (account !== undefined && account.waiting > 0) return value;
    const leastWaiting = leastOf(this.waiting, nowMs);
    return Math.max(value, leastWaiting === Infinity ? this.floor(nowMs) : leastWaiting);
  }

  /** One of them waits no more. */
  waitsNoMore(account: FairAccount): void {
    account.waiting -= 1;
    if (account.waiting === 0) this.waiting.delete(account);
  }

  /** F2. It meets another project in a queue. */
  meets(account: FairAccount, nowMs: number): void {
    const { forgiven } = account;
    if (forgiven === 0) return;
    account.forgiven = 0;
    const others = [...this.waiting].filter((other) => other !== account);
    const behind = leastOf(others, nowMs) - valueOf(account, nowMs);
    charge(account, Math.max(0, Math.min(behind, forgiven)));
  }

  /** The smallest counter of those that are active; of the last one that left without any. */
  private floor(nowMs: number): number {
    const least = leastOf(this.active, nowMs);
    return least === Infinity ? this.lastLeft : least;
  }

  private sweep(nowMs: number): void {
    if (nowMs - this.sweptAtMs < counterSweepMs) return;
    this.sweptAtMs = nowMs;
    for (const [projectId, account] of this.accounts) {
      const isIdle = account.active === 0 && nowMs - account.sinceMs >= idleCounterMs;
      if (isIdle) this.accounts.delete(projectId);
    }
  }
}

/** `Infinity` of none. */
function leastOf(accounts: Iterable<FairAccount>, nowMs: number): number {
  let least = Infinity;
  for (const account of accounts) least = Math.min(least, valueOf(account, nowMs));
  return least;
}

/** Its counter now. The smallest is served. */
export function valueOf({ counter, flow, sinceMs }: FairAccount, nowMs: number): number {
  return counter + flow * (nowMs - sinceMs);
}

/** Charges, or gives back what is below zero. */
export function charge(account: FairAccount, amount: number): void {
  if (Number.isFinite(amount)) account.counter += amount;
}

/** F2. Takes back what was charged. */
export function forgive(account: FairAccount, amount: number): void {
  if (!Number.isFinite(amount)) return;
  account.counter -= amount;
  account.forgiven += amount;
}

/** One more answer streams, or, below zero, one less. Charged per ms. */
export function addFlow(account: FairAccount, perMs: number, nowMs: number): void {
  account.counter = valueOf(account, nowMs);
  account.sinceMs = nowMs;
  account.flow = Math.max(0, account.flow + perMs);
}

function newAccount(projectId: string, nowMs: number): FairAccount {
  return { projectId, counter: 0, flow: 0, sinceMs: nowMs, active: 0, waiting: 0, forgiven: 0 };
}
