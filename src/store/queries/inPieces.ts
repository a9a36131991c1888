/**
 * Writes many rows of one table.
 *
 * Batches are of every size. A statement for each size would be built, compiled and prepared anew
 * each time, which was nearly half of what a usage record cost; so a batch goes in pieces of few
 * sizes, whose statements are made once.
 */
import type { CompiledQuery } from 'kysely';
import { usageRowsPerStatement } from '../limits.ts';
import type { Tx } from '../transaction.ts';

/** By dialect, name and number of rows. */
const statements = new Map<string, CompiledQuery<unknown>>();

/**
 * `build` makes the statement of a piece; `name` is its own. The members of every row stand in the
 * order in which the statement takes them. Gives what the statements return.
 */
export async function inPieces<Row extends object, Returned>(
  { db, dialect }: Tx,
  write: {
    name: string;
    rows: readonly Row[];
    build: (piece: Row[]) => CompiledQuery<Returned>;
  },
): Promise<Returned[]> {
  const { name, rows, build } = write;
  const returned: Returned[] = [];
  let from = 0;
  for (const size of usageRowsPerStatement) {
    for (; rows.length - from >= size; from += size) {
      const piece = rows.slice(from, from + size);
      const key = `${dialect} ${name} ${size}`;
      const statement = (statements.get(key) as CompiledQuery<Returned>) ?? build(piece);
      statements.set(key, statement);
      const parameters = piece.flatMap(Object.values) as unknown[];
      returned.push(...(await db.executeQuery<Returned>({ ...statement, parameters })).rows);
    }
  }
  return returned;
}
