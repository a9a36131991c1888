/**
 * The requests that wait for one pool of engine instances, in the order in which they are served: a
 * doubly linked list by `order`. Taking out of the middle costs nothing (a client hung up), putting
 * in walks from the end that is likely nearer.
 */

/** One place of a request in one list. A request that may use two pools has a place in both. */
export interface Place<Item> {
  readonly item: Item;
  readonly order: number;
  previous: Place<Item> | null;
  next: Place<Item> | null;
}

export class WaitingList<Item> {
  private head: Place<Item> | null = null;
  private tail: Place<Item> | null = null;
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Adds in order: smaller first, equal ones in the order of coming. */
  insert(item: Item, order: number): Place<Item> {
    const after = this.lastNotAfter(order);
    const next = after === null ? this.head : after.next;
    const place: Place<Item> = { item, order, previous: after, next };
    if (after === null) this.head = place;
    else after.next = place;
    if (next === null) this.tail = place;
    else next.previous = place;
    this.count += 1;
    return place;
  }

  /** Takes a place out. It must be in this list. */
  remove(place: Place<Item>): void {
    if (place.previous === null) this.head = place.next;
    else place.previous.next = place.next;
    if (place.next === null) this.tail = place.previous;
    else place.next.previous = place.previous;
    place.previous = null;
    place.next = null;
    this.count -= 1;
  }

  /** The first place whose item passes. */
  first(passes: (item: Item) => boolean): Place<Item> | null {
    for (let place = this.head; place !== null; place = place.next) {
      if (passes(place.item)) return place;
    }
    return null;
  }

  private lastNotAfter(order: number): Place<Item> | null {
    if (this.head === null || this.head.order > order) return null;
    let place = this.tail;
    while (place !== null && place.order > order) place = place.previous;
    return place;
  }
}
