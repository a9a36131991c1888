/** A set of which a random member is as quick to find as any other. */
import { randomInt, type Random } from '../../lib/random.ts';

export class SampledSet<Item> {
  private readonly items: Item[] = [];
  private readonly places = new Map<Item, number>();

  get size(): number {
    return this.items.length;
  }

  has(item: Item): boolean {
    return this.places.has(item);
  }

  add(item: Item): void {
    if (this.places.has(item)) return;
    this.places.set(item, this.items.length);
    this.items.push(item);
  }

  delete(item: Item): void {
    const place = this.places.get(item);
    if (place === undefined) return;
    this.places.delete(item);
    const last = this.items.pop();
    if (last === undefined || last === item) return;
    this.items[place] = last;
    this.places.set(last, place);
  }

  /** All of them. They must not change on the way. */
  all(): readonly Item[] {
    return this.items;
  }

  /** A random one; undefined when there is none. */
  sample(random: Random): Item | undefined {
    return this.items[randomInt(random, this.items.length)];
  }
}
