/** Gives free slots to those who wait for them, in order (W1). */
import { chooseInstance, chooseInTurn, type Choice, type Chooser } from './choice.ts';
import type { InstancePools } from './instancePools.ts';
import type { EngineInstance, WaitingRequest } from './schedulerState.ts';
import type { FailureBook } from '../failures/failureBook.ts';
import type { Turns } from '../waiting/turns.ts';
import type { WaitingQueue } from '../waiting/waitingQueue.ts';

interface Parts {
  pools: InstancePools;
  queue: WaitingQueue;
  turns: Turns;
  failures: FailureBook;
  chooser: Chooser;
}

export class SlotFiller {
  private readonly parts: Parts;
  private readonly claim: (waiting: WaitingRequest, choice: Choice) => void;
  private nowMs = 0;

  constructor(parts: Parts, claim: (waiting: WaitingRequest, choice: Choice) => void) {
    this.parts = parts;
    this.claim = claim;
  }

  /** The time of everything that follows. */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
  }

  fillAll(instances: Iterable<EngineInstance>): void {
    for (const instance of instances) this.fill(instance);
  }

  /** `spared`: it has a slot for somebody who passes it over. */
  fill(instance: EngineInstance): 'spared' | 'done' {
    const { queue, pools, turns, chooser } = this.parts;
    while (queue.size > 0 && pools.refresh(instance)) {
      const next = turns.nextFor(instance);
      if (next === null) return turns.allSpare ? 'spared' : 'done';
      const { waiting, stage } = next;
      if (stage === 'shared' && this.fillOwn(waiting)) continue;
      queue.remove(waiting);
      const where = { pools, waiting, nowMs: this.nowMs, chooser };
      this.claim(waiting, chooseInTurn({ instance, stage }, where));
    }
    return 'done';
  }

  /** F2: of those who are not clear, where one for whose sake they were passed over has gone. */
  fillIfGone(): boolean {
    const haveGone = this.parts.failures.others.takeGone();
    if (haveGone) this.fillSpared();
    return haveGone;
  }

  /** F2: of those who are not clear: the last of the others may have gone. */
  fillSpared(): void {
    const { failures, queue } = this.parts;
    if (queue.size === 0 || failures.penalties.size === 0) return;
    failures.others.lookAnew();
    for (const group of failures.groups()) {
      for (const instance of group) if (this.fill(instance) === 'spared') break;
    }
  }

  /**
   * What has opened a shared instance may have opened one of a project's own, too, and that one
   * goes first: to whoever is first there. Whether somebody went.
   */
  private fillOwn(waiting: WaitingRequest): boolean {
    const { pools, queue, chooser } = this.parts;
    if (!pools.of(waiting.request, 'own').some(({ open }) => open.size > 0)) return false;
    const where = { waiting, nowMs: this.nowMs, chooser, stages: ['own'] } as const;
    const own = chooseInstance(pools, where);
    const { size } = queue;
    if (own !== null) this.fill(own.instance);
    return queue.size < size;
  }
}
