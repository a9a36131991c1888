/**
 * A clock that stands still until a test moves it. Timers fire in order of their due time, then of
 * their creation, and each sees the time at which it was due.
 */
import type { Clock, Timer } from '../lib/clock.ts';

interface FakeTimer {
  dueMs: number;
  order: number;
  fire: () => void;
}

export class FakeClock implements Clock {
  private elapsedMs = 0;
  private wallOffsetMs: number;
  private timers: FakeTimer[] = [];
  private created = 0;

  /** `startMs` is the first wall-clock time, in ms since the epoch. */
  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.wallOffsetMs = startMs;
  }

  now(): number {
    return Math.floor(this.wallOffsetMs + this.elapsedMs);
  }

  monotonic(): number {
    return this.elapsedMs;
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    this.created += 1;
    const timer = { dueMs: this.elapsedMs + Math.max(0, delayMs), order: this.created, fire };
    this.timers.push(timer);
    return {
      cancel: () => {
        this.timers = this.timers.filter((other) => other !== timer);
      },
    };
  }

  /** Timers that are set now. */
  get pendingTimers(): number {
    return this.timers.length;
  }

  /** Moves time and fires what becomes due, in order. Promises are not waited for. */
  advance(ms: number): void {
    const untilMs = this.elapsedMs + ms;
    for (let timer = this.takeDue(untilMs); timer; timer = this.takeDue(untilMs)) timer.fire();
    this.elapsedMs = untilMs;
  }

  /** As `advance`, and after each timer lets promises and the event loop's turn run. */
  async advanceAsync(ms: number): Promise<void> {
    const untilMs = this.elapsedMs + ms;
    await turn();
    for (let timer = this.takeDue(untilMs); timer; timer = this.takeDue(untilMs)) {
      timer.fire();
      await turn();
    }
    this.elapsedMs = untilMs;
    await turn();
  }

  /**
   * The process did not run for `ms` (a blocked event loop, a suspended laptop): time has passed,
   * and each due timer fires once, late.
   */
  freeze(ms: number): void {
    this.elapsedMs += ms;
    const due = this.timers.filter((timer) => timer.dueMs <= this.elapsedMs);
    this.timers = this.timers.filter((timer) => timer.dueMs > this.elapsedMs);
    for (const timer of due.toSorted(byDue)) timer.fire();
  }

  /** Somebody set the wall clock; monotonic time does not notice. */
  jumpWall(ms: number): void {
    this.wallOffsetMs += ms;
  }

  private takeDue(untilMs: number): FakeTimer | undefined {
    const next = this.timers.toSorted(byDue)[0];
    if (next === undefined || next.dueMs > untilMs) return undefined;
    this.timers = this.timers.filter((timer) => timer !== next);
    this.elapsedMs = Math.max(this.elapsedMs, next.dueMs);
    return next;
  }
}

function byDue(one: FakeTimer, other: FakeTimer): number {
  return one.dueMs - other.dueMs || one.order - other.order;
}

/** One whole turn of the event loop: what was ready before it has run when it resolves. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
