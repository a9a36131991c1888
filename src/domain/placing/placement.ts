/**
 * What the scheduler knows and learns for its choices, in one place: the load of instances, what is
 * cached where, what projects were served. It is told of claims and of what becomes of them.
 *
 * Invariants
 * S1 Everything here follows from what it was told, in that order.
 */
import type { AgentEntry } from '../directory.ts';
import type { GrantedInstance } from '../scheduler/instancePools.ts';
import { ownershipOf, type Ownership, type RoutedRequest } from '../agents/matching.ts';
import {
  measureFor,
  type Claim,
  type EngineInstance,
  type Usage,
  type WaitingRequest,
} from '../scheduler/schedulerState.ts';
import type { TierSlug, TierTable } from '../tiers/tiers.ts';
import {
  addFlow,
  answerCharge,
  charge,
  FairQueue,
  forgive,
  promptCharge,
  valueOf,
  type FairAccount,
} from '../waiting/fairQueue.ts';
import { InstanceLoad, type RoomFigures, type Order, type Work } from './instanceLoad.ts';
import type { PredictorGauges } from '../prediction/latencyModel.ts';
import { ModelMemory } from './modelMemory.ts';
import {
  correctCapacity,
  nothingHeld,
  PrefixIndex,
  type CacheAccount,
  type ScopedPrompt,
  type Sent,
} from './prefixIndex.ts';

/** What a claim does on its instance, and what its project is charged for it. */
export interface Placed {
  work: Work;
  /** Null: nothing is known of what its prompt shares with others. */
  sent: Sent | null;
  /** Null: an own agent serves, which is charged to nobody. */
  fair: {
    account: FairAccount;
    weight: number;
    flow: number;
    charged: number;
    /** What its client got of an answer that broke, in tokens: that was served, whoever goes on. */
    written: number;
    /** F2: somebody of another project waited whom the instance could have served instead. */
    wasWanted: boolean;
  } | null;
}

/** Prompt tokens that a second of waiting is worth, per token that is computed in a second. */
const ageing = 0.015;
/** Ms per token of an answer, where nothing is known. */
export const tpotUnknownMs = 30;

/** What a scheduler has learned, as figures. */
export interface Learned {
  /** How good predictions were lately; null: there were none. */
  predictor: PredictorGauges | null;
  /** Blocks of prompts that are known to be with somebody. */
  prefixBlocks: number;
  room: RoomFigures;
}

export class Placement {
  private readonly tiers: TierTable;
  private readonly fair = new FairQueue();
  private readonly index = new PrefixIndex();
  private readonly models = new ModelMemory();
  private readonly instances = new WeakMap<CacheAccount, EngineInstance>();

  constructor(tiers: TierTable) {
    this.tiers = tiers;
  }

  gauges(): Omit<Learned, 'room'> {
    return { predictor: this.models.gauges(), prefixBlocks: this.index.size };
  }

  /** The load of an instance that is granted for the first time, until it is `withdrawn`. */
  begin(agent: AgentEntry, granted: GrantedInstance): InstanceLoad {
    const { holdsTokens = null } = granted;
    return new InstanceLoad(this.models.grant(agent, granted), holdsTokens);
  }

  /** It is not granted any more. What was learned of it is for the one that comes in its place. */
  withdrawn({ load }: EngineInstance): void {
    this.models.left(load.model);
  }

  /** It is granted again, after all; meanwhile another one may have taken what was learned. */
  cameBack({ load, agent }: EngineInstance, granted: GrantedInstance): void {
    load.model = this.models.grant(agent.entry, granted);
  }

  /** From here on it is found by what it holds. */
  attach(instance: EngineInstance): void {
    this.instances.set(instance.load.cache, instance);
  }

  /** Instances that should hold the beginning of a prompt. */
  holders(waiting: WaitingRequest): EngineInstance[] {
    const { prompt } = waiting;
    if (prompt === null) return [];
    return [...this.index.holders(prompt)].flatMap((account) => this.instances.get(account) ?? []);
  }

  /** Prompt tokens that have to be computed where most of them are held, by who serves. */
  leastOwn({ request, measures, prompt }: WaitingRequest): Record<Ownership, number> {
    const { own, shared } = measures;
    const most = { own: 0, shared: 0 };
    for (const account of prompt === null ? [] : this.index.holders(prompt)) {
      const instance = this.instances.get(account);
      if (prompt === null || instance === undefined) continue;
      const who = ownershipOf(instance.agent.entry);
      most[who] = Math.max(most[who], this.index.held(account, prompt).blocks);
    }
    return {
      own: ownTokens(request, { all: own.tokens.prompt, heldBlocks: most.own }),
      shared: ownTokens(request, { all: shared.tokens.prompt, heldBlocks: most.shared }),
    };
  }

