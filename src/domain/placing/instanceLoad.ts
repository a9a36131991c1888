/**
 * What one engine instance has to do, by the router's own account: brought up to date in the moment
 * of each choice, never by what the instance says of itself, which is old.
 *
 * Prompts are computed one after the other. Their work is kept as the time at which the last of
 * them will be done; a first byte says that those before it are done, too.
 *
 * Invariants
 * S2 An instance without a prompt under way is never closed by its backlog.
 */
import {
  pairsOf,
  type LatencyModel,
  type Load,
  type Prediction,
  type Prefill,
} from '../prediction/latencyModel.ts';
import { backlogBoundMs, backlogBoundTokens } from '../scheduler/limits.ts';
import { newCacheAccount, type Held } from './prefixIndex.ts';
import { RoomLearner } from './roomLearner.ts';

/** What a request is to an instance. */
export interface Work {
  /** Tokens of its prompt. */
  prompt: number;
  /** Those that have to be computed. */
  own: number;
  /** What the instance should have of the prompt. */
  expected: Held;
  /** Tokens that its answer will probably have. */
  answer: number;
  /** It streams: its first byte is seen. */
  streams: boolean;
  /** As it was when the request was dispatched. */
  load: Load;
  prediction: Prediction | null;
  /** Computing its prompt, alone. */
  prefillMs: number;
  /** The same if nothing of it were cached. */
  wholeMs: number;
  /** All prompts ahead and its own, if nothing of them were cached. */
  explainedMs: number;
  /** Tokens in flight with it. */
  given: number;
  /** One that came after it had its first byte before: it does not wait for memory. */
  overtaken: boolean;
  dispatchedAtMs: number;
  firstByteAtMs: number | null;
  phase: 'prefill' | 'decode' | 'over';
}

/** What an instance needs to know to take a request on. */
export type Order = Pick<Work, 'prompt' | 'own' | 'expected' | 'answer' | 'streams'>;
type Sizes = Pick<Order, 'prompt' | 'answer'>;

/**
 * `of_use`: what the instance can make use of. `fair`: a little more, for the project whose turn it
 * is, so that small requests of others do not take all that large ones of it wait for. `any`: what
 * there is.
 */
export type Room = 'of_use' | 'fair' | 'any';

const fairPart = 1.15;
/** Of the answers under way more are long than of all: they are under way for longer. */
const longerUnderWay = 1.3;
/** Ms for each token of a prompt, where nothing is known. */
const msPerTokenUnknown = backlogBoundMs / backlogBoundTokens;
/** Weight of the newest answer in one piece in what computing a prompt takes at most. */
const mostWeight = 0.1;
/** Weight of the newest prompt in what is usual for this instance. */
const usualWeight = 0.05;
/** Where prompts take long, the next one is given so much of what is usual ahead of time. */
const usualPart = 0.25;
/** An instance that is behind what was predicted has as much to do as this part of its delay. */
const latePart = 0.15;
/** Answers shorter than this say little about the time between tokens. */
const minAnswerTokens = 8;

/** Tokens of prompts and answers in flight, and how many are of use (`Infinity`: not known). */
export interface RoomFigures {
  used: number;
  ofUse: number;
}

export class InstanceLoad {
  /** Changes only when it is granted again after it was not (M1). */
  model: LatencyModel;
  readonly cache = newCacheAccount();
  private readonly room: RoomLearner;
  /** Tokens of prompts and answers in flight, as they were estimated. */
  private given = 0;
  /** While it is closed by its backlog: when it opens, by what is predicted. For a heap. */
  wakeAtMs = Infinity;
  heapIndex = -1;
  /** In the order in which they were dispatched. */
  private readonly pending = new Set<Work>();
  private oldest: Work | undefined;
  private pendingTokens = 0;
  private pendingPairs = 0;
  private pendingMs = 0;
  /** The same if nothing of their prompts were cached. */
  private pendingWholeMs = 0;
  private doneAtMs = 0;
  private running = 0;
  private held = 0;
  /** How long computing a prompt usually takes here. */
  private usualMs = 0;
  /**
   * What a token of a prompt takes at most, while no stream has told: an answer in one piece says
   * only that its prompt was computed before it came.
   */
  private mostMsPerToken = msPerTokenUnknown;

