/**
 * The requests that wait for one pool of instances, by project, each project's in the order in
 * which they are served: the smallest uncached prompt first, less ageing, and by deadline for those
 * who look for the urgent ones. Ageing is the same for all that wait, so the order never changes
 * while they do, and a sorted array is enough.
 */

/** What the order needs of a request. */
export interface Queued {
  projectId: string;
  arrivedAtMs: number;
  deadlineMs: number;
  /** Retries are below zero and go before others of their project; equal ones go by this. */
  order: number;
}

/** A request's place in one queue. */
export interface Place<Item extends Queued> {
  readonly item: Item;
  /** Prompt tokens that will have to be computed, as it looked when it began to wait. */
  readonly own: number;
  key: number;
}

/** Those of one project. Never empty while it is in a queue. */
export interface ProjectQueue<Item extends Queued> {
  readonly projectId: string;
  readonly byKey: Place<Item>[];
  readonly byDeadline: Place<Item>[];
  /** Tokens that may be computed for urgent ones before others have had their part again. */
  credit: number;
  /** Those who had the turn of one that has waited for long, when that was last looked at. */
  urgent: readonly Item[];
}

const newProject = <Item extends Queued>(projectId: string): ProjectQueue<Item> => ({
  projectId,
  byKey: [],
  byDeadline: [],
  credit: 0,
  urgent: [],
});

/** Ageing differs from what it was by so much before all are put in order again. */
const worthReordering = 1.5;
/** Weight of the newest in the mean of what waiting is worth. */
const newestWeight = 0.03;

export class PoolQueue<Item extends Queued> {
  private readonly projects = new Map<string, ProjectQueue<Item>>();
  private count = 0;
  /** Tokens that a ms of waiting is worth; 0: they go by their deadlines. */
  private agePerMs = 0;
  private meanPerMs = 0;

  get size(): number {
    return this.count;
  }

  /** Projects that have somebody waiting. */
  get projectCount(): number {
    return this.projects.size;
  }

  /** Whether anything is known of what waiting is worth: else keys are deadlines. */
  get isAgeing(): boolean {
    return this.agePerMs > 0;
  }

  /** Those who have somebody waiting. */
  waitingProjects(): Iterable<ProjectQueue<Item>> {
    return this.projects.values();
  }

  of(projectId: string): ProjectQueue<Item> | undefined {
    return this.projects.get(projectId);
  }

  /**
   * What waiting is worth by the speed of one of the instances, in tokens per ms; 0: not known.
   * Fast and slow ones take turns: the mean counts.
   */
  age(seenPerMs: number): void {
    const known = this.agePerMs;
    this.meanPerMs =
      known === 0 ? seenPerMs : this.meanPerMs + newestWeight * (seenPerMs - this.meanPerMs);
    const agePerMs = this.meanPerMs;
    const isNear = agePerMs < known * worthReordering && agePerMs > known / worthReordering;
    if (isNear || agePerMs === known) return;
    this.agePerMs = agePerMs;
    for (const { byKey } of this.projects.values()) {
      for (const place of byKey) place.key = this.keyOf(place.item, place.own);
      byKey.sort(byKeyOrder);
    }
  }

  /** With so many prompt tokens that will probably have to be computed for it. */
  insert(item: Item, own: number): Place<Item> {
    const { projectId } = item;
    const known = this.projects.get(projectId);
    const project = known ?? newProject<Item>(projectId);
    if (known === undefined) this.projects.set(projectId, project);
    const place = { item, own, key: this.keyOf(item, own) };
    project.byKey.splice(placeOf(project.byKey, place, byKeyOrder), 0, place);
    project.byDeadline.splice(placeOf(project.byDeadline, place, byDeadlineOrder), 0, place);
    this.count += 1;
    return place;
  }

  /** Takes a place out, which must be in this queue. Gives those among whom it stood. */
  remove(place: Place<Item>): ProjectQueue<Item> | undefined {
    const { projectId } = place.item;
    const project = this.projects.get(projectId);
    if (project === undefined) return undefined;
    const { byKey, byDeadline } = project;
    byKey.splice(placeOf(byKey, place, byKeyOrder), 1);
    byDeadline.splice(placeOf(byDeadline, place, byDeadlineOrder), 1);
    this.count -= 1;
    // Should it come back, it is asked again.
    project.urgent = project.urgent.filter((one) => one !== place.item);
    if (byKey.length === 0) this.projects.delete(projectId);
    return project;
  }

  /** Who of its project comes after one that waits, or that would stand there if it did. */
  behind(item: Item, own: number): Item | undefined {
    const byKey = this.projects.get(item.projectId)?.byKey ?? [];
    const at = placeOf(byKey, { item, own, key: this.keyOf(item, own) }, byKeyOrder);
    return (byKey[at]?.item === item ? byKey[at + 1] : byKey[at])?.item;
  }

  /** Smaller goes first, with this many tokens to be computed for it. */
  keyOf(item: Item, own: number): number {
    if (item.order < 0) return -Infinity;
    if (this.agePerMs === 0) return item.deadlineMs;
    return own + item.arrivedAtMs * this.agePerMs;
  }
}

type Compare = (one: Place<Queued>, other: Place<Queued>) => number;

const byKeyOrder: Compare = (one, other) =>
  compare(one.key, other.key) || one.item.order - other.item.order;
const byDeadlineOrder: Compare = (one, other) =>
  compare(one.item.deadlineMs, other.item.deadlineMs) || one.item.order - other.item.order;

/** Also of infinite ones. */
const compare = (one: number, other: number): number => (one < other ? -1 : one > other ? 1 : 0);

/** Where a place stands in such an order, or would. */
function placeOf<Item extends Queued>(
  places: readonly Place<Item>[],
  place: Place<Item>,
  order: Compare,
): number {
  let [from, to] = [0, places.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    const other = places[middle];
    if (other !== undefined && order(other, place) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}
