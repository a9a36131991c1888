/**
 * A map for what comes and goes with each request: as `Map`, without its order, and without leaving
 * what was removed to a full collection.
 *
 * A `Map` makes a new table each time that its old one is full of removed entries, and the old one
 * points to the new one, for the sake of iterators. Once a table has become old, every later one is
 * held by a dead table in the old generation, and with it whatever stood in it when it was given
 * up: with 64 requests at once nearly all that a request has made outlives it, is copied twice, and
 * goes with the next full collection (docs/internals/performance.md). Here an entry that is removed
 * is overwritten in place, and the place is used again.
 *
 * Open addressing with linear probing; what follows a removed entry moves up (Knuth, TAOCP 3, 6.4,
 * algorithm R), so that there are no tombstones.
 *
 * Invariants
 * M1 From the place that its hash names to its own no place before an entry is free.
 * M2 At most half of the places are taken: a look-up that finds nothing ends.
 */
export class SteadyMap<Key extends string | number, Value> {
  private entries: ([Key, Value] | undefined)[] = emptyPlaces(leastPlaces);
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(key: Key): Value | undefined {
    return this.entries[this.placeOf(key)]?.[1];
  }

  has(key: Key): boolean {
    return this.entries[this.placeOf(key)] !== undefined;
  }

  set(key: Key, value: Value): this {
    const place = this.placeOf(key);
    const known = this.entries[place];
    if (known !== undefined) known[1] = value;
    else {
      this.entries[place] = [key, value];
      this.count += 1;
      if (this.count * 2 > this.entries.length) this.resize(this.entries.length * 2); // M2
    }
    return this;
  }

  /** Whether it was there. */
  delete(key: Key): boolean {
    const { entries } = this;
    const mask = entries.length - 1;
    let free = this.placeOf(key);
    if (entries[free] === undefined) return false;
    this.count -= 1;
    for (let at = (free + 1) & mask; ; at = (at + 1) & mask) {
      const entry = entries[at];
      if (entry === undefined) break;
      // M1: it may move up unless its own place lies behind the free one.
      const distance = (at - hashOf(entry[0])) & mask;
      if (distance < ((at - free) & mask)) continue;
      entries[free] = entry;
      free = at;
    }
    entries[free] = undefined;
    const { length } = entries;
    if (length > leastPlaces && this.count * 16 < length) this.resize(length / 4);
    return true;
  }

  clear(): void {
    if (this.entries.length > leastPlaces) this.entries = emptyPlaces(leastPlaces);
    else if (this.count > 0) this.entries.fill(undefined);
    this.count = 0;
  }

  /** Those that are there now, in no order: a list that may be walked while they go. */
  values(): Value[] {
    const all: Value[] = [];
    for (const entry of this.entries) if (entry !== undefined) all.push(entry[1]);
    return all;
  }

  keys(): Key[] {
    const all: Key[] = [];
    for (const entry of this.entries) if (entry !== undefined) all.push(entry[0]);
    return all;
  }

  /** Where the key is, or would be. */
  private placeOf(key: Key): number {
    const { entries } = this;
    const mask = entries.length - 1;
    let place = hashOf(key) & mask;
    for (let entry = entries[place]; entry !== undefined && entry[0] !== key;) {
      place = (place + 1) & mask;
      entry = entries[place];
    }
    return place;
  }

  private resize(places: number): void {
    const old = this.entries;
    this.entries = emptyPlaces(Math.max(leastPlaces, places));
    for (const entry of old) if (entry !== undefined) this.entries[this.placeOf(entry[0])] = entry;
    // The old list may lie in the old generation: it must hold nobody.
    old.length = 0;
  }
}

const leastPlaces = 16;
/** Of a string its end counts: ids that rise with time begin alike. */
const hashedCharacters = 10;

function emptyPlaces(count: number): undefined[] {
  const places: undefined[] = [];
  for (let n = 0; n < count; n += 1) places.push(undefined);
  return places;
}

function hashOf(key: string | number): number {
  if (typeof key === 'number') return mixed(key);
  let hash = key.length;
  for (let at = Math.max(0, key.length - hashedCharacters); at < key.length; at += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  return mixed(hash);
}

function mixed(bits: number): number {
  const spread = Math.imul(bits, 0x9e3779b1);
  return spread ^ (spread >>> 15);
}