  /** @param holds Tokens that the engine says that it holds; null: it does not say. */
  constructor(model: LatencyModel, holds: number | null) {
    this.model = model;
    this.room = new RoomLearner(holds);
  }

  /** Requests whose prompts are being computed, and those that decode. */
  get inFlight(): number {
    return this.pending.size + this.running;
  }

  /** Whether it has room for one more. */
  hasRoom(more: Sizes, { room, nowMs }: { room: Room; nowMs: number }): boolean {
    if (room === 'any' || this.given === 0) return true;
    const { oldest } = this;
    if (oldest?.streams === true && !oldest.overtaken) {
      const { explainedMs } = oldest;
      const measuredMs = nowMs - oldest.dispatchedAtMs;
      // What has ended meanwhile has made room: then it hangs for another reason.
      const given = Math.min(this.given, oldest.given);
      if (this.room.isOverdue({ measuredMs, explainedMs, given })) return false;
    }
    const bound = this.room.bound * (room === 'fair' ? fairPart : 1);
    return this.given + tokensUnderWay(more) <= bound;
  }

  roomFigures(): RoomFigures {
    return { used: this.given, ofUse: this.room.bound };
  }

  /** Prompt tokens that are still to be computed. */
  aheadTokens(nowMs: number): number {
    return this.pendingTokens * this.leftPart(nowMs);
  }

  /** The part of what is pending that is left to do. */
  private leftPart(nowMs: number): number {
    if (this.pendingMs <= 0) return 0;
    return Math.min(1, this.backlogMs(nowMs) / this.pendingMs);
  }

  /** How long computing them will take. */
  backlogMs(nowMs: number): number {
    if (this.pending.size === 0) return 0;
    const predicted = this.doneAtMs - nowMs;
    const { oldest } = this;
    const late = oldest?.streams === true ? latePart * (nowMs - oldest.dispatchedAtMs) : 0;
    return Math.max(0, predicted, late);
  }

  /** When its backlog lets it take the next one: now or earlier where it does. */
  opensAtMs(): number {
    if (this.pending.size === 0) return -Infinity;
    return this.doneAtMs - Math.max(backlogBoundMs, this.usualMs * usualPart);
  }

  /** What a request would find here. */
  loadFor(prefill: Prefill, nowMs: number): Load {
    const { own } = prefill;
    const left = this.leftPart(nowMs);
    return {
      ahead: this.pendingTokens * left,
      own,
      aheadPairs: this.pendingPairs * left,
      ownPairs: pairsOf(prefill),
      running: this.running,
      held: this.held,
    };
  }

  prefillMs(prefill: Prefill): number {
    return this.model.prefillMs(prefill) ?? prefill.own * this.mostMsPerToken;
  }

  /** How fast it computes prompts of usual length. */
  msPerToken(): number {
    return this.prefillMs({ prompt: 1000, own: 1000 }) / 1000;
  }

  dispatch(order: Order, nowMs: number): Work {
    const { own } = order;
    const load = this.loadFor(order, nowMs);
    const prefillMs = this.prefillMs(order);
    const wholeMs = this.prefillMs({ prompt: order.prompt, own: order.prompt });
    const explainedMs = this.pendingWholeMs + wholeMs;
    const work: Work = {
      ...order,
      load,
      prediction: order.streams ? this.model.predict(load) : null,
      prefillMs,
      wholeMs,
      explainedMs,
      given: this.given + tokensUnderWay(order),
      overtaken: false,
      dispatchedAtMs: nowMs,
      firstByteAtMs: null,
      phase: 'prefill',
    };
    this.usualMs += usualWeight * (prefillMs - this.usualMs);
    this.doneAtMs = Math.max(this.doneAtMs, nowMs) + prefillMs;
    this.pending.add(work);
    this.oldest ??= work;
    this.given = work.given;
    this.pendingTokens += own;
    this.pendingPairs += load.ownPairs;
    this.pendingMs += prefillMs;
    this.pendingWholeMs += wholeMs;
    return work;
  }

