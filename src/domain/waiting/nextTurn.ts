/**
 * Who is next on an instance that has just opened: the project with the smallest counter, and of
 * its requests the one that has the least to be computed on this very instance, less ageing. Those
 * close to their deadlines get a part of the turns before that.
 *
 * A retry goes before the others of its project, and before nobody else: what makes requests fail
 * may be an agent of the project itself, or the request. What its failed attempt was charged has
 * gone back, so that its project is mostly the next one in any case.
 */
import { maxConsidered, maxPassedOver, maxUrgent, patienceMs } from '../scheduler/limits.ts';
import type { Room } from '../placing/instanceLoad.ts';
import type { PoolQueue, ProjectQueue, Queued } from './poolQueue.ts';

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
  /** Whether it is known without a look that the instance may not take it now. */
  isOut(item: Item): boolean;
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

/** Null when nobody who waits may have it. */
export function nextTurn<Item extends Queued>(turn: Turn<Item>): Item | null {
  const contenders = contendersOf(turn);
  let keptOut: Contender<Item> | null = null;
  for (const contender of inOrder(contenders)) {
    const room = keptOut === null && contenders.length > 1 ? 'fair' : 'of_use';
    const found = firstOf(contender, turn, room);
    if (found === null) {
      keptOut ??= contender;
      continue;
    }
    const old = keptOut && oldOf(keptOut, turn);
    if (old !== null) return old;
    const { item, project, credit } = found;
    project.credit = Math.min(maxUrgentCredit, project.credit + credit);
    return item;
  }
  return null;
}

/** The smallest counter first. Mostly that one has somebody: sorting all would be in vain. */
function* inOrder<Item extends Queued>(
  contenders: readonly Contender<Item>[],
): Generator<Contender<Item>> {
  let first = contenders[0];
  for (const one of contenders) if (first !== undefined && one.value < first.value) first = one;
  if (first === undefined) return;
  yield first;
  const others = contenders.filter((one) => one !== first);
  yield* others.sort((one, other) => one.value - other.value);
}

/** Those of one project in one of the queues. */
interface Part<Item extends Queued> {
  queue: PoolQueue<Item>;
  project: ProjectQueue<Item>;
}

/** A project: an instance may be in several queues in which it waits. */
interface Contender<Item extends Queued> {
  parts: Part<Item>[];
  value: number;
}

function contendersOf<Item extends Queued>(turn: Turn<Item>): Contender<Item>[] {
  const contenders: Contender<Item>[] = [];
  const known = turn.queues.length > 1 ? new Map<string, Contender<Item>>() : null;
  for (const queue of turn.queues) {
    for (const project of queue.waitingProjects()) {
      const first = project.byKey[0]?.item;
      if (first === undefined) continue;
      const value = turn.counterOf(first);
      const same = known?.get(project.projectId);
      if (same === undefined) {
        const contender = { parts: [{ queue, project }], value };
        contenders.push(contender);
        known?.set(project.projectId, contender);
      } else {
        same.parts.push({ queue, project });
        same.value = Math.max(same.value, value);
      }
    }
  }
  return contenders;
}

function firstOf<Item extends Queued>(
  { parts }: Contender<Item>,
  turn: Turn<Item>,
  room: Room,
): Found<Item> | null {
  const urgent = urgentOf(parts, turn);
  if (urgent !== null) return urgent;
  const next = shortestOf(parts, turn, room);
  if (next === null) return null;
  const [oldest] = oldestOf(parts);
  if (oldest === undefined) return null;
  const waits = Math.max(1, (turn.nowMs - oldest.item.arrivedAtMs) / longWaitMs);
  const part = Math.min(mostUrgentPart, urgentPart * waits);
  const earned = (turn.ownOf(next) * part) / (1 - part);
  return { item: next, project: oldest.project, credit: earned };
}

interface Waiter<Item extends Queued> {
  item: Item;
  project: ProjectQueue<Item>;
}

/** Who may have the turn, and by how much the credit of `project` changes if it does. */
interface Found<Item extends Queued> extends Waiter<Item> {
  credit: number;
}

/** Those that are closest to their deadlines, the first one first. */
function oldestOf<Item extends Queued>(parts: readonly Part<Item>[]): Waiter<Item>[] {
  const all = parts.flatMap(({ project }) =>
    project.byDeadline.slice(0, maxUrgent).map(({ item }) => ({ item, project })),
  );
  if (parts.length === 1) return all;
  all.sort((one, other) => one.item.deadlineMs - other.item.deadlineMs);
  return all.slice(0, maxUrgent);
}

/** Whether it has waited for so long that less room is enough. */
export const isOld = (item: Queued, nowMs: number): boolean =>
  nowMs >= item.arrivedAtMs + patienceMs;

/** Who has waited for very long, or is close to the deadline and can still make it. */
function urgentOf<Item extends Queued>(
  parts: readonly Part<Item>[],
  turn: Turn<Item>,
): Found<Item> | null {
  const { nowMs } = turn;
  const withCredit = parts.filter(({ project }) => project.credit > 0);
  for (const { item, project } of oldestOf(withCredit)) {
    const leftMs = item.deadlineMs - nowMs;
    const old = isOld(item, nowMs);
    if (!old && leftMs > urgentMs * 10) return null;
    const slackMs = leftMs - turn.ttftMsOf(item);
    if (slackMs < 0 || !(old || slackMs < urgentMs)) continue;
    if (!turn.passes(item, old ? 'any' : 'of_use')) continue;
    return { item, project, credit: -turn.ownOf(item) };
  }
  return null;
}

/**
 * Of the project whose turn it is, while others would be served, because the instance has room for
 * theirs and not for its own: they would fill it again and again, and its counter would stay the
 * smallest for ever.
 */
function oldOf<Item extends Queued>({ parts }: Contender<Item>, turn: Turn<Item>): Item | null {
  for (const { item } of oldestOf(parts)) {
    if (isOld(item, turn.nowMs) && turn.passes(item, 'any')) return item;
  }
  return null;
}

/** Retries have one key, in whichever queue they stand: the oldest goes first. */
function goesBefore(one: Keyed, other: Keyed): boolean {
  return one.key < other.key || (one.key === other.key && one.item.order < other.item.order);
}

interface Keyed {
  item: Queued;
  key: number;
}

function shortestOf<Item extends Queued>(
  parts: readonly Part<Item>[],
  turn: Turn<Item>,
  room: Room,
): Item | null {
  // In a queue of which nothing is known yet keys are deadlines.
  const ruler = parts.find(({ queue }) => queue.isAgeing)?.queue ?? parts[0]?.queue;
  let best: { item: Item; key: number } | null = null;
  for (const { queue, project } of parts) {
    let looked = 0;
    let found = false;
    for (const { item } of project.byKey) {
      looked += 1;
      // What has more in common with this instance than it looked like may stand further behind.
      if (looked > (found ? maxConsidered : maxPassedOver)) break;
      if (turn.isOut(item)) continue;
      const key = (ruler ?? queue).keyOf(item, turn.ownOf(item));
      if (best !== null && !goesBefore({ item, key }, best)) continue;
      if (!turn.passes(item, room)) continue;
      best = { item, key };
      found = true;
    }
  }
  return best?.item ?? null;
}
