/** What an upgrade must keep, and what shape it must lead to. */
import assert from 'node:assert/strict';
import { sql } from 'kysely';
import type { Contents } from './fillTables.ts';
import { openRaw } from './rawDatabase.ts';

/** Columns whose values a migration means to change, as `table.column`. */
const changedOnPurpose = new Set([
  // 3: until then a revoked key did not say since when; 4: endpoints and models say it of changes.
  'api_keys.revoked_at_ms',
  'endpoints.updated_at_ms',
  'models.updated_at_ms',
]);

/** Every row and value of `before` is in `after`, in the columns that are still there. */
export function assertKept(before: Contents, after: Contents): void {
  for (const [table, rows] of Object.entries(before)) {
    const now = after[table];
    assert.ok(now !== undefined, `the table ${table} is gone`);
    for (const row of rows) {
      const kept = now.some((candidate) =>
        Object.entries(row).every(
          ([column, value]) =>
            !(column in candidate) ||
            candidate[column] === value ||
            changedOnPurpose.has(`${table}.${column}`),
        ),
      );
      assert.ok(kept, `${table} has lost ${JSON.stringify(row)}`);
    }
  }
}

/** Tables, columns and indexes of a database, in an order of their own. */
export async function shapeOf(url: string): Promise<unknown> {
  const raw = openRaw({ url });
  try {
    const tables = await raw.any.introspection.getTables();
    const indexes = await (
      raw.dialect === 'sqlite'
        ? sql`select tbl_name as "table", name, sql as text from sqlite_master where type = 'index'`
        : sql`select tablename as "table", indexname as name, indexdef as text from pg_indexes
            where schemaname = 'public'`
    ).execute(raw.any);
    const constraints =
      raw.dialect === 'sqlite'
        ? []
        : (
            await sql`select conrelid::regclass::text as "table", pg_get_constraintdef(oid) as text
              from pg_constraint where connamespace = 'public'::regnamespace`.execute(raw.any)
          ).rows;
    return [...tables, ...indexes.rows, ...constraints]
      .map((each) => JSON.stringify(each))
      .toSorted();
  } finally {
    await raw.close();
  }
}