  /** A first byte: of a stream it is the first token. */
  firstByte(work: Work, nowMs: number): void {
    if (work.phase !== 'prefill') return;
    if (this.oldest !== undefined && this.oldest !== work) this.oldest.overtaken = true;
    this.settlePrompt(work);
    work.phase = 'decode';
    work.firstByteAtMs = nowMs;
    this.running += 1;
    this.held += work.prompt + work.answer / 2;
    if (!work.streams) return this.takeBack(work, nowMs);
    // Those behind it are all that is left to do.
    let behindMs = 0;
    let isBehind = true;
    for (const one of this.pending) {
      if (one.dispatchedAtMs < work.dispatchedAtMs) isBehind = false;
      else behindMs += one.prefillMs;
    }
    if (isBehind || this.doneAtMs > nowMs + behindMs) this.doneAtMs = nowMs + behindMs;
    const measuredMs = nowMs - work.dispatchedAtMs;
    this.model.learnTtft(work.load, { measuredMs, predicted: work.prediction });
    const { explainedMs, given } = work;
    this.room.firstToken({ measuredMs, explainedMs, given, tokens: tokensUnderWay(work) });
  }

  /** Nothing of it runs here any more. `output`: tokens, where its engine has told them. */
  ended(work: Work, { nowMs, output }: { nowMs: number; output: number | null }): void {
    const { phase } = work;
    work.phase = 'over';
    if (phase !== 'over') this.given = Math.max(0, this.given - tokensUnderWay(work));
    if (phase !== 'over' && output !== null) this.boundPrefill(work, nowMs);
    if (phase === 'prefill') {
      this.settlePrompt(work);
      this.takeBack(work, nowMs);
    }
    if (phase !== 'decode') return;
    const load = { running: (work.load.running + this.running) / 2, held: this.held };
    this.running -= 1;
    this.held = this.running === 0 ? 0 : Math.max(0, this.held - work.prompt - work.answer / 2);
    if (output === null) return;
    if (!work.streams || output < minAnswerTokens || work.firstByteAtMs === null) return;
    this.model.learnTpot(load, (nowMs - work.firstByteAtMs) / (output - 1));
  }

  /** So many tokens of its prompt were cached. */
  found({ prompt }: Work, cached: number): void {
    this.room.found({ prompt, cached });
  }

  /** Nothing of it is left to do: whatever came ahead of time is gained. */
  private takeBack({ prefillMs }: Work, nowMs: number): void {
    this.doneAtMs = Math.max(nowMs, this.doneAtMs - prefillMs);
  }

  private boundPrefill({ streams, own, dispatchedAtMs }: Work, nowMs: number): void {
    if (streams || own <= 0) return;
    const bound = Math.min(msPerTokenUnknown, (nowMs - dispatchedAtMs) / own);
    this.mostMsPerToken += mostWeight * (bound - this.mostMsPerToken);
  }

  private settlePrompt(work: Work): void {
    if (!this.pending.delete(work)) return;
    if (this.oldest === work) [this.oldest] = this.pending;
    const isLast = this.pending.size === 0;
    this.pendingTokens = isLast ? 0 : Math.max(0, this.pendingTokens - work.own);
    this.pendingPairs = isLast ? 0 : Math.max(0, this.pendingPairs - work.load.ownPairs);
    this.pendingMs = isLast ? 0 : Math.max(0, this.pendingMs - work.prefillMs);
    this.pendingWholeMs = isLast ? 0 : Math.max(0, this.pendingWholeMs - work.wholeMs);
  }
}

/** A whole number: sums of others do not come back to zero. */
const tokensUnderWay = ({ prompt, answer }: Sizes): number =>
  Math.round(prompt + longerUnderWay * answer);
