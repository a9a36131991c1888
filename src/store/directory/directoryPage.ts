/**
 * The directory's entries in packed pages. The database itself makes one JSON text of a page, so
 * that neither a worker nor a driver handles millions of values one by one.
 */
import { sql } from 'kysely';
import type { DirectoryEntries, DirectoryStore, EntryKind } from '../contract/directoryStore.ts';
import type { Tx } from '../transaction.ts';
import { agentEntryColumns, toAgent } from '../agents/agents.ts';
import { apiKeyEntryColumns, toApiKey } from '../projects/apiKeys.ts';
import { budgetEntryColumns, toBudget } from '../usage/budgets.ts';
import { endpointEntryColumns, toEndpoint } from '../catalogue/endpoints.ts';
import { approvedColumn, modelEntryColumns, toModel } from '../catalogue/models.ts';
import { projectEntryColumns, toProject } from '../projects/projects.ts';

interface Kind<Entry> {
  table: string;
  columns: readonly string[];
  /** From a row by the names of the columns. */
  toEntry: (row: never) => Entry;
}

const kinds: { [Name in EntryKind]: Kind<DirectoryEntries[Name]> } = {
  project: { table: 'projects', columns: projectEntryColumns, toEntry: toProject },
  model: { table: 'models', columns: modelEntryColumns, toEntry: toModel },
  endpoint: { table: 'endpoints', columns: endpointEntryColumns, toEntry: toEndpoint },
  agent: { table: 'agents', columns: agentEntryColumns, toEntry: toAgent },
  api_key: { table: 'api_keys', columns: apiKeyEntryColumns, toEntry: toApiKey },
  budget: { table: 'budgets', columns: budgetEntryColumns, toEntry: toBudget },
};

export async function directoryPage(
  { db, dialect }: Tx,
  { kind, after, limit }: Parameters<DirectoryStore['directoryPage']>[0],
): ReturnType<DirectoryStore['directoryPage']> {
  const { table, columns } = kinds[kind];
  const selected = columns.map((name) =>
    name === 'approved' ? sql`${approvedColumn} as approved` : sql.ref(`${table}.${name}`),
  );
  const names = sql.join(columns.map((name) => sql.ref(name)));
  const packed =
    dialect === 'sqlite'
      ? sql`json_group_array(json_array(${names}))`
      : sql`coalesce(json_agg(json_build_array(${names})), '[]')::text`;
  const { rows } = await sql<{ rows: string; last: string | null; count: number }>`
    select ${packed} as rows, max(id) as last, count(*) as count from (
      select ${sql.join(selected)} from ${sql.table(table)}
      ${after === null ? sql`` : sql`where id > ${after}`}
      order by id limit ${limit}
    ) as page`.execute(db);
  const [page] = rows;
  if (page === undefined) throw new Error('an aggregate has no row');
  return { rows: page.rows, next: page.count < limit ? null : page.last };
}

/**
 * The entries of a page. `shared` collects texts that very many rows have in common, each of which
 * is kept once.
 */
export function unpackPage<Name extends EntryKind>(
  kind: Name,
  { rows, shared }: { rows: string; shared: Map<string, string> },
): DirectoryEntries[Name][] {
  const { columns, toEntry }: Kind<DirectoryEntries[Name]> = kinds[kind];
  const share = (text: string): string => {
    const known = shared.get(text);
    if (known === undefined) shared.set(text, text);
    return known ?? text;
  };
  return (JSON.parse(rows) as unknown[][]).map((values) => {
    const row: Record<string, unknown> = {};
    for (const [at, column] of columns.entries()) {
      const value = values[at];
      row[column] = typeof value === 'string' && common.has(column) ? share(value) : value;
    }
    return toEntry(row as never);
  });
}

const common = new Set(['project_id', 'region', 'model_id', 'endpoint_id']);
