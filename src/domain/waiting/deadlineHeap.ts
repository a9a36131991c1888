/**
 * A binary heap of things that wake at a time, with removal from anywhere in O(log n): each item
 * keeps its own place. The earliest is first.
 */

/** What the heap needs of an item. `heapIndex` is the heap's: −1 while the item is not in it. */
export interface Timed {
  wakeAtMs: number;
  heapIndex: number;
}

export class DeadlineHeap<Item extends Timed> {
  private readonly items: Item[] = [];

  get size(): number {
    return this.items.length;
  }

  /** The item that wakes first; undefined when empty. */
  peek(): Item | undefined {
    return this.items[0];
  }

  /** Adds an item, or moves it after its `wakeAtMs` changed. */
  put(item: Item): void {
    if (item.heapIndex === -1) {
      item.heapIndex = this.items.length;
      this.items.push(item);
    }
    this.rise(item);
    this.sink(item);
  }

  /** Takes an item out. Does nothing when it is not in. */
  remove(item: Item): void {
    const index = item.heapIndex;
    if (index === -1) return;
    item.heapIndex = -1;
    const last = this.items.pop();
    if (last === undefined || last === item) return;
    this.place(last, index);
    this.rise(last);
    this.sink(last);
  }

  private place(item: Item, index: number): void {
    this.items[index] = item;
    item.heapIndex = index;
  }

  private rise(item: Item): void {
    while (item.heapIndex > 0) {
      const parentIndex = (item.heapIndex - 1) >> 1;
      const parent = this.items[parentIndex];
      if (parent === undefined || parent.wakeAtMs <= item.wakeAtMs) return;
      const index = item.heapIndex;
      this.place(item, parentIndex);
      this.place(parent, index);
    }
  }

  private sink(item: Item): void {
    for (;;) {
      const child = this.earlierChild(item.heapIndex);
      if (child === undefined || child.wakeAtMs >= item.wakeAtMs) return;
      const [index, childIndex] = [item.heapIndex, child.heapIndex];
      this.place(item, childIndex);
      this.place(child, index);
    }
  }

  private earlierChild(index: number): Item | undefined {
    const left = this.items[2 * index + 1];
    const right = this.items[2 * index + 2];
    if (left === undefined || right === undefined) return left;
    return right.wakeAtMs < left.wakeAtMs ? right : left;
  }
}
