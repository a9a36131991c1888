/**
 * First in, first out, with a bound on items and on their weight (bytes, usually). A full queue
 * refuses; what to do then (drop, reject, close) is the caller's decision, never an accident.
 *
 * Invariants
 * Q1 `size ≤ maxItems` and `weight ≤ maxWeight` at all times.
 * Q2 Items come out in the order in which they were accepted; a taken item is not held any more.
 */

export class BoundedQueue<Item> {
  readonly maxItems: number;
  readonly maxWeight: number;
  private items: (Item | undefined)[] = [];
  private weights: number[] = [];
  private first = 0;
  private totalWeight = 0;

  constructor(bounds: { maxItems: number; maxWeight?: number }) {
    this.maxItems = bounds.maxItems;
    this.maxWeight = bounds.maxWeight ?? Infinity;
  }

  /** Items that are waiting. */
  get size(): number {
    return this.items.length - this.first;
  }

  /** Sum of the weights of the waiting items. */
  get weight(): number {
    return this.totalWeight;
  }

  /** Adds at the end, or says that there is no room (Q1). `weight` is ≥ 0. */
  push(item: Item, weight = 0): 'accepted' | 'full' {
    if (this.size >= this.maxItems || this.totalWeight + weight > this.maxWeight) return 'full';
    this.items.push(item);
    this.weights.push(weight);
    this.totalWeight += weight;
    return 'accepted';
  }

  /** The oldest item, which stays. Undefined when empty. */
  peek(): Item | undefined {
    return this.items[this.first];
  }

  /** Takes the oldest item. Undefined when empty. */
  shift(): Item | undefined {
    if (this.first === this.items.length) return undefined;
    const item = this.items[this.first];
    this.items[this.first] = undefined;
    this.totalWeight -= this.weights[this.first] ?? 0;
    this.first += 1;
    // Half of the array is spent: moving the rest costs as much as the takes that led here.
    if (this.first * 2 >= this.items.length) this.compact();
    return item;
  }

  /** Takes every item, oldest first. */
  drain(): Item[] {
    const rest = this.items.slice(this.first) as Item[];
    this.items = [];
    this.weights = [];
    this.first = 0;
    this.totalWeight = 0;
    return rest;
  }

  private compact(): void {
    this.items = this.items.slice(this.first);
    this.weights = this.weights.slice(this.first);
    this.first = 0;
  }
}
