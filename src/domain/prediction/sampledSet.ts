/** A set of which random members are as quick to find as any others. */
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

  /** So many random ones, each once; all where there are no more. It costs as much as it gives. */
  draw(count: number, random: Random): Item[] {
    const { items, places } = this;
    const most = Math.min(count, items.length);
    for (let at = 0; at < most; at += 1) {
      const other = at + randomInt(random, items.length - at);
      const [here, there] = [items[at] as Item, items[other] as Item];
      items[at] = there;
      items[other] = here;
      places.set(there, at);
      places.set(here, other);
    }
    return items.slice(0, most);
  }
}
