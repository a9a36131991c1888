/**
 * The time of one simulated process: the world's, but a process that is frozen runs none of its
 * timers until it thaws, and one that is dead never again.
 */
import type { Clock, Timer } from '../../lib/clock.ts';

type Life = 'running' | 'frozen' | 'dead';

export class ProcessClock implements Clock {
  private readonly world: Clock;
  private life: Life = 'running';
  /** Timers that became due while it was frozen, in their order. */
  private late: (() => void)[] = [];

  constructor(world: Clock) {
    this.world = world;
  }

  get isDead(): boolean {
    return this.life === 'dead';
  }

  now(): number {
    return this.world.now();
  }

  monotonic(): number {
    return this.world.monotonic();
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    if (this.life === 'dead') return { cancel: () => {} };
    let cancelled = false;
    const due = (): void => {
      if (cancelled || this.life === 'dead') return;
      if (this.life === 'frozen') this.late.push(due);
      else fire();
    };
    const timer = this.world.setTimer(delayMs, due);
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** The machine sleeps. */
  freeze(): void {
    if (this.life === 'running') this.life = 'frozen';
  }

  /** It wakes: each timer that became due fires once, late. */
  thaw(): void {
    if (this.life !== 'frozen') return;
    this.life = 'running';
    for (const due of this.late.splice(0)) due();
  }

  /** Nothing of the process ever runs again. */
  kill(): void {
    this.life = 'dead';
    this.late = [];
  }
}
