/** What the operator says of tiers. A tier of which nothing was said has version 0. */
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import type { OperatorStore, TierFeaturesRow } from '../contract/operatorStore.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import { versionConflict } from './changeEndpoint.ts';
import { lockOwner } from '../projects/ownerLock.ts';

export async function tierFeatures({ db }: Tx): Promise<TierFeaturesRow[]> {
  return (await db.selectFrom('tier_features').selectAll().execute()).map(toFeatures);
}

export async function setTierFeatures(
  tx: Tx,
  input: Parameters<OperatorStore['setTierFeatures']>[0],
): ReturnType<OperatorStore['setTierFeatures']> {
  const { tier, features, expectedVersion, audit } = input;
  await lockOwner(tx, null);
  const query = tx.db.selectFrom('tier_features').selectAll().where('tier', '=', tier);
  const known = await query.executeTakeFirst();
  const stale = versionConflict({ version: known?.version ?? 0 }, expectedVersion);
  if (stale !== null) return stale;
  if (known?.features === features) {
    noteNothing(tx);
    return { ok: true, row: toFeatures(known) };
  }
  const columns = {
    features,
    version: (known?.version ?? 0) + 1,
    updated_at_ms: audit.atMs,
  };
  const row = await tx.db
    .insertInto('tier_features')
    .values({ tier, ...columns })
    .onConflict((conflict) => conflict.column('tier').doUpdateSet(columns))
    .returningAll()
    .executeTakeFirstOrThrow();
  const from: { features: string | null } = { features: known?.features ?? null };
  noteChanges(tx, { from, to: { features }, fields: ['features'] });
  return { ok: true, row: toFeatures(row) };
}

function toFeatures(row: Row<'tier_features'>): TierFeaturesRow {
  return {
    tier: row.tier as TierSlug,
    features: row.features,
    updatedAtMs: row.updated_at_ms,
    version: row.version,
  };
}
