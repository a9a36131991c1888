/**
 * What the scheduler knows of failures: who is passed over for a while because it failed, and for
 * whom; how long a stream may say nothing before it has stalled.
 *
 * Invariants
 * F1 An agent that is not clear is passed over only while another candidate exists in a stage that
 *    the request may still reach, open yet or not: granted, able, not tried, and closer to clear.
 *    Whether it is busy makes no difference: it will be free, and the other one failed.
 */
import { hasAbilities } from '../agents/matching.ts';
import type {
  Claim,
  EngineInstance,
  KnownAgent,
  WaitingRequest,
} from '../scheduler/schedulerState.ts';
import { readyInstances, triedKey, type Fleet } from '../scheduler/verdict.ts';
import { severityOf, type PenaltyBox } from './penaltyBox.ts';
import { TokenTimes } from './tokenTimes.ts';

/** How an agent did with a request; undefined says nothing of the agent. */
export type Health = 'good' | 'bad' | undefined;

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
  private readonly times = new WeakMap<EngineInstance, TokenTimes>();
  private nowMs = 0;

  constructor(fleet: Fleet) {
    this.fleet = fleet;
    this.penalties = fleet.penalties;
  }

  /** The time of everything that follows. Gives the instances of those whose time is over. */
  advance(nowMs: number): readonly EngineInstance[] {
    this.nowMs = nowMs;
    if (this.penalties.nextWakeMs() > nowMs) return nobody;
    return this.penalties.advance(nowMs).flatMap((agent) => [...agent.instances.values()]);
  }

  /**
   * An attempt is over. Gives the instances that are no longer passed over because of it. What an
   * earlier life of an agent did says nothing of this one.
   */
  judge({ instance: { agent }, life }: Claim, health: Health): readonly EngineInstance[] {
    if (health === undefined || life !== agent.life || agent.nonce === null) return nobody;
    if (health === 'bad') this.penalties.failed(agent, this.nowMs);
    const isClear = health === 'good' && this.penalties.clear(agent);
    return isClear ? [...agent.instances.values()] : nobody;
  }

  /** Those of all agents that are not clear: the last of the others may have gone (F2). */
  instances(): readonly EngineInstance[] {
    if (this.penalties.size === 0) return nobody;
    return [...this.penalties.agents()].flatMap((agent) => [...agent.instances.values()]);
  }

  /** Whether this request is to pass over this instance (F1). */
  passesOver(waiting: WaitingRequest, { agent }: EngineInstance): boolean {
    const standing = this.penalties.standing(agent, this.nowMs);
    if (standing === 'clear') return false;
    if (standing === 'proving' && isIdle(agent)) return false;
    return this.hasOther(waiting, { severity: severityOf[standing], extra: [] });
  }

  /**
   * Whether somebody else is free to go on with what this claim serves, and it may be tried once
   * more. Where nobody is, a slow agent is better than a place in line.
   */
  couldMove({ instance, waiting }: Claim, { isNewBreak, abilities: extra }: Moving): boolean {
    if (!isNewBreak && waiting.tried.length >= waiting.maxRetries) return false;
    return this.hasOther(waiting, { severity: Infinity, extra, freeBesides: instance.agent });
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

  private hasOther(
    waiting: WaitingRequest,
    how: { severity: number; extra: readonly string[]; freeBesides?: KnownAgent },
  ): boolean {
    const { request, tried } = waiting;
    const { freeBesides } = how;
    const asked = [...request.abilities, ...how.extra];
    for (const instance of readyInstances(this.fleet, request)) {
      const { agent, abilities } = instance;
      if (agent === freeBesides) continue;
      if (freeBesides !== undefined && !isOpenTo(waiting, instance)) continue;
      if (severityOf[this.penalties.standing(agent, this.nowMs)] >= how.severity) continue;
      if (tried.length > 0 && tried.includes(triedKey(agent))) continue;
      if (hasAbilities(abilities, { asked })) return true;
    }
    return false;
  }
}

/** It has a free slot and little to do, in a stage that is open to the request. */
function isOpenTo({ stages }: WaitingRequest, instance: EngineInstance): boolean {
  const { agent, pools } = instance;
  const stage = agent.entry.projectId === null ? 'shared' : 'own';
  return stages.includes(stage) && pools.some(({ open }) => open.has(instance));
}

const unknown = new TokenTimes();
const nobody: readonly EngineInstance[] = [];

function isIdle(agent: KnownAgent): boolean {
  for (const { inFlight } of agent.instances.values()) if (inFlight > 0) return false;
  return true;
}
