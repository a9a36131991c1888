/**
 * Fires many items once a tick each, each at its own phase, without a timer for each: a wheel of
 * slots of 100 µs.
 *
 * The platform's timers have a resolution of a millisecond, in which seven of 300 streams would
 * speak at once; random phases would be small bursts, and a relay that works better on bursts would
 * look better than it is. So the last stretch to a slot is waited out in the kernel
 * (`Atomics.wait`), never longer than `longestWaitUs`, and between two waits the event loop runs.
 */
import { nowUs } from './chunkStamp.ts';

const slotUs = 100;
/** Bounds how long an arriving request can go unseen. */
const longestWaitUs = 250;
/** Beyond it a timer waits, this much short. */
const timerMarginUs = 2_000;

export class TickWheel<Item> {
  private readonly slots: Set<Item>[];
  private readonly fire: (item: Item) => void;
  private readonly startedUs = nowUs();
  private readonly cell = new Int32Array(new SharedArrayBuffer(4));
  /** Slots that have been fired since the start. */
  private turned = 0;
  private size = 0;
  private phase: 'idle' | 'turning' | 'stopped' = 'idle';

  constructor(options: { tickMs: number; fire: (item: Item) => void }) {
    const count = Math.max(1, Math.round((options.tickMs * 1000) / slotUs));
    this.slots = Array.from({ length: count }, () => new Set());
    this.fire = options.fire;
  }

  /** `phase` in [0, 1): where in the tick the item is fired, from the next pass on. */
  add(item: Item, phase: number): void {
    this.slotOf(Math.floor(phase * this.slots.length)).add(item);
    this.size += 1;
    if (this.phase !== 'idle') return;
    this.phase = 'turning';
    this.turned = this.slotAt(nowUs());
    setImmediate(() => this.turn());
  }

  remove(item: Item): void {
    for (const slot of this.slots) if (slot.delete(item)) this.size -= 1;
  }

  stop(): void {
    this.phase = 'stopped';
  }

  private turn(): void {
    if (this.phase !== 'turning') return;
    const due = this.slotAt(nowUs());
    while (this.turned <= due) {
      for (const item of this.slotOf(this.turned)) this.fire(item);
      this.turned += 1;
    }
    if (this.size === 0) {
      this.phase = 'idle';
      return;
    }
    const waitUs = this.nextOccupiedUs() - nowUs();
    if (waitUs > timerMarginUs + 1000) {
      setTimeout(() => this.turn(), Math.floor((waitUs - timerMarginUs) / 1000));
      return;
    }
    if (waitUs > 0) Atomics.wait(this.cell, 0, 0, Math.min(waitUs, longestWaitUs) / 1000);
    setImmediate(() => this.turn());
  }

  private nextOccupiedUs(): number {
    let slot = this.turned;
    while (this.slotOf(slot).size === 0) slot += 1;
    return this.startedUs + slot * slotUs;
  }

  private slotAt(timeUs: number): number {
    return Math.floor((timeUs - this.startedUs) / slotUs);
  }

  private slotOf(number: number): Set<Item> {
    return this.slots[number % this.slots.length] as Set<Item>;
  }
}
