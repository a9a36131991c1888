/**
 * Who of those that wait may have an instance that is open: the rules of whose turn it is
 * (`nextTurn`) over what keeps a request from an agent (`claimExclusion`).
 */
import type { FailureBook } from '../failures/failureBook.ts';
import type { Room } from '../placing/instanceLoad.ts';
import type { Placement } from '../placing/placement.ts';
import type { LimitBook } from '../quotas/limitBook.ts';
import type { Stage } from '../agents/matching.ts';
import { claimExclusion } from '../scheduler/choice.ts';
import { maxScored, maxUrgent } from '../scheduler/limits.ts';
import type { EngineInstance, WaitingRequest } from '../scheduler/schedulerState.ts';
import { isOld, nextTurn } from './nextTurn.ts';
import type { ProjectQueue } from './poolQueue.ts';
import type { WaitingQueue } from './waitingQueue.ts';

export class Turns {
  /** All who were asked in the last `nextFor` passed over it because it had failed. */
  allSpare = false;
  private readonly queue: Pick<WaitingQueue, 'get' | 'takeUnsettled'>;
  private readonly limits: LimitBook;
  private readonly failures: FailureBook;
  private readonly placement: Placement;
  private nowMs = 0;

  constructor(parts: {
    queue: Pick<WaitingQueue, 'get' | 'takeUnsettled'>;
    limits: LimitBook;
    failures: FailureBook;
    placement: Placement;
  }) {
    this.queue = parts.queue;
    this.limits = parts.limits;
    this.failures = parts.failures;
    this.placement = parts.placement;
  }

  /** The time of everything that follows. */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
  }

  /** Whose turn it is on this instance; null: nobody's who waits. */
  nextFor(instance: EngineInstance): { waiting: WaitingRequest; stage: Stage } | null {
    const { placement, nowMs } = this;
    const { load } = instance;
    let found: Stage | undefined;
    this.allSpare = true;
    const severity = this.failures.severityNow(instance);
    const waiting = nextTurn<WaitingRequest>({
      queues: instance.pools.map((pool) => pool.waiting),
      nowMs,
      counterOf: (one) => placement.counterOf(one, nowMs),
      ownOf: (one) => placement.ownTokens(one, instance),
      ttftMsOf: (one) =>
        load.model.ttftMs(load.loadFor(placement.order(one, instance), nowMs)) ?? 0,
      isOut: (one) => this.isSpared(one, severity) || this.isHeldBack(one, instance),
      passes: (one, room) => {
        const stage = this.stageFor(one, instance, room);
        found = stage ?? found;
        return stage !== undefined;
      },
    });
    return waiting === null || found === undefined ? null : { waiting, stage: found };
  }

  /**
   * S3: where one that has waited for long may go though there is not the room that is of use. Each
   * is looked for when the one before has been offered, and none once it waits no more.
   */
  *openToOld(waiting: WaitingRequest): Generator<EngineInstance> {
    if (!isOld(waiting, this.nowMs)) return;
    for (const { pool } of waiting.places) {
      if (!isFirst(pool.waiting.of(waiting.projectId), waiting)) continue;
      for (const instance of pool.open.all().slice(0, maxScored)) {
        if (this.queue.get(waiting.request.id) !== waiting) return;
        if (this.stageFor(waiting, instance, 'any') !== undefined) yield instance;
      }
    }
  }

  /** S3: the same for those who have that turn now, and had it not when they were last asked. */
  *openToUrgent(): Generator<EngineInstance> {
    for (const line of this.queue.takeUnsettled()) {
      const before = line.urgent;
      const first = line.credit > 0 ? line.byDeadline.slice(0, maxUrgent) : [];
      line.urgent = first.map(({ item }) => item).filter((item) => isOld(item, this.nowMs));
      for (const one of line.urgent) if (!before.includes(one)) yield* this.openToOld(one);
    }
  }

  private isSpared(waiting: WaitingRequest, severity: number | null): boolean {
    return severity !== null && this.failures.others.areKnown(waiting, { severity });
  }

  private isHeldBack(waiting: WaitingRequest, { agent }: EngineInstance): boolean {
    const isOut = this.limits.isHeldBack(waiting, agent.entry);
    if (isOut) this.allSpare = false;
    return isOut;
  }

  /** The stage in which an instance may serve one that waits. */
  private stageFor(
    waiting: WaitingRequest,
    instance: EngineInstance,
    room: Room,
  ): Stage | undefined {
    const { limits, failures, placement, nowMs } = this;
    for (const stage of waiting.stages) {
      const how = { waiting, stage, limits, failures, placement, room, nowMs };
      const why = claimExclusion(instance, how);
      if (why === null) return stage;
      // Of another stage, it is out for what it is.
      if (why !== 'penalty_box' && why !== 'other_project') this.allSpare = false;
    }
    return undefined;
  }
}

/** Whether the urgent ones of its project have a turn, and it is one of those looked at. */
function isFirst(
  project: ProjectQueue<WaitingRequest> | undefined,
  waiting: WaitingRequest,
): boolean {
  if (project === undefined || project.credit <= 0) return false;
  return project.byDeadline.slice(0, maxUrgent).some(({ item }) => item === waiting);
}
