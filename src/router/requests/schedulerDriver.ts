/**
 * Drives the scheduler with real time: puts the time on events, carries commands out in order, and
 * keeps its one timer. A command whose execution brings a new event (a link that is gone already)
 * does not nest: the event waits its turn.
 */
import { Scheduler } from '../../domain/scheduler/scheduler.ts';
import type { SchedulerConfig, SchedulerOptions } from '../../domain/scheduler/schedulerConfig.ts';
import type {
  Dispatch,
  Reject,
  SchedulerEvent,
  UntimedEvent,
} from '../../domain/scheduler/schedulerEvents.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';

export interface CommandHandlers {
  onDispatch(command: Dispatch): void;
  onReject(command: Reject): void;
}

/** Makes what decides; the product's own unless a bench compares it with another. */
export type MakeScheduler = (options: SchedulerOptions) => Scheduler;

export class SchedulerDriver {
  readonly scheduler: Scheduler;
  private readonly clock: Clock;
  private readonly handlers: CommandHandlers;
  private waiting: UntimedEvent[] = [];
  private phase: 'resting' | 'driving' = 'resting';
  private timer: Timer | undefined;

  constructor(options: {
    clock: Clock;
    random: Random;
    config: SchedulerConfig;
    handlers: CommandHandlers;
    makeScheduler?: MakeScheduler | undefined;
  }) {
    this.clock = options.clock;
    this.handlers = options.handlers;
    const { random, config, makeScheduler = (of) => new Scheduler(of) } = options;
    this.scheduler = makeScheduler({ random, config });
  }

  /** Hands an event to the scheduler, now or after the one that is being worked on. */
  send(event: UntimedEvent): void {
    this.waiting.push(event);
    if (this.phase === 'driving') return;
    this.phase = 'driving';
    try {
      for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
        this.drive(next);
      }
    } finally {
      this.phase = 'resting';
    }
  }

  stop(): void {
    this.timer?.cancel();
  }

  private drive(event: UntimedEvent): void {
    const timed = { ...event, atMs: this.clock.monotonic() } as SchedulerEvent;
    for (const command of this.scheduler.handle(timed)) {
      if (command.type === 'dispatch') this.handlers.onDispatch(command);
      else if (command.type === 'reject') this.handlers.onReject(command);
      else this.setTimer(command.atMs - timed.atMs);
    }
  }

  private setTimer(delayMs: number): void {
    this.timer?.cancel();
    // Timers of the platform may fire a part of a millisecond early; late is right.
    const wholeMs = Math.max(0, Math.ceil(delayMs));
    this.timer = this.clock.setTimer(wholeMs, () => this.send({ type: 'tick' }));
  }
}
