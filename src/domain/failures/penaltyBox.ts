/**
 * The penalty box: agents that failed a request of their own fault, and for how long they are
 * spared. Pure; who else could serve is asked elsewhere, because an agent in the box is passed over
 * only while there is somebody else (F1).
 *
 *     clear ──failed──▶ boxed ──time──▶ proving ──an answer was complete──▶ clear
 *                         ▲                │
 *                         └─────failed─────┘ for twice as long
 *
 * Invariants
 * F3 There is one record for each agent that is not clear, and none for others: a new life of an
 *    agent begins clear, and a record that nothing came of for `penaltyMemoryMs` counts as none.
 */
import { DeadlineHeap } from '../waiting/deadlineHeap.ts';
import { longestPenaltyMs, penaltyMemoryMs, shortestPenaltyMs } from './limits.ts';

/**
 * `boxed`: it gets nothing. `proving`: one request at a time, until one of its answers is complete.
 */
export type Standing = 'clear' | 'proving' | 'boxed';

/** How far from clear: an agent is passed over only for one of a smaller number. */
export const severityOf: Readonly<Record<Standing, number>> = { clear: 0, proving: 1, boxed: 2 };

/** Of one that is not clear. */
export interface PenaltyNow {
  standing: 'boxed' | 'proving';
  leftMs: number;
}

interface Penalty<Agent> {
  agent: Agent;
  /** Failures since an answer was complete. */
  strikes: number;
  /** End of its time in the box. */
  wakeAtMs: number;
  heapIndex: number;
}

export class PenaltyBox<Agent extends object> {
  private readonly penalties = new Map<Agent, Penalty<Agent>>();
  private readonly heap = new DeadlineHeap<Penalty<Agent>>();
  /** Times that an agent was put in. */
  total = 0;

  /** Agents that are not clear. */
  get size(): number {
    return this.penalties.size;
  }

  agents(): Iterable<Agent> {
    return this.penalties.keys();
  }

  standing(agent: Agent, nowMs: number): Standing {
    if (this.penalties.size === 0) return 'clear';
    const penalty = this.penalties.get(agent);
    if (penalty === undefined || isForgotten(penalty, nowMs)) return 'clear';
    return nowMs < penalty.wakeAtMs ? 'boxed' : 'proving';
  }

  /** Of one that is not clear: its standing, and for how long it stays in the box. */
  of(agent: Agent | undefined, nowMs: number): PenaltyNow | null {
    if (agent === undefined) return null;
    const standing = this.standing(agent, nowMs);
    const { wakeAtMs = 0 } = this.penalties.get(agent) ?? {};
    return standing === 'clear' ? null : { standing, leftMs: Math.max(0, wakeAtMs - nowMs) };
  }

  /** Whether it was in the box at the last `advance`, or has come into it since. */
  isBoxed(agent: Agent): boolean {
    const penalty = this.penalties.get(agent);
    return penalty !== undefined && penalty.heapIndex !== -1;
  }

  /**
   * It failed a request. What fails while it is in the box began before, and is no new strike.
   * Whether this was one. `before`: strikes of earlier lives that count still.
   */
  failed(agent: Agent, nowMs: number, before = 0): boolean {
    const known = this.penalties.get(agent);
    if (known !== undefined && nowMs < known.wakeAtMs) return false;
    this.total += 1;
    const last = known === undefined || isForgotten(known, nowMs) ? before : known.strikes;
    const strikes = last + 1;
    const penalty = known ?? { agent, strikes, wakeAtMs: 0, heapIndex: -1 };
    penalty.strikes = strikes;
    penalty.wakeAtMs =
      nowMs + Math.min(longestPenaltyMs, shortestPenaltyMs * 2 ** Math.min(strikes - 1, 32));
    this.penalties.set(agent, penalty);
    this.heap.put(penalty);
    return true;
  }

  /** Its last strike was none of its own. Whether it may have more work now. */
  forgive(agent: Agent, nowMs: number): boolean {
    const penalty = this.penalties.get(agent);
    if (penalty === undefined) return false;
    penalty.strikes -= 1;
    if (penalty.strikes === 0) return this.clear(agent);
    penalty.wakeAtMs = Math.min(penalty.wakeAtMs, nowMs);
    this.heap.remove(penalty);
    return true;
  }

  /** One of its answers was complete, or it begins a new life. Whether it was not clear. */
  clear(agent: Agent): boolean {
    const penalty = this.penalties.get(agent);
    if (penalty === undefined) return false;
    this.penalties.delete(agent);
    this.heap.remove(penalty);
    return true;
  }

  /** Those whose time in the box is over since the last call. */
  advance(nowMs: number): Agent[] {
    const freed: Agent[] = [];
    for (let next = this.heap.peek(); next !== undefined; next = this.heap.peek()) {
      if (next.wakeAtMs > nowMs) break;
      this.heap.remove(next);
      freed.push(next.agent);
    }
    return freed;
  }

  /** When the next time in the box is over; `Infinity`: nobody is in it. */
  nextWakeMs(): number {
    return this.heap.peek()?.wakeAtMs ?? Infinity;
  }
}

const isForgotten = ({ wakeAtMs }: { wakeAtMs: number }, nowMs: number): boolean =>
  nowMs - wakeAtMs >= penaltyMemoryMs;
