/** A scheduler with a hand on the time. What it does is told as `request agent`, in order. */
import assert from 'node:assert/strict';
import { seededRandom } from '../../lib/random.ts';
import type { RoutedRequest } from '../../domain/agents/matching.ts';
import type { AgentEntry } from '../../domain/directory.ts';
import { Scheduler } from '../../domain/scheduler/scheduler.ts';
import type {
  Dispatch,
  SchedulerEvent,
  UntimedEvent,
} from '../../domain/scheduler/schedulerEvents.ts';
import type { TierTable } from '../../domain/tiers/tiers.ts';
import { routedRequest } from './directoryEntries.ts';
import { unlimitedTiers } from './unlimitedTiers.ts';

/** What an answer says of its agent; `nothing`: it was the client's or the engine's matter. */
type Health = 'good' | 'bad' | 'nothing';

export class SchedulerRig {
  readonly scheduler: Scheduler;
  private readonly auditsEach: boolean;
  private readonly claims = new Map<string, number>();
  private nowMs = 1000;

  /** `auditsEach`: after each event (W1). To ask is to look anew, which may hide what was stale. */
  constructor({ tiers = unlimitedTiers(), auditsEach = true }: RigOptions = {}) {
    this.scheduler = new Scheduler({ random: seededRandom(1), config: { tiers } });
    this.auditsEach = auditsEach;
  }

  /** Requests that run, or whose slot is not free yet. */
  get running(): string[] {
    return [...this.claims.keys()];
  }

  /** W1: nobody waits for nothing. */
  audit(): void {
    assert.deepEqual(this.scheduler.audit().claimable, [], 'W1');
  }

  send(event: UntimedEvent): string[] {
    const commands = this.scheduler.handle({ ...event, atMs: this.nowMs } as SchedulerEvent);
    if (this.auditsEach) this.audit();
    const dispatches = commands.filter((one): one is Dispatch => one.type === 'dispatch');
    for (const one of dispatches) this.claims.set(one.requestId, one.claim);
    return dispatches.map(({ requestId, agentId }) => `${requestId} ${agentId}`);
  }

  link(entry: AgentEntry, slots = 4, abilities: readonly string[] = ['chat']): string[] {
    const { id: agentId } = entry;
    this.send({ type: 'agent', entry });
    this.send({ type: 'join', agentId, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities }];
    return this.send({ type: 'grant', agentId, nonce: 'n1', instances });
  }

  arrive(id: string, over: Partial<RoutedRequest> = {}): string[] {
    return this.send({ type: 'arrive', request: routedRequest({ id, ...over }) });
  }

  /** Its answer is complete, or broke (`bad`), and its slot is free. */
  ends(id: string, health: Health = 'good'): string[] {
    return this.end(this.taken(id), { slotFree: true, health });
  }

  /** The same, but its slot is not free before `frees`. */
  endsHoldingSlot(id: string, health: Health): string[] {
    return this.end(this.claimOf(id), { slotFree: false, health });
  }

  frees(id: string): string[] {
    return this.send({ type: 'release', claim: this.taken(id) });
  }

  /** An attempt has failed before its first byte; `blameless`: the agent had no room. */
  fails(id: string, how: 'bad' | 'blameless' = 'bad'): string[] {
    const what = how === 'bad' ? { health: 'bad' as const } : { blameless: true };
    return this.send({ type: 'failed', claim: this.taken(id), slotFree: true, ...what });
  }

  pass(ms: number): string[] {
    this.nowMs += ms;
    return this.send({ type: 'tick' });
  }

  /** Time passes up to an event, and nothing is asked before it. */
  sendAfter(ms: number, event: UntimedEvent): string[] {
    this.nowMs += ms;
    return this.send(event);
  }

  private end(claim: number, how: { slotFree: boolean; health: Health }): string[] {
    const { slotFree, health } = how;
    return this.send({ type: 'end', claim, slotFree, ...(health !== 'nothing' && { health }) });
  }

  private claimOf(id: string): number {
    return this.claims.get(id) ?? 0;
  }

  private taken(id: string): number {
    const claim = this.claimOf(id);
    this.claims.delete(id);
    return claim;
  }
}

interface RigOptions {
  tiers?: TierTable;
  auditsEach?: boolean;
}
