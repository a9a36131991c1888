/**
 * The numbered changes that feed the directory (S2, S6).
 *
 * Why the revisions are safe to read while others write: a revision is taken by updating the one
 * row of `change_head`, and the row stays locked until the transaction ends. So transactions that
 * write to `changes` commit in the order of their revisions, a reader that sees n sees everything
 * below n, and one that rolls back gives its revisions back. A sequence would give numbers out
 * before the commit, and a reader could pass over one that commits late.
 */
import { sql } from 'kysely';
import { changesKept, rowsPerStatement } from '../limits.ts';
import type { ChangeKind } from '../tables/frameTables.ts';
import type { Tx } from '../transaction.ts';
import { chunks } from '../queries/columns.ts';

/** The channel on which PostgreSQL tells other connections of a commit. */
export const changeChannel = 'xim_changes';

/**
 * Makes this transaction the only one that writes to `changes` until it ends. `appendChanges` does
 * it by itself; a transaction calls this where it must exclude others before it reads.
 */
export async function lockChanges(tx: Tx): Promise<void> {
  await addToHead(tx, 0);
}

/** The last statement of a transaction that the data plane must see (X2). */
export async function appendChanges(
  tx: Tx,
  changes: readonly { kind: ChangeKind; id: string }[],
): Promise<void> {
  if (changes.length === 0) return;
  const last = await addToHead(tx, changes.length);
  const first = last - changes.length + 1;
  const rows = changes.map(({ kind, id }, at) => ({
    revision: first + at,
    kind,
    entity_id: id,
  }));
  for (const chunk of chunks(rows, rowsPerStatement)) {
    await tx.db.insertInto('changes').values(chunk).execute();
  }
  await tx.db
    .deleteFrom('changes')
    .where('revision', '<=', last - changesKept)
    .execute();
  if (tx.dialect === 'postgres') {
    await sql`select pg_notify(${changeChannel}, '')`.execute(tx.db);
  }
  tx.changed = true;
}

async function addToHead(tx: Tx, count: number): Promise<number> {
  const head = await tx.db
    .updateTable('change_head')
    .set((expression) => ({ revision: expression('revision', '+', count) }))
    .returning('revision')
    .executeTakeFirstOrThrow();
  return head.revision;
}
