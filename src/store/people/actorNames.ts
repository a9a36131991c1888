/** Names of those who did something, for whoever reads of it. */
import type { Tx } from '../transaction.ts';

/**
 * To each row the name of its actor: of `user:<id>` the e-mail address, of `key:<id>` the key's
 * name; null: there is none (any more). Two queries for all rows together.
 */
export async function withActorNames<Row extends { actor: string }>(
  tx: Tx,
  rows: readonly Row[],
): Promise<(Row & { actorName: string | null })[]> {
  const names = new Map<string, string>();
  const users = idsOf(rows, 'user:');
  if (users.length > 0) {
    const query = tx.db.selectFrom('users').select(['id', 'email']).where('id', 'in', users);
    for (const { id, email } of await query.execute()) names.set(`user:${id}`, email);
  }
  const keys = idsOf(rows, 'key:');
  if (keys.length > 0) {
    const query = tx.db.selectFrom('api_keys').select(['id', 'name']).where('id', 'in', keys);
    for (const { id, name } of await query.execute()) names.set(`key:${id}`, name);
  }
  return rows.map((row) => ({ ...row, actorName: names.get(row.actor) ?? null }));
}

function idsOf(rows: readonly { actor: string }[], kind: 'user:' | 'key:'): string[] {
  const of = rows.flatMap(({ actor }) =>
    actor.startsWith(kind) ? [actor.slice(kind.length)] : [],
  );
  return [...new Set(of)];
}