  /** Prompt tokens that an instance would have to compute. */
  ownTokens(waiting: WaitingRequest, instance: EngineInstance): number {
    const { request, prompt } = waiting;
    const { prompt: all } = measureFor(waiting, instance).tokens;
    if (prompt === null) return all;
    const { blocks: heldBlocks } = this.index.held(instance.load.cache, prompt);
    return ownTokens(request, { all, heldBlocks });
  }

  /** What a request is to an instance. */
  order(waiting: WaitingRequest, instance: EngineInstance): Order {
    const { request, prompt } = waiting;
    const { prompt: all, answer } = measureFor(waiting, instance).tokens;
    const { cache } = instance.load;
    const expected = prompt === null ? nothingHeld : this.index.held(cache, prompt);
    return {
      prompt: all,
      own: ownTokens(request, { all, heldBlocks: expected.blocks }),
      expected,
      answer,
      streams: request.stream !== false,
    };
  }

  /** F1: it waits or runs on shared agents from now on, until `left`. */
  private entered(waiting: WaitingRequest, nowMs: number): void {
    waiting.fair ??= this.fair.enter(waiting.request.project.id, nowMs);
  }

  /** F3: it waits for shared agents from now on, until `waitsNoMore`. */
  waits(waiting: WaitingRequest, nowMs: number): void {
    this.entered(waiting, nowMs);
    if (waiting.fair === null || waiting.waitsIn !== null) return;
    waiting.waitsIn = waiting.fair;
    this.fair.waits(waiting.fair, nowMs);
  }

  /** F2: its project and another one wait in the same queue from now on. */
  meets({ fair }: WaitingRequest, nowMs: number): void {
    if (fair !== null) this.fair.meets(fair, nowMs);
  }

  waitsNoMore(waiting: WaitingRequest): void {
    if (waiting.waitsIn !== null) this.fair.waitsNoMore(waiting.waitsIn);
    waiting.waitsIn = null;
  }

  /**
   * An attempt has failed. What it is charged goes back, but for what it has `written` of the
   * answer, so that its project has its turn again; for good only with an answer from another
   * agent, unless it is `blameless`. Else who sends what makes agents fail would have them for
   * nothing.
   */
  failed(
    { placed, waiting }: Claim,
    how: { written: number; blameless: boolean; nowMs: number },
  ): void {
    const { written, blameless, nowMs } = how;
    const { fair } = placed;
    if (fair === null) return;
    fair.written = written;
    if (blameless || !fair.wasWanted) return;
    const taken = fair.charged + flowedOf(placed, nowMs) - answerCharge(written) / fair.weight;
    waiting.lostCharge += Math.max(0, taken);
  }

  /** The request ends without an answer. */
  unanswered({ fair, lostCharge }: WaitingRequest): void {
    if (fair !== null) charge(fair, lostCharge);
  }

  /** The request has its outcome. */
  left(waiting: WaitingRequest, nowMs: number): void {
    if (waiting.fair !== null) this.fair.leave(waiting.fair, nowMs);
    waiting.fair = null;
  }

  counterOf({ fair }: WaitingRequest, nowMs: number): number {
    return fair === null ? 0 : valueOf(fair, nowMs);
  }

  /** The same, as it would be if it began to wait for shared agents now. */
  entryOf({ projectId }: WaitingRequest, nowMs: number): number {
    return this.fair.entryOf(projectId, nowMs);
  }

  /** A slot is claimed: the instance is told, and its project charged for the prompt. */
  claimed(
    waiting: WaitingRequest,
    where: { instance: EngineInstance; tier: TierSlug; nowMs: number },
  ): Placed {
    const { instance, tier, nowMs } = where;
    const order = this.order(waiting, instance);
    const work = instance.load.dispatch(order, nowMs);
    const { prompt } = waiting;
    const sent = prompt === null ? null : this.index.sent(instance.load.cache, prompt);
    this.learnAgeing(instance, work);
    if (instance.agent.entry.projectId !== null) return { work, sent, fair: null };
    this.entered(waiting, nowMs);
    const { fair: account } = waiting;
    if (account === null) return { work, sent, fair: null };
    const weight = this.tiers[tier].priority;
    const cached = order.prompt - order.own;
    const charged = promptCharge({ input: order.prompt, cached }) / weight;
    charge(account, charged);
    return {
      work,
      sent,
      fair: { account, weight, flow: 0, charged, written: 0, wasWanted: false },
    };
  }

