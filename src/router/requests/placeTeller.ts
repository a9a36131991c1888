/**
 * Tells those who want to see it of their places in line: once when they were accepted, then all
 * of them together once a second, by the one sweep that the requests have anyway.
 */
import type { Scheduler } from '../../domain/scheduler/scheduler.ts';
import { placeEveryMs } from '../limits.ts';
import type { RequestRun } from './requestRun.ts';

export class PlaceTeller {
  private readonly scheduler: Scheduler;
  private readonly watching = new Set<RequestRun>();
  private toldAtMs = -Infinity;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** It has arrived, and the scheduler has decided what becomes of it. */
  arrived(run: RequestRun, nowMs: number): void {
    const { scheduler } = this;
    const waiting = scheduler.queue.get(run.request.requestId);
    const place = waiting === undefined ? null : scheduler.fleet.outlook.of(waiting, nowMs);
    // What was foreseen is held against what comes.
    if (place !== null) {
      run.trail.wait = { position: place.position, predictedMs: place.etaMs };
    }
    if (run.sink.onPlace === undefined || run.isOver) return;
    run.sink.onPlace(place, run.left());
    this.watching.add(run);
  }

  over(run: RequestRun): void {
    this.watching.delete(run);
  }

  /** Called by the sweep. */
  sweep(nowMs: number): void {
    if (this.watching.size === 0 || nowMs - this.toldAtMs < placeEveryMs) return;
    this.toldAtMs = nowMs;
    const { queue, fleet } = this.scheduler;
    for (const run of this.watching) {
      const waiting = queue.get(run.request.requestId);
      if (waiting !== undefined) run.sink.onPlace?.(fleet.outlook.of(waiting, nowMs));
    }
  }
}
