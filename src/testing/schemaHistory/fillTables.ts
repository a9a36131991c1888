/** Fills every table that a database has, whatever version it is of. */
import { sql } from 'kysely';
import type { ColumnMetadata, Kysely, TableMetadata } from 'kysely';
import { historyMs, historyRows } from './historyRows.ts';
import type { HistoryRow, HistoryValue } from './historyRows.ts';

/** The database of an earlier version has tables that no type describes. */
export type AnyTables = Record<string, Record<string, unknown>>;
export type AnyDatabase = Kysely<AnyTables>;

/** Rows by table, as they were written or read. */
export type Contents = Record<string, Record<string, unknown>[]>;

/** Tables that the program keeps for itself. */
const ownTables = new Set(['migrations', 'sqlite_sequence']);

async function tablesOf(db: AnyDatabase): Promise<TableMetadata[]> {
  const tables = await db.introspection.getTables();
  return tables.filter(({ name, isView }) => !isView && !ownTables.has(name));
}

/** Afterwards no table is empty. */
export async function fillTables(db: AnyDatabase): Promise<void> {
  const tables = await tablesOf(db);
  const known = Object.keys(historyRows);
  const place = ({ name }: TableMetadata): number =>
    known.includes(name) ? known.indexOf(name) : known.length;
  for (const table of tables.toSorted((a, b) => place(a) - place(b))) {
    const there = await db.selectFrom(table.name).selectAll().execute();
    // What a migration itself has written stays.
    if (there.length > 0) continue;
    for (const row of historyRows[table.name] ?? [{}]) {
      await db.insertInto(table.name).values(rowFor(table, row)).execute();
    }
  }
  await sql`update change_head set revision = (select max(revision) from changes)`.execute(db);
}

/**
 * The row's values for the columns that there are, and values for columns that it does not name.
 */
function rowFor(table: TableMetadata, row: HistoryRow): Record<string, HistoryValue> {
  return Object.fromEntries(
    table.columns.flatMap((column) => {
      const value = valueFor(column, row);
      return value === undefined ? [] : [[column.name, value]];
    }),
  );
}

function valueFor(column: ColumnMetadata, row: HistoryRow): HistoryValue | undefined {
  const named = row[column.name];
  if (named !== undefined) return named;
  if (column.isAutoIncrementing || column.hasDefaultValue || column.isNullable) return undefined;
  return likeElsewhere(column.name) ?? (isNumber(column) ? historyMs : '[]');
}

/**
 * A reference mostly has the name that it has in other tables, and then leads to the same thing.
 */
function likeElsewhere(name: string): HistoryValue | undefined {
  return Object.values(historyRows)
    .flat()
    .map((row) => row[name])
    .find((value) => value !== undefined && value !== null);
}

const isNumber = ({ dataType }: ColumnMetadata): boolean => /int/i.test(dataType);

/** Everything that is in the database, each table in the order of its rows as text. */
export async function contentsOf(db: AnyDatabase): Promise<Contents> {
  const contents: Contents = {};
  for (const { name } of await tablesOf(db)) {
    const rows = await db.selectFrom(name).selectAll().execute();
    const plain = rows.map((row) => ({ ...row }));
    contents[name] = plain.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  return contents;
}
