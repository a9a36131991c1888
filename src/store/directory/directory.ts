/** What feeds the directory of the data plane after its first load: numbered changes (S2, S6). */
import { rowsPerStatement } from '../limits.ts';
import type { Change, ChangesOutcome, DirectoryStore } from '../contract/directoryStore.ts';
import type { Row } from '../tables.ts';
import type { ChangeKind } from '../tables/frameTables.ts';
import type { Tx } from '../transaction.ts';
import { agentEntryColumns, toAgent } from '../agents/agents.ts';
import { toApiKey } from '../projects/apiKeys.ts';
import { toBudget } from '../usage/budgets.ts';
import { chunks } from '../queries/columns.ts';
import { toEndpoint } from '../catalogue/endpoints.ts';
import { selectModels, toModel } from '../catalogue/models.ts';
import { toProject } from '../projects/projects.ts';
import { regionMapEntry } from '../catalogue/regionMap.ts';

export async function directoryHead(tx: Tx): ReturnType<DirectoryStore['directoryHead']> {
  return { revision: await headRevision(tx), regionMap: await regionMapEntry(tx) };
}

/** A thing that changed twice appears twice, both times as it is now. */
export async function changesSince(
  tx: Tx,
  { revision, limit }: { revision: number; limit: number },
): Promise<ChangesOutcome> {
  const head = await headRevision(tx);
  if (revision === head) return { ok: true, changes: [] };
  const rows = await tx.db
    .selectFrom('changes')
    .selectAll()
    .where('revision', '>', revision)
    .orderBy('revision')
    .limit(limit)
    .execute();
  // Without gaps, the first row is the next revision, unless that was trimmed; and a reader that is
  // ahead of us has read another history (a restored backup).
  if (rows[0]?.revision !== revision + 1) return { ok: false, reason: 'snapshot_needed' };
  return { ok: true, changes: await withEntries(tx, rows) };
}

async function headRevision({ db }: Tx): Promise<number> {
  const head = await db.selectFrom('change_head').select('revision').executeTakeFirstOrThrow();
  return head.revision;
}

/** How the data plane sees the things of a kind, by id. */
const entriesByKind: Record<
  ChangeKind,
  (tx: Tx, ids: readonly string[]) => Promise<{ id: string }[]>
> = {
  project: async ({ db }, ids) =>
    (await db.selectFrom('projects').selectAll().where('id', 'in', ids).execute()).map(toProject),
  api_key: async ({ db }, ids) =>
    (await db.selectFrom('api_keys').selectAll().where('id', 'in', ids).execute()).map(toApiKey),
  endpoint: async ({ db }, ids) =>
    (await db.selectFrom('endpoints').selectAll().where('id', 'in', ids).execute()).map(toEndpoint),
  model: async (tx, ids) => (await selectModels(tx).where('id', 'in', ids).execute()).map(toModel),
  agent: async ({ db }, ids) =>
    (await db.selectFrom('agents').select(agentEntryColumns).where('id', 'in', ids).execute()).map(
      toAgent,
    ),
  budget: async ({ db }, ids) =>
    (await db.selectFrom('budgets').selectAll().where('id', 'in', ids).execute()).map(toBudget),
  region_map: async (tx) => [await regionMapEntry(tx)],
};

async function withEntries(tx: Tx, rows: readonly Row<'changes'>[]): Promise<Change[]> {
  const found = new Map<string, { id: string }>();
  for (const kind of Object.keys(entriesByKind) as ChangeKind[]) {
    const ids = new Set(rows.filter((row) => row.kind === kind).map((row) => row.entity_id));
    for (const chunk of chunks([...ids], rowsPerStatement)) {
      for (const entry of await entriesByKind[kind](tx, chunk)) {
        found.set(`${kind} ${entry.id}`, entry);
      }
    }
  }
  return rows.map(({ revision, kind, entity_id: id }) => {
    const entry = found.get(`${kind} ${id}`) ?? null;
    return { revision, kind, id, entry } as Change;
  });
}
