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
import { agentExclusion, hasAbilities } from '../agents/matching.ts';
import {
  measureFor,
  type Claim,
  type EngineInstance,
  type KnownAgent,
  type WaitingRequest,
} from '../scheduler/schedulerState.ts';
import { reachableStages, readyInstances, triedKey, type Fleet } from '../scheduler/verdict.ts';
import type { LimitBook } from '../quotas/limitBook.ts';
import { tpotUnknownMs } from '../placing/placement.ts';
import { maxWitnesses } from './limits.ts';
import { severityOf, type PenaltyBox } from './penaltyBox.ts';
import { kindOf, opensToShared, reachOf } from './reach.ts';
import type { TokenNeed } from '../prediction/tokenEstimates.ts';
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
  private readonly fleet: Fleet;
  private readonly limits: LimitBook;
  private readonly times = new WeakMap<EngineInstance, TokenTimes>();
  /**
   * Who was found last for requests alike, and is looked at first: else each that waits would look
   * through the fleet for one that has not failed. And those for whom nobody was found just now.
   */
  private readonly witnesses = new Map<string, EngineInstance>();
  private readonly nobody = new Set<string>();
  /** What was found just now, by what requests have in common: each of many is asked of many. */
  private readonly found = new Map<string, Found>();
  private last: LastFound | null = null;
  private nowMs = 0;

  constructor(fleet: Fleet, limits: LimitBook) {
    this.fleet = fleet;
    this.limits = limits;
    this.penalties = fleet.penalties;
  }

  /** The time of everything that follows. Gives the instances of those whose time is over. */
  advance(nowMs: number): readonly EngineInstance[] {
    this.nowMs = nowMs;
    this.lookAnew();
    if (this.penalties.nextWakeMs() > nowMs) return none;
    return this.penalties.advance(nowMs).flatMap((agent) => [...agent.instances.values()]);
  }

  /** Who is there, or what limits let through, has changed. */
  lookAnew(): void {
    this.nobody.clear();
    this.found.clear();
    this.last = null;
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
    this.lookAnew();
    if (health === 'bad') {
      waiting.failedAt.add(agent.entry.id);
      if (this.penalties.failed(agent, this.nowMs)) waiting.strikes.push({ agent, life });
    }
    if (health === 'good') agent.crashes = 0;
    const isClear = health === 'good' && this.penalties.clear(agent);
    return isClear ? [...agent.instances.values()] : none;
  }

  /** F4. A request has failed for good. Gives the instances that may have more work now. */
  forgive({ strikes, failedAt }: WaitingRequest): readonly EngineInstance[] {
    if (failedAt.size < 2) return none;
    this.lookAnew();
    return strikes.splice(0).flatMap(({ agent, life }) => {
      const isOpen = agent.life === life && this.penalties.forgive(agent, this.nowMs);
      return isOpen ? [...agent.instances.values()] : [];
    });
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
    return severity !== null && this.hasOther(waiting, { severity });
  }

  /** How far from clear; null: nobody passes over it. */
  severityNow({ agent }: EngineInstance): number | null {
    const standing = this.penalties.standing(agent, this.nowMs);
    if (standing === 'clear' || (standing === 'proving' && isIdle(agent))) return null;
    return severityOf[standing];
  }

  /** Whether it was just found for one like it that there is somebody closer to clear than this. */
  isKnownToHaveOther(waiting: WaitingRequest, than: { severity: number }): boolean {
    if (!isLikeOthers(waiting)) return false;
    const { yes } = this.foundFor(waiting, than);
    return yes !== null && isWithin(waiting.measures, yes);
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

  private hasOther(waiting: WaitingRequest, than: { severity: number }): boolean {
    if (!isLikeOthers(waiting)) return this.findOther(waiting, than);
    const { measures } = waiting;
    const known = this.foundFor(waiting, than);
    // A limit that lets a request through lets a smaller one, too.
    if (known.yes !== null && isWithin(measures, known.yes)) return true;
    if (known.no !== null && isWithin(known.no, measures)) return false;
    const has = this.findOther(waiting, than);
    known[has ? 'yes' : 'no'] = measures;
    return has;
  }

  private foundFor(waiting: WaitingRequest, { severity }: { severity: number }): Found {
    const { endpoint, model, abilities, key } = waiting.request;
    const opens = opensToShared(waiting);
    // Those of one project are asked one after the other, and are mostly alike.
    const { last } = this;
    const isLast =
      last !== null &&
      last.severity === severity &&
      last.opens === opens &&
      last.endpointId === endpoint.id &&
      last.modelId === model.id &&
      last.keyId === key?.id &&
      (last.abilities === abilities || (abilities.length === 0 && last.abilities.length === 0));
    if (isLast) return last.found;
    const alike = { endpointId: endpoint.id, modelId: model.id, severity, opens, keyId: key?.id };
    const name = [...Object.values(alike), ...abilities].join('|');
    const found = this.found.get(name) ?? { yes: null, no: null };
    this.found.set(name, found);
    this.last = { ...alike, abilities, found };
    return found;
  }

  private findOther(waiting: WaitingRequest, { severity }: { severity: number }): boolean {
    const { request } = waiting;
    const { endpoint, model, abilities } = request;
    const reach = reachOf(waiting, { fleet: this.fleet, limits: this.limits });
    if (reach === 0) return false;
    const key = [endpoint.id, model.id, severity, reach, ...abilities].join('|');
    const witness = this.witnesses.get(key);
    const stages = reachableStages(request);
    const isStill =
      witness !== undefined &&
      this.isOther(waiting, { instance: witness, severity, reach }) &&
      stages.some((stage) => agentExclusion(witness.agent.entry, { request, stage }) === null);
    if (isStill) return true;
    // Of none it stays none while this event lasts, unless a request may not have all of them.
    if (this.nobody.has(key) && waiting.tried.length === 0) return false;
    for (const instance of readyInstances(this.fleet, request)) {
      if (!this.isOther(waiting, { instance, severity, reach })) continue;
      this.witnesses.set(key, instance);
      const oldest = this.witnesses.keys().next();
      if (this.witnesses.size > maxWitnesses && oldest.done !== true) {
        this.witnesses.delete(oldest.value);
      }
      return true;
    }
    if (waiting.tried.length === 0) this.nobody.add(key);
    return false;
  }

  private isOther(
    { request, tried }: WaitingRequest,
    than: { instance: EngineInstance; severity: number; reach: number },
  ): boolean {
    const { instance, severity, reach } = than;
    const { agent, abilities, slots, modelId, nonce } = instance;
    if ((kindOf(agent.entry) & reach) === 0) return false;
    if (slots === 0 || nonce !== agent.nonce || modelId !== request.model.id) return false;
    if (severityOf[this.penalties.standing(agent, this.nowMs)] >= severity) return false;
    if (tried.length > 0 && tried.includes(triedKey(agent))) return false;
    return hasAbilities(abilities, { asked: request.abilities });
  }
}

/** What was tried, or is held of a limit, is one request's own. */
const isLikeOthers = ({ tried, left, delivered }: WaitingRequest): boolean =>
  tried.length === 0 && left === null && delivered === null;

type Measures = WaitingRequest['measures'];

/** Requests, alike but for their sizes, for which there was somebody else, and for which not. */
interface Found {
  yes: Measures | null;
  no: Measures | null;
}

/** What requests for which it was found have in common. */
interface LastFound {
  endpointId: string;
  modelId: string;
  severity: number;
  opens: boolean;
  keyId: string | undefined;
  abilities: readonly string[];
  found: Found;
}

/** Whether it asks for no more of any limit. */
const isWithin = (one: Measures, other: Measures): boolean =>
  isNoMore(one.own.tokens, other.own.tokens) && isNoMore(one.shared.tokens, other.shared.tokens);

const isNoMore = (one: TokenNeed, other: TokenNeed): boolean =>
  one.prompt <= other.prompt && one.usual <= other.usual && one.least <= other.least;

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
