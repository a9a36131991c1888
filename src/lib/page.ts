/**
 * Long lists in pieces. A place is the values of the columns by which a list is ordered, so that
 * rows that come and go do not shift a page; on the wire it is an opaque cursor.
 */

/** Where a row stands in its list. */
export type Place = readonly (string | number)[];

/** Up to `limit` rows behind the place `after`; null: from the beginning. */
export interface Page {
  after: Place | null;
  limit: number;
}

/** A piece of a list. `next` null: there is no more behind it. */
export interface Paged<Item> {
  items: Item[];
  next: Place | null;
}

/** The kinds of a place's values, in order: what a list's cursor must hold. */
export type PlaceKinds = readonly ('string' | 'number')[];

/** Longer cursors are none of ours. */
const longestCursor = 1024;

export function encodeCursor(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** Undefined: not a cursor of a list with these kinds. */
export function decodeCursor(text: string, kinds: PlaceKinds): Place | undefined {
  if (text.length > longestCursor || !/^[\w-]+$/.test(text)) return undefined;
  const place = parsed(Buffer.from(text, 'base64url').toString('utf8'));
  if (!Array.isArray(place) || place.length !== kinds.length) return undefined;
  return place.every((value, at) => isOfKind(value, kinds[at])) ? (place as Place) : undefined;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Numbers fit a 64-bit column, texts hold no NUL, which PostgreSQL refuses. */
function isOfKind(value: unknown, kind: 'string' | 'number' | undefined): boolean {
  if (kind === 'number') return Number.isSafeInteger(value);
  return typeof value === 'string' && !value.includes('\0');
}

/** The same piece of the list with its items turned into others. */
export function mapPage<From, To>(paged: Paged<From>, turn: (item: From) => To): Paged<To> {
  return { items: paged.items.map((item) => turn(item)), next: paged.next };
}
