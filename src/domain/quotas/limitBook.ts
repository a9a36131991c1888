/**
 * Who may still use how much: accounts of projects by tier, and the requests that wait for them.
 * Pure, driven by the scheduler's clock.
 *
 * What shared agents serve is counted by (project, tier that serves). Own agents are held to one
 * thing, the concurrency of `self_hosted` over all of a project's own agents.
 *
 * Invariants
 * L1 A reservation is taken with a claim, in the same turn, and settled once, with the claim's
 *    slot: the reservations of all accounts belong to one claim each, or to a request that waits.
 * L7 What a failed attempt still holds is its own request's: the next claim on the same account
 *    goes on with it, and is held back by nothing. On another account the request counts like any
 *    other. An answer that has begun keeps it until somebody goes on or nobody will. A second claim
 *    beside the first (a hedge) goes on with what that one holds, too: it is no other request.
 * L3 Who waits because of a limit: `HeldBack`.
 * L4 What is refused, and what never ran to a byte, costs nothing.
 * L5 A request holds its part of its key's quota from its arrival to its one end.
 * L6 What would cost something is not claimed while a budget stops it, its key's or its project's.
 */
import type { BudgetStop } from '../metering/budget.ts';
import type { AgentEntry } from '../directory.ts';
import {
  leaseOfEverything,
  tighter,
  type LimitFigures,
  type LimitHit,
  type LimitLease,
  type Rates,
  type Spent,
} from './limitAccount.ts';
import { HeldBack, isItsOwn } from './heldBack.ts';
import { KeyQuotas } from './keyQuotas.ts';
import { ProjectAccount } from './projectAccount.ts';
import { burstOfMinute, leastBytesPerToken, minLimitAccounts } from '../limits.ts';
import {
  ownershipOf,
  servingTier,
  type Ownership,
  type RoutedRequest,
  type Stage,
} from '../agents/matching.ts';
import {
  isKept,
  measureFor,
  type Claim,
  type WaitingRequest,
} from '../scheduler/schedulerState.ts';
import type { TierSlug, TierTable } from '../tiers/tiers.ts';
import { TokenEstimates, type RequestSize, type TokenNeed } from '../prediction/tokenEstimates.ts';

/** What a claim holds of an account. */
export interface Reservation {
  account: ProjectAccount;
  tokens: number;
  /** Of the answer: what was written where other limits hold, and is not to be paid for here. */
  before: number;
  /** What it comes to if nobody goes on with it. */
  spent: 'nothing' | number;
}

/** A tier, or what a project's own agents serve. */
type AccountName = TierSlug | 'own';

type Accounts = Partial<Record<AccountName, ProjectAccount>>;

export class LimitBook {
  /** How often something may have come out of reach (`letsPass`). */
  tightened = 0;
  private readonly tiers: TierTable;
  private readonly lease: LimitLease;
  /** Apart: a project's own agents may tell what they like of the requests that they serve. */
  private readonly estimates = { own: new TokenEstimates(), shared: new TokenEstimates() };
  private readonly keys: KeyQuotas;
  private readonly projects = new Map<string, Accounts>();
  /** L3. */
  readonly held = new HeldBack();
  /** L6: by the id of the project or key. */
  private readonly stops = new Map<string, BudgetStop>();
  private accounts = 0;
  private sweepAt = minLimitAccounts;
  private nowMs = 0;

  constructor(options: { tiers: TierTable; lease?: LimitLease }) {
    this.tiers = options.tiers;
    this.lease = options.lease ?? leaseOfEverything;
    this.keys = new KeyQuotas({ lease: this.lease });
  }