  firstByte({ placed, instance }: Claim, nowMs: number): void {
    const { work, fair } = placed;
    instance.load.firstByte(work, nowMs);
    if (fair === null || fair.flow > 0 || work.phase !== 'decode') return;
    const { running, held } = work.load;
    const tpotMs = instance.load.model.tpotMs({ running: running + 1, held }) ?? tpotUnknownMs;
    fair.flow = answerCharge(1) / Math.max(1, tpotMs) / fair.weight;
    addFlow(fair.account, fair.flow, nowMs);
  }

  /**
   * The slot is free. What the claim was charged becomes what it came to; where no other project
   * wanted it, that is forgiven (F2).
   */
  ended({ placed, instance, spent, waiting }: Claim, nowMs: number): void {
    const { work, fair } = placed;
    const usage = typeof spent === 'string' ? null : spent;
    const flowed = flowedOf(placed, nowMs);
    instance.load.ended(work, { nowMs, output: usage === null ? null : ownOutput(usage) });
    if (usage !== null) this.learnCache(instance, { waiting, work, usage });
    if (fair === null) return;
    addFlow(fair.account, -fair.flow, nowMs);
    const charged = fair.charged + flowed;
    // An engine that said no has computed nothing, but a turn was taken from those who waited.
    const hadItsTurn = spent === 'reserved' || (usage !== null && isNothing(usage));
    const served = usage === null ? answerCharge(fair.written) : chargeOf(usage, work);
    const real = hadItsTurn ? charged : served / fair.weight;
    charge(fair.account, real - charged);
    if (!fair.wasWanted) forgive(fair.account, real);
  }

  /** No engine was given what was claimed: the instance does not have its prompt. */
  neverRan({ placed: { sent } }: Claim): void {
    if (sent !== null) this.index.takeBack(sent);
  }

  private learnCache(
    { load }: EngineInstance,
    what: { waiting: WaitingRequest; work: Work; usage: Usage },
  ): void {
    const { waiting, work, usage } = what;
    load.found(work, usage.cached ?? work.prompt - work.own);
    const perBlock = tokensPerBlock(waiting.request, work.prompt);
    if (perBlock === 0) return;
    this.index.wrote(load.cache, usage.output / perBlock);
    const { prompt } = waiting;
    if (prompt !== null) this.index.settled(load.cache, prompt);
    if (usage.cached === undefined) return;
    correctCapacity(load.cache, { expected: work.expected, reported: usage.cached / perBlock });
  }

  /** How fast prompts are computed decides how much waiting is worth. */
  private learnAgeing(instance: EngineInstance, { prefillMs }: Work): void {
    if (instance.load.model.prefillMs({ prompt: 1, own: 1 }) === null) return;
    const msPerToken = instance.load.msPerToken();
    if (!(prefillMs > 0) || !(msPerToken > 0)) return;
    for (const pool of instance.pools) pool.waiting.age(ageing / msPerToken);
  }
}

/** Before weights. What others had written of the answer is theirs. */
function chargeOf(usage: Usage, { prompt, own }: Work): number {
  const { input, cached = prompt - own } = usage;
  return promptCharge({ input, cached }) + answerCharge(ownOutput(usage));
}

const isNothing = ({ input, output }: Usage): boolean => input + output === 0;

/** What a claim was charged for its answer so far, by predicted time per token. */
function flowedOf({ work, fair }: Placed, nowMs: number): number {
  return (fair?.flow ?? 0) * (nowMs - (work.firstByteAtMs ?? nowMs));
}

/** Null where nothing is known of what its prompt shares with others. */
export function scopedPrompt({ project, model, prompt }: RoutedRequest): ScopedPrompt | null {
  if (prompt === undefined || prompt.blocks.length === 0) return null;
  return { scope: `${project.id}|${model.sha256 ?? model.id}`, blocks: prompt.blocks };
}

/** Estimated: the tokens of a body (`all`) are spread evenly over its bytes. */
function tokensPerBlock({ prompt, bodyBytes }: RoutedRequest, all: number): number {
  if (prompt === undefined || bodyBytes === 0) return 0;
  return (prompt.blockBytes * all) / bodyBytes;
}

function ownTokens(
  request: RoutedRequest,
  { all, heldBlocks }: { all: number; heldBlocks: number },
): number {
  if (heldBlocks === 0) return all;
  // An engine computes the last token of a prompt in any case.
  return Math.max(1, Math.round(all - heldBlocks * tokensPerBlock(request, all)));
}

/** What this very engine has written of an answer. */
export const ownOutput = ({ output, delivered = 0 }: Usage): number =>
  Math.max(0, output - delivered);
