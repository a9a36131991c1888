/**
 * What the scheduler knows of failures: who is passed over for a while because it failed, and for
 * whom; how long a stream may say nothing before it has stalled.
 *
 * Invariants
 * F1 An agent that is not clear is passed over only while another candidate exists in a stage that
 *    the request may still reach, open yet or not: granted, able, not tried, and closer to clear.
 *    Whether it is busy makes no difference: it will be free, and the other one failed. One that a
 *    limit or a budget keeps from the request is no candidate (`reach`).
 * F5 A second process in a row that was lost with requests under way is a strike against the next
 *    one: in a crash loop an agent would begin clear, and be the idlest, again and again.
 * F4 A request that fails at every agent that tries it, two at least, is held against none of them:
 *    it may be the fault of what it asks for, and others share these agents.
 */
import { hasAbilities } from '../agents/matching.ts';
import {
  measureFor,
  type Claim,
  type EngineInstance,
  type KnownAgent,
  type WaitingRequest,
} from '../scheduler/schedulerState.ts';
import { readyInstances, triedKey, type Fleet } from '../scheduler/verdict.ts';
import type { LimitBook } from '../quotas/limitBook.ts';
import { tpotUnknownMs } from '../placing/placement.ts';
import { Others } from './others.ts';
import { severityOf, type PenaltyBox } from './penaltyBox.ts';
import { TokenTimes } from './tokenTimes.ts';

/**
 * How an agent did with a request; undefined says nothing of the agent. `silent`: its time was up,
 * and meanwhile its engine had said nothing to anybody. That is bad, unless it had so much to do.
 */
export type Health = 'good' | 'bad' | 'silent' | undefined;

/** How a request would be taken away from an agent that is slow. */
export interface Moving {
  /** What the next agent has to be able to do, beyond what was asked for. */
  abilities: readonly string[];
  /** The client has got a part of its answer from this agent: attempts count anew. */
  isNewBreak: boolean;
}

export class FailureBook {
  readonly penalties: PenaltyBox<KnownAgent>;
  readonly others: Others;
  private readonly fleet: Fleet;
  private readonly limits: LimitBook;
  private readonly times = new WeakMap<EngineInstance, TokenTimes>();
  private nowMs = 0;

  constructor(fleet: Fleet, limits: LimitBook) {
    this.fleet = fleet;
    this.limits = limits;
    this.penalties = fleet.penalties;
    this.others = new Others(fleet, limits);
  }

  /** The time of everything that follows. Gives the instances of those whose time is over. */
  advance(nowMs: number): readonly EngineInstance[] {
    this.nowMs = nowMs;
    this.others.advance(nowMs);
    if (this.penalties.nextWakeMs() > nowMs) return none;
    return this.penalties.advance(nowMs).flatMap((agent) => [...agent.instances.values()]);
  }

  /**
   * An attempt is over. Gives the instances that are no longer passed over because of it. What an
   * earlier life of an agent did says nothing of this one.
   */
  judge(claim: Claim, said: Health): readonly EngineInstance[] {
    const { instance, life, waiting } = claim;
    const { agent } = instance;
    const health = said === 'silent' ? this.healthOfSilence(claim) : said;
    if (health === undefined || life !== agent.life || agent.nonce === null) return none;
    if (health === 'bad') {
      waiting.failedAt.add(agent.entry.id);
      if (this.penalties.failed(agent, this.nowMs)) waiting.strikes.push({ agent, life });
    }
    if (health === 'good') agent.crashes = 0;
    const isClear = health === 'good' && this.penalties.clear(agent);
    if (health === 'bad') this.others.failed(agent);
    else this.others.improved();
    return isClear ? [...agent.instances.values()] : none;
  }

  /** F4. A request has failed for good. Gives the instances that may have more work now. */
  forgive({ strikes, failedAt }: WaitingRequest): readonly EngineInstance[] {
    if (failedAt.size < 2) return none;
    const forgiven = strikes
      .splice(0)
      .filter(
        ({ agent, life }) => agent.life === life && this.penalties.forgive(agent, this.nowMs),
      );
    this.others.improved();
    return forgiven.flatMap(({ agent }) => [...agent.instances.values()]);
  }