  /** The time of everything that follows. */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
    this.held.advance(nowMs);
  }

  /** Tokens to set aside for a request, by who serves it. */
  estimate(request: RoutedRequest): Record<Ownership, TokenNeed> {
    const size = sizeOf(request);
    const { own, shared } = this.estimates;
    return { own: own.need(size), shared: shared.need(size) };
  }

  /** L5. What the key of a new request has no quota for; null: it holds its part now. */
  holdKey(waiting: WaitingRequest, need: TokenNeed): LimitHit | null {
    const { key, startedAtMs = 0 } = waiting.request;
    const outcome = this.keys.hold(key, { need, nowMs: this.nowMs, startedAtMs });
    if (outcome.kind === 'over') return outcome.hit;
    waiting.keyHold = outcome.hold;
    return null;
  }

  /** What keys have used of a day elsewhere. */
  addToDays(used: { ofDayMs: number; keys: readonly { id: string; tokens: number }[] }): void {
    const { ofDayMs } = used;
    for (const { id, tokens } of used.keys) this.keys.addToDay(id, { tokens, ofDayMs });
  }

  /**
   * L4, L5. The request ends while nobody serves it. A slot that is not free yet takes with it what
   * it holds.
   */
  release(waiting: WaitingRequest, { slotFree }: { slotFree: boolean }): void {
    const { left, delivered } = waiting;
    waiting.left = null;
    this.held.forget(waiting);
    if (left !== null && slotFree) this.settleAccount(left);
    const cost = left === null ? 'nothing' : measureFor(waiting, left.instance).tokens.prompt;
    this.settleKey(
      waiting,
      delivered === null || cost === 'nothing' ? 'nothing' : cost + delivered,
    );
  }

  /** What a key has left of its quota. */
  ratesOfKey(request: RoutedRequest): Rates {
    return this.keys.rates(request.key, this.nowMs);
  }

  /** Whether this agent may take the request now; holds it back (L3) when it may not. */
  admits(waiting: WaitingRequest, where: { agent: AgentEntry; stage: Stage }): boolean {
    const name = accountName(waiting.request, where);
    const account = this.accountOf(waiting.request, name);
    if (this.stopOn(name, waiting) !== null) {
      this.held.put(waiting, { account, wakeAtMs: Infinity });
      return false;
    }
    if (isItsOwn(waiting, account)) return true;
    const isFull = this.held.full.has(account);
    const hit = isFull ? null : account.hit(account.amountFor(waiting), this.nowMs);
    if (hit === null && !isFull) return true;
    // As long as nobody leaves, whoever asks next need not be looked at: its size makes no
    // difference.
    if (hit?.limit === 'concurrent_requests') this.held.full.add(account);
    this.held.put(waiting, { account, wakeAtMs: this.nowMs + (hit?.waitMs ?? Infinity) });
    return false;
  }

  /**
   * Whether an agent is out for one that waits, as this event has shown already: as many run as
   * may, and they hold it back. Of the many of a project at its limit each is asked of many agents.
   */
  isHeldBack({ request, stages, heldBackBy, left }: WaitingRequest, agent: AgentEntry): boolean {
    const { full } = this.held;
    if (full.size === 0 || heldBackBy.size === 0 || left !== null) return false;
    return stages.every((stage) => {
      const account = this.accountOf(request, accountName(request, { agent, stage }));
      return full.has(account) && heldBackBy.has(account);
    });
  }

  /** The same, if the request were to leave whom it has: nobody is held back. */
  allows(waiting: WaitingRequest, where: { agent: AgentEntry; stage: Stage }): boolean {
    const name = accountName(waiting.request, where);
    return this.stopOn(name, waiting) === null && this.hitOn(name, waiting) === null;
  }

  /** Whether neither a budget nor a limit keeps the request from what is counted there. */
  letsPass(waiting: WaitingRequest, name: AccountName): boolean {
    if (this.stopOn(name, waiting) !== null || this.hitOn(name, waiting) !== null) return false;
    const account = this.accountOf(waiting.request, name);
    account.reachedBy = Math.max(account.reachedBy, account.amountFor(waiting));
    return true;
  }

  private noteLess(account: ProjectAccount): void {
    if (account.reachedBy < 0 || account.hit(account.reachedBy, this.nowMs) === null) return;
    account.reachedBy = -Infinity;
    this.tightened += 1;
  }

  /** L1, L7. `twin`: the claim that the request has already. */
  reserve(
    waiting: WaitingRequest,
    where: { agent: AgentEntry; stage: Stage; twin: Claim | null },
  ): Reservation {
    const { request, left, delivered } = waiting;
    const account = this.accountOf(request, accountName(request, where));
    this.held.forget(waiting);
    waiting.left = null;
    const before = where.twin ?? left;
    const kept = before?.reservation ?? null;
    if (before !== null && kept?.account === account) {
      before.reservation = null;
      account.claims.delete(before);
      return kept;
    }
    if (left !== null) this.settleAccount(left);
    const tokens = account.amountFor(waiting);
    account.take(tokens, this.nowMs);
    this.noteLess(account);
    return { account, tokens, before: delivered ?? 0, spent: 'nothing' };
  }

  /** A claim has begun with what was reserved for it. */
  began(claim: Claim): void {
    claim.reservation?.account.claims.add(claim);
    this.servedBy(claim);
  }

  /** L7. Of two claims of a request one is left, with what either holds where it counts. */
  isLeft(claim: Claim, gone: Claim): void {
    const { reservation } = gone;
    if (claim.reservation === null && reservation !== null) {
      gone.reservation = null;
      reservation.account.claims.delete(gone);
      claim.reservation = reservation;
      reservation.account.claims.add(claim);
    }
    this.servedBy(claim);
  }

  /** L5. The request depends on this claim: its key is held to what that one's agent counts. */
  private servedBy({ waiting, instance }: Claim): void {
    const { keyHold } = waiting;
    const need = measureFor(waiting, instance).tokens;
    if (keyHold !== null) this.keys.restate(keyHold, { need, nowMs: this.nowMs });
  }

  /** From here on it costs something, whoever goes on. */
  firstByte({ reservation, waiting, instance }: Claim): void {
    if (reservation?.spent === 'nothing')
      reservation.spent = measureFor(waiting, instance).tokens.prompt;
  }

  /** L7. The attempt of a claim has failed; `broke`: after the first byte. */
  failed(claim: Claim, { broke }: { broke: boolean }): void {
    const { waiting, reservation, instance } = claim;
    waiting.left = claim;
    if (!broke || reservation === null) return;
    const written = Math.max(0, (waiting.delivered ?? 0) - reservation.before);
    reservation.spent = measureFor(waiting, instance).tokens.prompt + written;
  }

  /** L1. The slot of a claim is free: what it held goes back, but for what was spent. */
  settle(claim: Claim): void {
    const { spent, waiting, instance } = claim;
    if (!isKept(claim)) this.settleAccount(claim);
    // After a failed attempt the request goes on, or is rejected.
    if (spent === 'nothing') return;
    this.settleKey(waiting, typeof spent === 'string' ? spent : spent.input + spent.output);
    if (typeof spent === 'string') return;
    const { endpointId, bodyBytes, hasMedia } = sizeOf(waiting.request);
    const { input, output } = spent;
    const told = hasMedia ? 0 : Math.min(input, bodyBytes / leastBytesPerToken);
    this.estimates[ownershipOf(instance.agent.entry)].learn(endpointId, {
      bodyBytes,
      input: told,
      output,
    });
  }

  /** The limit that is in the way of a request there; null: none. */
  hitOn(name: AccountName, waiting: WaitingRequest): LimitHit | null {
    const account = this.accountOf(waiting.request, name);
    if (isItsOwn(waiting, account)) return null;
    return account.hit(account.amountFor(waiting), this.nowMs);
  }

  /** L6. The end of a stop lets those go on that it held back. */
  setStop(id: string, stop: BudgetStop | null): void {
    if (stop !== null) {
      this.stops.set(id, stop);
      this.tightened += 1;
    } else if (this.stops.delete(id)) {
      const all = [...this.projects.values()].flatMap((accounts) => Object.values(accounts));
      for (const account of all) this.held.improved(account);
    }
  }

  /** L6. The budget that keeps a request from what shared agents serve on a tier. */
  stopOn(name: AccountName, waiting: WaitingRequest): BudgetStop | null {
    if (this.stops.size === 0 || name === 'own' || this.tiers[name].price.amount === 0) return null;
    const { project, key } = waiting.request;
    // What has run is not stopped, and goes on where it ran.
    const { left, request } = waiting;
    const hasRun = (left?.reservation?.spent ?? 'nothing') !== 'nothing';
    if (hasRun && isItsOwn(waiting, this.accountOf(request, name))) return null;
    return this.stops.get(key?.id ?? '') ?? this.stops.get(project.id) ?? null;
  }

  /** What a project may use on a tier of shared agents. */
  accountOn(tier: TierSlug, request: RoutedRequest): ProjectAccount {
    return this.accountOf(request, tier);
  }

  /** What a project has left on a tier of shared agents. */
  ratesOn(tier: TierSlug, request: RoutedRequest): Rates {
    return tighter(this.accountOf(request, tier).rates(this.nowMs), this.ratesOfKey(request));
  }

  /** What is left where a request counts: of its key's quota, where that is less. */
  ratesOf({ account }: Reservation, request: RoutedRequest): Rates {
    return tighter(account.rates(this.nowMs), this.ratesOfKey(request));
  }

  /**
   * For tests: reservations that are not settled (L1), and holds of keys (L5), requests that are
   * held back, accounts.
   */
  audit(): { running: number; keyHolds: number; heldBack: number; accounts: number } {
    const all = [...this.projects.values()].flatMap((accounts) => Object.values(accounts));
    return {
      running: all.reduce((sum, account) => sum + account.running, 0),
      keyHolds: this.keys.holds,
      heldBack: all.reduce((sum, account) => sum + account.heldBack.size, 0),
      accounts: all.length,
    };
  }

  /** L1. What a claim holds of its account, once. */
  private settleAccount(claim: Claim): void {
    const { reservation, spent, waiting } = claim;
    if (waiting.left === claim) waiting.left = null;
    if (reservation === null) return;
    claim.reservation = null;
    const { account, tokens, before } = reservation;
    account.claims.delete(claim);
    if (spent !== 'nothing') account.served(this.nowMs - claim.startedAtMs);
    const failed = spent === 'nothing' ? reservation.spent : spent;
    const real =
      typeof failed === 'object' ? failed.input + Math.max(0, failed.output - before) : failed;
    account.settle({ tokens, spent: real, nowMs: this.nowMs });
    this.noteLess(account);
    this.held.full.delete(account);
    this.held.improved(account);
  }

  private settleKey(waiting: WaitingRequest, spent: Spent): void {
    const { keyHold } = waiting;
    if (keyHold === null) return;
    waiting.keyHold = null;
    this.keys.settle(keyHold, { spent, nowMs: this.nowMs });
  }

  private accountOf(request: RoutedRequest, name: AccountName): ProjectAccount {
    const { id } = request.project;
    const ofProject = this.projects.get(id);
    const known = ofProject?.[name];
    if (known !== undefined) return known;
    this.sweepIdle();
    const { lease, nowMs } = this;
    const ownership = name === 'own' ? 'own' : 'shared';
    const figures = this.figuresOf(name);
    const account = new ProjectAccount({ ownership, figures, lease, nowMs });
    this.projects.set(id, { ...this.projects.get(id), [name]: account });
    this.accounts += 1;
    return account;
  }

  private figuresOf(name: AccountName): LimitFigures {
    if (name === 'own') {
      const concurrent = this.tiers.self_hosted.concurrentPerProject;
      return { requestsPerMinute: null, tokensPerMinute: null, concurrent, burst: 1 };
    }
    const { requestsPerMinute, tokensPerMinute, concurrentPerProject } = this.tiers[name];
    const concurrent = concurrentPerProject;
    return { requestsPerMinute, tokensPerMinute, concurrent, burst: burstOfMinute };
  }

  /** R6: accounts that say nothing are dropped each time that their number has doubled. */
  private sweepIdle(): void {
    if (this.accounts < this.sweepAt) return;
    for (const [id, accounts] of this.projects) {
      const busy = Object.entries(accounts).filter(([, account]) => !account.isIdle(this.nowMs));
      if (busy.length === 0) this.projects.delete(id);
      else this.projects.set(id, Object.fromEntries(busy));
      this.accounts -= Object.keys(accounts).length - busy.length;
    }
    this.sweepAt = Math.max(minLimitAccounts, this.accounts * 2);
  }
}

function sizeOf({ endpoint, model, bodyBytes, maxTokens, abilities }: RoutedRequest): RequestSize {
  const { contextLength } = model;
  const hasMedia = abilities.includes('image') || abilities.includes('audio');
  return { endpointId: endpoint.id, bodyBytes, maxTokens, contextLength, hasMedia };
}

/** An own agent counts for itself, a shared one for the tier that it serves on. */
function accountName(
  request: RoutedRequest,
  { agent, stage }: { agent: AgentEntry; stage: Stage },
): AccountName {
  if (ownershipOf(agent) === 'own') return 'own';
  return servingTier(request, stage) ?? request.endpoint.tier;
}
