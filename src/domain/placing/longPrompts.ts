/**
 * Where the long prompts of a pool may go. An engine computes prompts one after the other, and what
 * comes to it behind a long one waits for all of that. Where long prompts may go anywhere, a few of
 * them hold up everybody, and each takes the place of what the machine had cached. So, while more
 * is asked for than the instances can do and others have to wait, long ones are kept to some
 * instances, and whatever is short has the rest to itself: assignment by intervals of size
 * (Harchol-Balter, Crovella and Murta, 1999), with a border and a number of instances that follow
 * what is asked for.
 *
 * To how many: to so many that `waitingShare` of all others have to wait. Each of those that waits
 * takes a little away from the long ones, each that does not gives a little back.
 *
 * More than they can do: computing what came lately would keep all of them at work, with as many to
 * spare for the short ones as keep most of these from waiting (square-root staffing: Halfin and
 * Whitt, 1981). Bursts that are soon over are best served as they come.
 *
 * Invariants
 * B1 Long prompts always have an instance, and none is kept from the others for longer than
 *    `patience` times what computing it takes.
 * B2 Who may have long prompts changes with what happens here and with nothing else. `true` says
 *    that somebody more may: whoever is kept has to be looked at again.
 */
import { longPromptTokens } from '../scheduler/limits.ts';

/** A prompt with so many times the usual tokens to be computed is long. */
const timesUsual = 5;
/** The part of all others that may find no instance when they come. */
const waitingShare = 0.07;
/** What one of them moves, as a part of the instances. */
const step = 0.0025;
/** Weight of the newest prompt in what is usual. */
const newestWeight = 0.01;
/** Weight of the newest long prompt in how fast such are computed. */
const paceWeight = 0.1;
/** An instance that takes less than this part of the usual time may have them in any case. */
const muchFaster = 0.75;
/** What counts as having come lately, in ms. */
const latelyMs = 120_000;
/** A long prompt takes so many times as long as by itself: others are answered meanwhile. */
const longWork = 1.2;
/** B1: who has waited for so many times what it takes may go anywhere. */
export const patience = 2;

/** A request that came: what of its prompt has to be computed, as far as is known then. */
export interface Offered {
  tokens: number;
  /** What computing them takes. */
  ms: number;
  /** It found no instance. */
  waits: boolean;
}

export class LongPrompts<Instance extends object> {
  /** Those that took long prompts, the one that took the last one last. */
  private readonly takers = new Set<Instance>();
  /** The part of the instances that may take them. */
  private part = 1;
  /** Tokens to be computed, in the mean; 0: none were seen. */
  private usual = 0;
  /** What a token of a long prompt takes, in the mean, in ms; 0: none was taken. */
  private pace = 0;
  /** The same of any prompt, by instance, when it took the last one. */
  private readonly paces = new Map<Instance, number>();
  /** What came lately keeps so many instances at work. */
  private readonly work = { short: 0, long: 0, atMs: 0 };
  private demand: 'met' | 'exceeding' = 'met';
  /** Somebody was kept since it was last asked who is; else nobody need be asked. */
  keeps = false;

  /** From how many tokens to be computed a prompt is long here. */
  get fromTokens(): number {
    return this.usual === 0 ? Infinity : Math.max(longPromptTokens, timesUsual * this.usual);
  }

  /** How many of so many instances may take long prompts. */
  most(instances: number): number {
    if (this.demand === 'met') return instances;
    return Math.max(1, Math.ceil(this.part * instances));
  }

  /** Whether this one of so many may. */
  admits(instance: Instance, instances: number): boolean {
    if (this.takers.has(instance) || this.takers.size < this.most(instances)) return true;
    return this.isFaster(instance);
  }

  private isFaster(instance: Instance): boolean {
    return (this.paces.get(instance) ?? Infinity) < muchFaster * this.pace;
  }

  /** Somebody came. B2 */
  came(offered: Offered, { instances, nowMs }: { instances: number; nowMs: number }): boolean {
    const { tokens, ms, waits } = offered;
    const before = this.most(instances);
    const isLong = tokens >= this.fromTokens;
    if (!isLong) {
      const moved = this.part + step * (waits ? waitingShare - 1 : waitingShare);
      this.part = Math.min(1, Math.max(0, moved));
    }
    const { short, long } = this.count(ms, { isLong, nowMs });
    const needed = longWork * long + short + Math.sqrt(short);
    this.demand = needed > instances ? 'exceeding' : 'met';
    const most = this.most(instances);
    this.keep(most);
    return most > before;
  }

  private count(ms: number, of: { isLong: boolean; nowMs: number }): LongPrompts<Instance>['work'] {
    const { work } = this;
    const left = Math.exp((work.atMs - of.nowMs) / latelyMs);
    work.short *= left;
    work.long *= left;
    work[of.isLong ? 'long' : 'short'] += ms / latelyMs;
    work.atMs = of.nowMs;
    return work;
  }

  /** An instance takes a prompt of which so many tokens have to be computed. B2 */
  took(
    instance: Instance,
    { tokens, instances, msPerToken }: { tokens: number; instances: number; msPerToken: number },
  ): boolean {
    const isLong = tokens >= this.fromTokens;
    const wasFaster = this.isFaster(instance);
    this.paces.set(instance, msPerToken);
    if (this.usual === 0) this.usual = tokens;
    else this.usual += newestWeight * (tokens - this.usual);
    if (!isLong) return !wasFaster && this.isFaster(instance);
    const known = this.pace;
    this.pace = known === 0 ? msPerToken : known + paceWeight * (msPerToken - known);
    this.takers.delete(instance);
    this.takers.add(instance);
    this.keep(this.most(instances));
    return this.pace > known;
  }

  /** Of the takers the last so many. */
  private keep(most: number): void {
    for (const oldest of this.takers) {
      if (this.takers.size <= most) return;
      this.takers.delete(oldest);
    }
  }

  /** An instance has gone. B2 */
  left(instance: Instance): boolean {
    this.paces.delete(instance);
    return this.takers.delete(instance);
  }
}
