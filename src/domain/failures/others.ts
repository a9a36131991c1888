/**
 * Whether anybody else could serve a request, who is closer to clear than an agent that failed: for
 * the sake of these it is passed over (F1).
 *
 * Each of many that wait asks this of many agents. So who was found is remembered: a round lasts as
 * long as all of them stand, the fleet is what it was and limits let through no less. In a round
 * nobody for whom somebody was found has to be asked again (F2); and in one event, what was found
 * holds for those that are alike.
 */
import { agentExclusion, hasAbilities } from '../agents/matching.ts';
import type { TokenNeed } from '../prediction/tokenEstimates.ts';
import type { LimitBook } from '../quotas/limitBook.ts';
import type { EngineInstance, KnownAgent, WaitingRequest } from '../scheduler/schedulerState.ts';
import { reachableStages, readyInstances, triedKey, type Fleet } from '../scheduler/verdict.ts';
import { maxWitnesses } from './limits.ts';
import { severityOf } from './penaltyBox.ts';
import { kindOf, opensToShared, reachOf } from './reach.ts';

/** How far from clear the agent is that may be passed over. */
interface Than {
  severity: number;
}

type Measures = WaitingRequest['measures'];

/** The largest requests, of some that are alike, for which somebody was found, or nobody. */
interface Found {
  yes: Measures | null;
  no: Measures | null;
}

/** What requests for which that was found have in common. */
interface Alike extends Than {
  endpointId: string;
  modelId: string;
  keyId: string | undefined;
  opens: boolean;
  abilities: readonly string[];
  found: Found;
}

export class Others {
  private readonly fleet: Fleet;
  private readonly limits: LimitBook;
  /** Who was found to be closer to clear, by what requests have in common. */
  private readonly witnesses = new Map<string, EngineInstance>();
  /** One of them was forgotten: there were too many. */
  private isOneForgotten = false;
  private round = 0;
  private haveGone = false;
  /** Of limits, as this round knows them. */
  private tightened = 0;
  /** For whom nobody was found, as of this event. */
  private readonly nobody = new Set<string>();
  private readonly found = new Map<string, Found>();
  private last: Alike | null = null;
  private nowMs = 0;

  constructor(fleet: Fleet, limits: LimitBook) {
    this.fleet = fleet;
    this.limits = limits;
  }

  /** The time of everything that follows. */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
    this.forgetEvent();
  }

  /** An agent has failed. If it is one that was found, a round is over. */
  failed(agent: KnownAgent): void {
    this.forgetEvent();
    if (!this.isOneForgotten && !this.isFound(agent)) return;
    this.endRound();
  }

  /** Agents are closer to clear than they were. */
  improved(): void {
    this.forgetEvent();
  }

  /** Whether somebody who was found has gone, or may have, since it was last asked. */
  takeGone(): boolean {
    this.noteLimits();
    const { haveGone } = this;
    this.haveGone = false;
    return haveGone;
  }

  /** What a limit keeps from a request is nobody else to it: then a round is over, too. */
  private noteLimits(): void {
    const { tightened } = this.limits;
    if (this.tightened === tightened) return;
    this.tightened = tightened;
    this.endRound();
  }

  private isFound(agent: KnownAgent): boolean {
    for (const instance of this.witnesses.values()) if (instance.agent === agent) return true;
    return false;
  }

  private forgetEvent(): void {
    this.nobody.clear();
    this.found.clear();
    this.last = null;
  }

  /** A round is over, and those who waited for who was found in it are to be asked again. */
  endRound(): void {
    this.haveGone = true;
    this.lookAnew();
  }

  /** A round is over. */
  lookAnew(): void {
    this.forgetEvent();
    this.round += 1;
    this.witnesses.clear();
    this.isOneForgotten = false;
  }

  /** Whether somebody was found for it in this round. */
  areKnown(waiting: WaitingRequest, { severity }: Than): boolean {
    this.noteLimits();
    const { others } = waiting;
    if (others === null || others.round !== this.round) return false;
    return others.severity <= severity && isLikeOthers(waiting);
  }

  /** Whether there is somebody. */
  exist(waiting: WaitingRequest, than: Than): boolean {
    this.noteLimits();
    if (!isLikeOthers(waiting)) return this.find(waiting, than);
    const { measures } = waiting;
    const known = this.foundFor(waiting, than);
    // A limit that lets a request through lets a smaller one, too.
    const isKnown = known.yes !== null && isWithin(measures, known.yes);
    if (!isKnown && known.no !== null && isWithin(known.no, measures)) return false;
    const areThere = isKnown || this.find(waiting, than);
    if (!isKnown) known[areThere ? 'yes' : 'no'] = measures;
    if (areThere) waiting.others = { severity: than.severity, round: this.round };
    return areThere;
  }

  private foundFor(waiting: WaitingRequest, { severity }: Than): Found {
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

  private find(waiting: WaitingRequest, { severity }: Than): boolean {
    const { request, tried } = waiting;
    const { endpoint, model, abilities } = request;
    const reach = reachOf(waiting, { fleet: this.fleet, limits: this.limits });
    if (reach === 0) return false;
    // Whoever is found for one that was tried somewhere may be nobody to others.
    const key = [endpoint.id, model.id, severity, reach, ...abilities, '', ...tried].join('|');
    const known = this.witnesses.get(key);
    const isStill =
      known !== undefined &&
      this.isOther(waiting, { instance: known, severity, reach }) &&
      reachableStages(request).some(
        (stage) => agentExclusion(known.agent.entry, { request, stage }) === null,
      );
    if (isStill) return this.remember(key, known);
    // Of none it stays none while this event lasts.
    if (this.nobody.has(key)) return false;
    for (const instance of readyInstances(this.fleet, request)) {
      if (!this.isOther(waiting, { instance, severity, reach })) continue;
      return this.remember(key, instance);
    }
    this.nobody.add(key);
    return false;
  }

  private remember(key: string, instance: EngineInstance): true {
    this.witnesses.set(key, instance);
    for (const oldest of this.witnesses.keys()) {
      if (this.witnesses.size <= maxWitnesses) break;
      this.witnesses.delete(oldest);
      this.isOneForgotten = true;
    }
    return true;
  }

  private isOther(
    { request, tried }: WaitingRequest,
    than: { instance: EngineInstance; severity: number; reach: number },
  ): boolean {
    const { instance, severity, reach } = than;
    const { agent, abilities, modelId } = instance;
    if ((kindOf(agent.entry) & reach) === 0 || modelId !== request.model.id) return false;
    if (!this.stands(instance, { severity })) return false;
    if (tried.length > 0 && tried.includes(triedKey(agent))) return false;
    return hasAbilities(abilities, { asked: request.abilities });
  }

  private stands({ agent, slots, nonce }: EngineInstance, { severity }: Than): boolean {
    if (slots === 0 || nonce !== agent.nonce) return false;
    return severityOf[this.fleet.penalties.standing(agent, this.nowMs)] < severity;
  }
}

/** What was tried, or is held of a limit, is one request's own. */
const isLikeOthers = ({ tried, left, delivered }: WaitingRequest): boolean =>
  tried.length === 0 && left === null && delivered === null;

/** Whether it asks for no more of any limit. */
const isWithin = (one: Measures, other: Measures): boolean =>
  isNoMore(one.own.tokens, other.own.tokens) && isNoMore(one.shared.tokens, other.shared.tokens);

const isNoMore = (one: TokenNeed, other: TokenNeed): boolean =>
  one.prompt <= other.prompt && one.usual <= other.usual && one.least <= other.least;
