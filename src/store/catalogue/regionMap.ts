/** The operator's map of near regions: one row, which is always there. */
import type { RegionMapEntry } from '../../domain/directory.ts';
import type { OperatorStore, RegionMapRow } from '../contract/operatorStore.ts';
import type { Row } from '../tables.ts';
import { forUpdate } from '../transaction.ts';
import type { Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import { versionConflict } from './changeEndpoint.ts';
import { appendChanges } from '../directory/changes.ts';

export async function regionMap({ db }: Tx): Promise<RegionMapRow> {
  const row = await db.selectFrom('region_maps').selectAll().executeTakeFirstOrThrow();
  return toMap(row);
}

/** As the data plane sees it. */
export async function regionMapEntry(tx: Tx): Promise<RegionMapEntry> {
  return { id: 'near', groups: (await regionMap(tx)).groups };
}

export async function setRegionMap(
  tx: Tx,
  input: Parameters<OperatorStore['setRegionMap']>[0],
): ReturnType<OperatorStore['setRegionMap']> {
  const query = tx.db.selectFrom('region_maps').selectAll();
  const before = await forUpdate(tx, query).executeTakeFirstOrThrow();
  const stale = versionConflict(before, input.expectedVersion);
  if (stale !== null) return stale;
  const groups = JSON.stringify(input.groups);
  if (groups === before.near_groups) {
    noteNothing(tx);
    return { ok: true, map: toMap(before) };
  }
  const row = await tx.db
    .updateTable('region_maps')
    .set({
      near_groups: groups,
      version: before.version + 1,
      updated_at_ms: input.audit.atMs,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  const [from, to] = [toMap(before), toMap(row)];
  noteChanges(tx, { from, to, fields: ['groups'] });
  await appendChanges(tx, [{ kind: 'region_map', id: 'near' }]);
  return { ok: true, map: to };
}

function toMap(row: Row<'region_maps'>): RegionMapRow {
  return {
    groups: JSON.parse(row.near_groups) as string[][],
    updatedAtMs: row.updated_at_ms,
    version: row.version,
  };
}
