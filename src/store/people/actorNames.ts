/** Names of those who did something, for whoever reads of it. */
import type { Tx } from '../transaction.ts';

/**
 * To each row the name of its actor: of `user:<id>` the e-mail address, of `key:<id>` the key's
 * name; null: there is none (any more). Of people, where a project's members read it, only the
 * members' names: an operator's address is not theirs to know. Two queries for all rows together.
 */
export async function withActorNames<Row extends { actor: string }>(
  tx: Tx,
  rows: readonly Row[],
  readers: { membersOf: string } | 'anybody' = 'anybody',
): Promise<(Row & { actorName: string | null })[]> {
  const names = new Map<string, string>();
  const users = idsOf(rows, 'user:');
  if (users.length > 0) {
    for (const { id, email } of await emails(tx, { users, readers })) {
      names.set(`user:${id}`, email);
    }
  }
  const keys = idsOf(rows, 'key:');
  if (keys.length > 0) {
    const query = tx.db.selectFrom('api_keys').select(['id', 'name']).where('id', 'in', keys);
    for (const { id, name } of await query.execute()) names.set(`key:${id}`, name);
  }
  return rows.map((row) => ({ ...row, actorName: names.get(row.actor) ?? null }));
}

function emails(
  { db }: Tx,
  { users, readers }: { users: string[]; readers: { membersOf: string } | 'anybody' },
): Promise<{ id: string; email: string }[]> {
  const all = db.selectFrom('users').select(['id', 'email']).where('id', 'in', users);
  if (readers === 'anybody') return all.execute();
  return all
    .where('id', 'in', (expression) =>
      expression
        .selectFrom('memberships')
        .select('user_id')
        .where('project_id', '=', readers.membersOf),
    )
    .execute();
}

function idsOf(rows: readonly { actor: string }[], kind: 'user:' | 'key:'): string[] {
  const of = rows.flatMap(({ actor }) =>
    actor.startsWith(kind) ? [actor.slice(kind.length)] : [],
  );
  return [...new Set(of)];
}
