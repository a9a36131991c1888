/** How values cross into columns and back (`tables.ts`, T2 and T3). */
import { sharedListsMax } from '../limits.ts';
import type { Flag, JsonText } from '../tables/columnTypes.ts';

export const toFlag = (value: boolean): Flag => (value ? 1 : 0);

export const fromFlag = (flag: Flag): boolean => flag === 1;

export const toList = (list: readonly string[]): JsonText => JSON.stringify(list);

export const toListOrNull = (list: readonly string[] | null): JsonText | null =>
  list === null ? null : JSON.stringify(list);

export function fromList<Item extends string>(text: JsonText): readonly Item[] {
  const known = lists.get(text);
  if (known !== undefined) return known as readonly Item[];
  const list = Object.freeze(JSON.parse(text) as Item[]);
  if (lists.size >= sharedListsMax) lists.clear();
  lists.set(text, list);
  return list;
}

export function fromListOrNull<Item extends string>(text: JsonText | null): readonly Item[] | null {
  return text === null ? null : fromList(text);
}

/**
 * A hundred thousand agents have a few lists of tiers among them, and as many keys a few of scopes:
 * lists that are alike are one list, which nobody may change.
 */
const lists = new Map<JsonText, readonly string[]>();

/** `storageLimitBytes` → `storage_limit_bytes`. */
export const snakeCase = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** A pattern for `like … escape '!'` that a text with this part fits. */
export const containing = (part: string): string => `%${part.replaceAll(/[!%_]/g, '!$&')}%`;

/** `rows` in pieces of at most `size`, in order. */
export function chunks<Item>(rows: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_none, at) =>
    rows.slice(at * size, (at + 1) * size),
  );
}
