/** Reads one piece of a list that is ordered by columns which together are unique. */
import { sql, type SelectQueryBuilder } from 'kysely';
import type { Page, Paged } from '../../lib/page.ts';

/**
 * `order` names selected columns, the last of which makes the order unique (an id); all of them go
 * in one direction. The place is compared as a row value, which both databases answer from an index
 * over `order`.
 */
export async function pageAfter<DB, TB extends keyof DB, Output>(
  query: SelectQueryBuilder<DB, TB, Output>,
  options: {
    order: readonly (keyof Output & string)[];
    direction: 'asc' | 'desc';
    page: Page;
  },
): Promise<Paged<Output>> {
  const { order, direction, page } = options;
  const columns = sql.join(order.map((column) => sql.ref(column)));
  let asked = query;
  if (page.after !== null) {
    const compare = sql.raw(direction === 'asc' ? '>' : '<');
    const place = sql.join(page.after);
    asked = asked.where(sql<boolean>`(${columns}) ${compare} (${place})`);
  }
  for (const column of order) asked = asked.orderBy(sql.ref(column), direction);
  // One more than asked for says whether there is more.
  const rows = await asked.limit(page.limit + 1).execute();
  const items = rows.slice(0, page.limit) as Output[];
  const last = items.at(-1);
  if (rows.length <= page.limit || !last) return { items, next: null };
  return { items, next: order.map((column) => last[column] as string | number) };
}
