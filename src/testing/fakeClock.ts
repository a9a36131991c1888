/**
 * A clock that stands still until a test moves it. Timers fire in order of their due time, then of
 * their creation, and each sees the time at which it was due.
 */
import type { Clock, Timer } from '../lib/clock.ts';

interface FakeTimer {
  dueMs: number;
  order: number;
  fire: () => void;
  /** Where it stands in the heap; −1: it does not any more. */
  place: number;
}

export class FakeClock implements Clock {
  private elapsedMs = 0;
  private wallOffsetMs: number;
  private readonly timers = new TimerHeap();
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
    const dueMs = this.elapsedMs + Math.max(0, delayMs);
    const timer = { dueMs, order: this.created, fire, place: -1 };
    this.timers.put(timer);
    return { cancel: () => this.timers.remove(timer) };
  }

  /** Timers that are set now. */
  get pendingTimers(): number {
    return this.timers.size;
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
    const due: FakeTimer[] = [];
    for (let next = this.timers.peek(); next !== undefined; next = this.timers.peek()) {
      if (next.dueMs > this.elapsedMs) break;
      this.timers.remove(next);
      due.push(next);
    }
    for (const timer of due) timer.fire();
  }

  /** Somebody set the wall clock; monotonic time does not notice. */
  jumpWall(ms: number): void {
    this.wallOffsetMs += ms;
  }

  private takeDue(untilMs: number): FakeTimer | undefined {
    const next = this.timers.peek();
    if (next === undefined || next.dueMs > untilMs) return undefined;
    this.timers.remove(next);
    this.elapsedMs = Math.max(this.elapsedMs, next.dueMs);
    return next;
  }
}

/** A binary heap: a simulation sets some ten thousand timers. */
class TimerHeap {
  private readonly items: FakeTimer[] = [];

  get size(): number {
    return this.items.length;
  }

  peek(): FakeTimer | undefined {
    return this.items[0];
  }

  put(timer: FakeTimer): void {
    this.set(timer, this.items.length);
    this.rise(timer);
  }

  /** Does nothing when it is not in. */
  remove(timer: FakeTimer): void {
    const { place } = timer;
    if (place === -1) return;
    timer.place = -1;
    const last = this.items.pop();
    if (last === undefined || last === timer) return;
    this.set(last, place);
    this.rise(last);
    this.sink(last);
  }

  private set(timer: FakeTimer, place: number): void {
    this.items[place] = timer;
    timer.place = place;
  }

  private rise(timer: FakeTimer): void {
    while (timer.place > 0) {
      const parent = this.items[(timer.place - 1) >> 1];
      if (parent === undefined || isBefore(parent, timer)) return;
      this.swap(parent, timer);
    }
  }

  private sink(timer: FakeTimer): void {
    for (;;) {
      const left = this.items[2 * timer.place + 1];
      const right = this.items[2 * timer.place + 2];
      if (left === undefined) return;
      const child = right !== undefined && isBefore(right, left) ? right : left;
      if (isBefore(timer, child)) return;
      this.swap(timer, child);
    }
  }

  private swap(one: FakeTimer, other: FakeTimer): void {
    const { place } = one;
    this.set(one, other.place);
    this.set(other, place);
  }
}

function isBefore(one: FakeTimer, other: FakeTimer): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order);
}

/** One whole turn of the event loop: what was ready before it has run when it resolves. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
