/**
 * Requests that wait because of a limit, by the account that holds them back.
 *
 * Invariants
 * L3 A waiting request that a limit keeps from a free slot stands in `heldBack` of that account,
 *    and is tried again when the account has room for it: because it has changed for the better, or
 *    because time has filled it. As many are tried as it has room for, the first in line first.
 */
import type { WaitingRequest } from '../scheduler/schedulerState.ts';
import { DeadlineHeap } from '../waiting/deadlineHeap.ts';
import { nobodyAhead } from './limitAccount.ts';
import type { ProjectAccount } from './projectAccount.ts';

export class HeldBack {
  /** Accounts with as many running as they may have, as of this event. */
  readonly full = new Set<ProjectAccount>();
  private readonly heap = new DeadlineHeap<ProjectAccount>();
  /** Those that may have room for requests that they hold back. */
  private readonly better = new Set<ProjectAccount>();
  /** Let go at this time already: each is tried once. */
  private readonly letGo = new Set<WaitingRequest>();
  private nowMs = 0;

  /** The time of everything that follows. */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
    this.full.clear();
    this.letGo.clear();
  }

  /** A request waits because of an account, which time alone fills at `wakeAtMs`. */
  put(
    waiting: WaitingRequest,
    { account, wakeAtMs }: { account: ProjectAccount; wakeAtMs: number },
  ): void {
    const isFirst = account.heldBack.size === 0;
    if (account.heldBack.has(waiting) && account.wakeAtMs <= wakeAtMs) return;
    account.heldBack.add(waiting);
    waiting.heldBackBy.add(account);
    if (!isFirst && account.heapIndex !== -1 && account.wakeAtMs <= wakeAtMs) return;
    account.wakeAtMs = wakeAtMs;
    this.heap.put(account);
  }

  /** The request waits no more. */
  forget(waiting: WaitingRequest): void {
    for (const account of waiting.heldBackBy) {
      account.heldBack.delete(waiting);
      if (account.heldBack.size === 0) {
        this.heap.remove(account);
        this.better.delete(account);
      }
    }
    waiting.heldBackBy.clear();
  }

  /** The account has changed for the better. */
  improved(account: ProjectAccount): void {
    if (account.heldBack.size > 0) this.better.add(account);
  }

  /** When time alone lets the next one go on; `Infinity`: never. */
  nextWakeMs(): number {
    return this.heap.peek()?.wakeAtMs ?? Infinity;
  }

  /**
   * Those to try again now. To be asked until it gives none: where some of them cannot be served by
   * anybody, there is room for others.
   */
  takeReady(): WaitingRequest[] {
    for (let next = this.heap.peek(); next !== undefined; next = this.heap.peek()) {
      if (next.wakeAtMs > this.nowMs) break;
      this.heap.remove(next);
      this.better.add(next);
    }
    const ready: WaitingRequest[] = [];
    for (const account of this.better) {
      const fitting = this.fitting(account);
      if (fitting.length === 0) this.holdOn(account);
      for (const waiting of fitting) this.forget(waiting);
      ready.push(...fitting);
    }
    return ready;
  }

  /** The first in line of those that an account holds back, as many as it has room for. */
  private fitting(account: ProjectAccount): WaitingRequest[] {
    const { nowMs } = this;
    const found: WaitingRequest[] = [];
    if (!account.hasSlot(nowMs, nobodyAhead) && !isAnyFirst(account)) return found;
    const ahead = { requests: 0, tokens: 0 };
    for (const waiting of inLine(account.heldBack)) {
      const isOwn = isItsOwn(waiting, account);
      // Those with something of their own have been tried: they stand before all that came since.
      if (!isOwn && waiting.order > 0 && !account.hasSlot(nowMs, ahead)) break;
      if (this.letGo.has(waiting)) continue;
      const amount = account.amountFor(waiting);
      if (!isOwn && account.hit(amount, nowMs, ahead) !== null) continue;
      found.push(waiting);
      this.letGo.add(waiting);
      if (isOwn) continue;
      ahead.requests += 1;
      ahead.tokens += amount;
    }
    return found;
  }

  /** Nobody whom it holds back fits now: the least of them may when time has filled it. */
  private holdOn(account: ProjectAccount): void {
    this.better.delete(account);
    if (account.heldBack.size === 0) return;
    account.wakeAtMs = this.nowMs + waitMsOfLeast(account, this.nowMs);
    this.heap.put(account);
  }
}

/** Until the least of those whom it holds back may go on, by time alone. */
function waitMsOfLeast(account: ProjectAccount, nowMs: number): number {
  // Time ends nothing that runs.
  if (!account.hasSlot(nowMs, nobodyAhead)) return Infinity;
  let least = Infinity;
  for (const waiting of account.heldBack) least = Math.min(least, account.amountFor(waiting));
  return account.hit(least, nowMs)?.waitMs ?? Infinity;
}

/** L7. What it holds of the account is the request's own. */
export const isItsOwn = ({ left }: WaitingRequest, account: ProjectAccount): boolean =>
  left !== null && left.reservation?.account === account;

/** Whether it holds back one with something of its own, or that goes before all that came. */
function isAnyFirst(account: ProjectAccount): boolean {
  for (const waiting of account.heldBack) {
    if (waiting.order < 0 || isItsOwn(waiting, account)) return true;
  }
  return false;
}

/** Mostly they stand in it already: those who came first were held back first. */
function inLine(heldBack: ReadonlySet<WaitingRequest>): WaitingRequest[] {
  const all = [...heldBack];
  const isSorted = all.every((one, at) => at === 0 || (all[at - 1]?.order ?? 0) <= one.order);
  return isSorted ? all : all.sort((one, other) => one.order - other.order);
}
