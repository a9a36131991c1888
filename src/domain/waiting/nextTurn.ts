/**
 * Who is next on an instance that has just opened: the project with the smallest counter, and of
 * its requests the one that has the least to be computed on this very instance, less ageing. Those
 * close to their deadlines get a part of the turns before that.
 */
import { maxConsidered, maxPassedOver, maxUrgent, patienceMs } from '../scheduler/limits.ts';
import type { Room } from '../placing/instanceLoad.ts';
import type { Place, PoolQueue, ProjectQueue, Queued } from './poolQueue.ts';

export interface Turn<Item extends Queued> {
  /** Of the pools that the instance is in. */
  queues: readonly PoolQueue<Item>[];
  nowMs: number;
  /** What its project was served; the smallest is next. */
  counterOf(item: Item): number;
  /** Prompt tokens that the instance would have to compute for it. */
  ownOf(item: Item): number;
  /** Until its first byte, if the instance took it now. */
  ttftMsOf(item: Item): number;
  /**
   * Whether the instance may take it now. Asked of as few as possible; what passed last is taken.
   */
  passes(item: Item, room: Room): boolean;
}

/**
 * The part of what is computed for a project that may go to its urgent ones before others; more
 * where the oldest of them has waited for longer than `longWaitMs`, in proportion.
 */
const urgentPart = 0.03;
const longWaitMs = 30_000;
const mostUrgentPart = 0.5;
/** Tokens that urgent ones may be ahead by. */
const maxUrgentCredit = 50_000;
/** Who has no more than this left, beside what it takes, is urgent. */
const urgentMs = 3000;

/** Null when nobody who waits may have it. Retries go before every counter and every project. */
export function nextTurn<Item extends Queued>(turn: Turn<Item>): Item | null {
  const retry = retriesOf(turn).find((item) => turn.passes(item, 'fair'));
  if (retry !== undefined) return retry;
  const contenders = contendersOf(turn);
  // Mostly the first one has somebody: sorting all of them would be in vain.
  for (let left = contenders.length; left > 0; left -= 1) {
    const at = leastOf(contenders, left);
    const contender = contenders[at] as Contender<Item>;
    const room = left === contenders.length && left > 1 ? 'fair' : 'of_use';
    const found = firstOf(contender, turn, room);
    if (found !== null) return found;
    contenders[at] = contenders[left - 1] as Contender<Item>;
  }
  return null;
}

/** Those of all projects, in order. They stand before all others of theirs. */
function retriesOf<Item extends Queued>({ queues }: Turn<Item>): Item[] {
  const retries: Item[] = [];
  for (const queue of queues) {
    for (const { byKey } of queue.waitingProjects()) {
      for (const { item } of byKey) {
        if (item.order >= 0) break;
        retries.push(item);
      }
    }
  }
  return retries.sort((one, other) => one.order - other.order);
}

interface Contender<Item extends Queued> {
  queue: PoolQueue<Item>;
  project: ProjectQueue<Item>;
  value: number;
}

function contendersOf<Item extends Queued>(turn: Turn<Item>): Contender<Item>[] {
  const contenders: Contender<Item>[] = [];
  for (const queue of turn.queues) {
    for (const project of queue.waitingProjects()) {
      const first = project.byKey[0]?.item;
      if (first === undefined) continue;
      contenders.push({ queue, project, value: turn.counterOf(first) });
    }
  }
  return contenders;
}

function leastOf<Item extends Queued>(
  contenders: readonly Contender<Item>[],
  among: number,
): number {
  let least = 0;
  for (let at = 1; at < among; at += 1) {
    if ((contenders[at]?.value ?? 0) < (contenders[least]?.value ?? 0)) least = at;
  }
  return least;
}

function firstOf<Item extends Queued>(
  { queue, project }: Contender<Item>,
  turn: Turn<Item>,
  room: Room,
): Item | null {
  const urgent = project.credit > 0 ? urgentOf(project, turn) : null;
  if (urgent !== null) {
    project.credit -= turn.ownOf(urgent);
    return urgent;
  }
  const next = shortestOf({ queue, project }, turn, room);
  if (next === null) return null;
  const oldest = project.byDeadline[0]?.item ?? next;
  const waits = Math.max(1, (turn.nowMs - oldest.arrivedAtMs) / longWaitMs);
  const part = Math.min(mostUrgentPart, urgentPart * waits);
  const earned = (turn.ownOf(next) * part) / (1 - part);
  project.credit = Math.min(maxUrgentCredit, project.credit + earned);
  return next;
}

/** Who has waited for very long, or is close to the deadline and can still make it. */
function urgentOf<Item extends Queued>(project: ProjectQueue<Item>, turn: Turn<Item>): Item | null {
  const { nowMs } = turn;
  for (const { item } of project.byDeadline.slice(0, maxUrgent)) {
    const leftMs = item.deadlineMs - nowMs;
    const isOld = nowMs - item.arrivedAtMs > patienceMs;
    if (!isOld && leftMs > urgentMs * 10) return null;
    const slackMs = leftMs - turn.ttftMsOf(item);
    if (slackMs < 0 || !(isOld || slackMs < urgentMs)) continue;
    if (turn.passes(item, isOld ? 'any' : 'of_use')) return item;
  }
  return null;
}

function shortestOf<Item extends Queued>(
  { queue, project }: Pick<Contender<Item>, 'queue' | 'project'>,
  turn: Turn<Item>,
  room: Room,
): Item | null {
  let best: { place: Place<Item>; key: number } | null = null;
  let looked = 0;
  for (const place of project.byKey) {
    const { item } = place;
    looked += 1;
    // What has more in common with this instance than it looked like may stand further behind.
    if (looked > (best === null ? maxPassedOver : maxConsidered)) break;
    const key = queue.keyOf(item, turn.ownOf(item));
    if (best !== null && key >= best.key) continue;
    if (turn.passes(item, room)) best = { place, key };
  }
  return best?.place.item ?? null;
}
