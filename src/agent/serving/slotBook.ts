/**
 * Which slots the agent has granted and which are taken. One book for all links of the agent: what
 * a dead link left running still holds its slot until the engine has let go.
 *
 * Invariants
 * A1 The agent never runs more of an instance than it granted.
 * B1 A claim ends in exactly one `release`, a waiting claim in exactly one of taken, timed out and
 *    given up.
 *
 * A claim beyond the grant is refused, with one exception: the router counts a slot as free as soon
 * as it was told that a request is over, and the engine may need a moment longer. As many claims as
 * there are slots being closed may wait that moment.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { slotWaitMs } from '../limits.ts';

export interface Slot {
  /** The request was cancelled: the slot is on its way to be free. Idempotent. */
  closing(): void;
  /** The engine has let go. Idempotent. */
  release(): void;
}

export type Claim =
  | { kind: 'taken'; slot: Slot }
  | { kind: 'waiting'; giveUp: () => void }
  | { kind: 'refused'; code: 'not_granted' | 'unknown_instance' };

export interface ClaimEvents {
  onTaken(slot: Slot): void;
  onTimeout(): void;
}

interface Waiting {
  events: ClaimEvents;
  timer: Timer;
}

interface InstanceBook {
  instance: string;
  /** 0 once the instance is no longer granted. */
  granted: number;
  running: number;
  closing: number;
  waiting: Waiting[];
}

export class SlotBook {
  private readonly clock: Clock;
  private readonly instances = new Map<string, InstanceBook>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The whole grant, by instance; replaces the last one. What runs goes on. */
  grant(slots: ReadonlyMap<string, number>): void {
    for (const [instance, book] of this.instances) {
      book.granted = slots.get(instance) ?? 0;
    }
    for (const [instance, granted] of slots) {
      const book = this.instances.get(instance);
      if (book === undefined) {
        this.instances.set(instance, { instance, granted, running: 0, closing: 0, waiting: [] });
      }
    }
    for (const book of this.instances.values()) {
      this.serveWaiting(book);
      this.forget(book);
    }
  }

  /** Takes a slot, or says why not. `events` are called only after `waiting`. */
  claim(instance: string, events: ClaimEvents): Claim {
    const book = this.instances.get(instance);
    if (book === undefined || book.granted === 0)
      return { kind: 'refused', code: 'unknown_instance' };
    if (book.running < book.granted) return { kind: 'taken', slot: this.take(book) };
    if (book.waiting.length >= book.closing) return { kind: 'refused', code: 'not_granted' };
    const waiting: Waiting = {
      events,
      timer: this.clock.setTimer(slotWaitMs, () => {
        this.drop(book, waiting);
        events.onTimeout();
      }),
    };
    book.waiting.push(waiting);
    return { kind: 'waiting', giveUp: () => this.drop(book, waiting) };
  }

  /** Requests that hold a slot. */
  get running(): number {
    let running = 0;
    for (const book of this.instances.values()) running += book.running;
    return running;
  }

  /** For HEARTBEAT. */
  load(): { slots: number; running: number; waiting: number } {
    const books = [...this.instances.values()];
    const sum = (of: (book: InstanceBook) => number): number =>
      books.reduce((total, book) => total + of(book), 0);
    return {
      slots: sum(({ granted }) => granted),
      running: this.running,
      waiting: sum(({ waiting }) => waiting.length),
    };
  }

  private take(book: InstanceBook): Slot {
    book.running += 1;
    let state: 'running' | 'closing' | 'released' = 'running';
    return {
      closing: () => {
        if (state !== 'running') return;
        state = 'closing';
        book.closing += 1;
      },
      release: () => {
        if (state === 'released') return;
        if (state === 'closing') book.closing -= 1;
        state = 'released';
        book.running -= 1;
        this.serveWaiting(book);
        this.forget(book);
      },
    };
  }

  private serveWaiting(book: InstanceBook): void {
    while (book.running < book.granted) {
      const next = book.waiting.shift();
      if (next === undefined) return;
      next.timer.cancel();
      next.events.onTaken(this.take(book));
    }
  }

  private drop(book: InstanceBook, waiting: Waiting): void {
    waiting.timer.cancel();
    book.waiting = book.waiting.filter((other) => other !== waiting);
  }

  private forget(book: InstanceBook): void {
    if (book.granted === 0 && book.running === 0 && book.waiting.length === 0) {
      this.instances.delete(book.instance);
    }
  }
}