  /**
   * Those of all agents that are not clear: the last of the others may have gone (F2). In groups of
   * which each is passed over by the same requests: where one is by all, the others are, too.
   */
  groups(): Iterable<readonly EngineInstance[]> {
    const groups = new Map<string, EngineInstance[]>();
    for (const agent of this.penalties.agents()) {
      const standing = this.penalties.standing(agent, this.nowMs);
      const proves = standing === 'proving' && isIdle(agent);
      for (const instance of agent.instances.values()) {
        const pools = instance.pools.map(({ key }) => key);
        const key = [standing, proves, instance.abilities.join(), ...pools].join('|');
        const known = groups.get(key);
        if (known === undefined) groups.set(key, [instance]);
        else known.push(instance);
      }
    }
    return groups.values();
  }

  /** Whether this request is to pass over this instance (F1). */
  passesOver(waiting: WaitingRequest, instance: EngineInstance): boolean {
    const severity = this.severityNow(instance);
    return severity !== null && this.others.exist(waiting, { severity });
  }

  /** How far from clear; null: nobody passes over it. */
  severityNow({ agent }: EngineInstance): number | null {
    const standing = this.penalties.standing(agent, this.nowMs);
    if (standing === 'clear' || (standing === 'proving' && isIdle(agent))) return null;
    return severityOf[standing];
  }

  /**
   * Whether somebody else is free to go on with what this claim serves, and it may be tried once
   * more. Where nobody is, a slow agent is better than a place in line.
   */
  couldMove(claim: Claim, moving: Moving): boolean {
    const { instance, waiting } = claim;
    const { agent } = instance;
    if (!moving.isNewBreak && waiting.tried.length >= waiting.maxRetries) return false;
    const { nowMs } = this;
    const tried = [...waiting.tried, triedKey(agent)];
    const abilities = [...waiting.request.abilities, ...moving.abilities];
    const request = { ...waiting.request, abilities };
    const delivered = moving.isNewBreak ? (waiting.delivered ?? 0) : waiting.delivered;
    const moved = { ...waiting, tried, request, delivered, left: claim };
    for (const stage of waiting.stages) {
      for (const one of readyInstances(this.fleet, request, [stage])) {
        if (tried.includes(triedKey(one.agent))) continue;
        if (!hasAbilities(one.abilities, { asked: abilities })) continue;
        if (!isOpenTo(moved, { instance: one, nowMs }) || this.passesOver(moved, one)) continue;
        if (this.limits.allows(moved, { agent: one.agent.entry, stage })) return true;
      }
    }
    return false;
  }

  /** The slot of a claim is free; `output`: tokens of its answer that its engine has told. */
  noteAnswer({ instance, placed }: Claim, output: number): void {
    const { firstByteAtMs, streams } = placed.work;
    if (!streams || firstByteAtMs === null || output < 2) return;
    const known = this.times.get(instance) ?? new TokenTimes();
    this.times.set(instance, known);
    known.note((this.nowMs - firstByteAtMs) / (output - 1));
  }

  /** The gap between two chunks of this instance that is a stall, in ms. */
  stallMs(instance: EngineInstance): number {
    return (this.times.get(instance) ?? unknown).stallMs;
  }

  /**
   * Nothing, where computing all prompts before this one, its own and, if it does not stream, its
   * answer may take as long as it was given.
   */
  private healthOfSilence({ instance, waiting, placed: { work }, startedAtMs }: Claim): Health {
    const { usual, prompt } = measureFor(waiting, instance).tokens;
    const tokenMs = instance.load.model.tpotMs(work.load) ?? tpotUnknownMs;
    const answerMs = work.streams ? 0 : (usual - prompt) * tokenMs;
    return work.explainedMs + answerMs < this.nowMs - startedAtMs ? 'bad' : undefined;
  }
}

/** It has a free slot, room and little to do. */
function isOpenTo(
  waiting: WaitingRequest,
  { instance, nowMs }: { instance: EngineInstance; nowMs: number },
): boolean {
  const { pools, load } = instance;
  const { tokens } = measureFor(waiting, instance);
  return (
    pools.some(({ open }) => open.has(instance)) && load.hasRoom(tokens, { room: 'of_use', nowMs })
  );
}

const unknown = new TokenTimes();
const none: readonly EngineInstance[] = [];

function isIdle(agent: KnownAgent): boolean {
  for (const { inFlight } of agent.instances.values()) if (inFlight > 0) return false;
  return true;
}
