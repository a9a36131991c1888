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
    return this.hasOther(waiting, { severity: severityOf[standing] });
  }

  /**
   * Whether somebody else is free to go on with what this claim serves, and it may be tried once
   * more. Where nobody is, a slow agent is better than a place in line.
   */
  couldMove({ instance: { agent }, waiting }: Claim, moving: Moving): boolean {
    if (!moving.isNewBreak && waiting.tried.length >= waiting.maxRetries) return false;
    const { nowMs } = this;
    const tried = [...waiting.tried, triedKey(agent)];
    const abilities = [...waiting.request.abilities, ...moving.abilities];
    const moved = { ...waiting, tried, request: { ...waiting.request, abilities } };
    for (const one of readyInstances(this.fleet, moved.request, waiting.stages)) {
      if (tried.includes(triedKey(one.agent))) continue;
      if (!hasAbilities(one.abilities, { asked: abilities })) continue;
      if (isOpenTo(moved, { instance: one, nowMs }) && !this.passesOver(moved, one)) return true;
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

  private hasOther(waiting: WaitingRequest, { severity }: { severity: number }): boolean {
    const { request, tried } = waiting;
    const { abilities: asked } = request;
    for (const { agent, abilities } of readyInstances(this.fleet, request)) {
      if (severityOf[this.penalties.standing(agent, this.nowMs)] >= severity) continue;
      if (tried.length > 0 && tried.includes(triedKey(agent))) continue;
      if (hasAbilities(abilities, { asked })) return true;
    }
    return false;
  }
}

/** It has a free slot, room and little to do. */
function isOpenTo(
  { tokens }: WaitingRequest,
  { instance, nowMs }: { instance: EngineInstance; nowMs: number },
): boolean {
  const { pools, load } = instance;
  return (
    pools.some(({ open }) => open.has(instance)) && load.hasRoom(tokens, { room: 'of_use', nowMs })
  );
}

const unknown = new TokenTimes();
const nobody: readonly EngineInstance[] = [];

function isIdle(agent: KnownAgent): boolean {
  for (const { inFlight } of agent.instances.values()) if (inFlight > 0) return false;
  return true;
}
