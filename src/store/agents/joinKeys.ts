/** Join keys. What consumes them is `enroll.ts`. */
import { sql } from 'kysely';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { JoinKeyRow, JoinKeyStore } from '../contract/joinKeyStore.ts';
import type { Refused } from '../contract/refused.ts';
import type { Row } from '../tables.ts';
import { forUpdate, type Tx } from '../transaction.ts';
import { noteNothing } from '../projects/audit.ts';
import { fromListOrNull, toListOrNull } from '../queries/columns.ts';
import { lockOwner } from '../projects/ownerLock.ts';
import { pageAfter } from '../queries/pageAfter.ts';

/** By a person. The first start writes its keys with `writeJoinKey`. */
export async function insertJoinKey(
  tx: Tx,
  { row, openAtMost = Infinity }: Parameters<JoinKeyStore['insertJoinKey']>[0],
): ReturnType<JoinKeyStore['insertJoinKey']> {
  const { projectId, createdAtMs: nowMs } = row;
  if (!(await lockOwner(tx, projectId))) return { ok: false, reason: 'unknown_project' };
  const { open } = await ownedBy(tx, projectId)
    .select(({ fn }) => fn.countAll<number>().as('open'))
    .where('revoked_at_ms', 'is', null)
    .where('expires_at_ms', '>', nowMs)
    .where('uses', '<', sql.ref<number>('max_uses'))
    .executeTakeFirstOrThrow();
  if (open >= openAtMost) return { ok: false, reason: 'too_many_join_keys', limit: openAtMost };
  await writeJoinKey(tx, row);
  return { ok: true };
}

function ownedBy({ db }: Tx, projectId: string | null) {
  return db.selectFrom('join_keys').where('project_id', projectId === null ? 'is' : '=', projectId);
}

export async function writeJoinKey({ db }: Tx, key: JoinKeyRow): Promise<void> {
  await db
    .insertInto('join_keys')
    .values({
      id: key.id,
      project_id: key.projectId,
      secret_sha256: key.secretSha256,
      name: key.name,
      region: key.region,
      supported_tiers: toListOrNull(key.supportedTiers),
      storage_limit_bytes: key.storageLimitBytes,
      max_uses: key.maxUses,
      uses: key.uses,
      created_at_ms: key.createdAtMs,
      expires_at_ms: key.expiresAtMs,
      revoked_at_ms: key.revokedAtMs,
      created_by: key.createdBy,
    })
    .execute();
}

export async function joinKeyById({ db }: Tx, id: string): Promise<JoinKeyRow | null> {
  const row = await db.selectFrom('join_keys').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : toJoinKey(row);
}

/** Newest first. `null`: the platform's own. */
export async function joinKeysPage(
  tx: Tx,
  { projectId, page }: { projectId: string | null; page: Page },
): Promise<Paged<JoinKeyRow>> {
  const query = ownedBy(tx, projectId).selectAll();
  const order = ['created_at_ms', 'id'] as const;
  return mapPage(await pageAfter(query, { order, direction: 'desc', page }), toJoinKey);
}

/** The first revocation's time stays; another one changes nothing. */
export async function revokeJoinKey(
  tx: Tx,
  { id, projectId, nowMs }: { id: string; projectId: string | null; nowMs: number },
): Promise<{ ok: true } | Refused<'unknown'>> {
  const query = tx.db
    .selectFrom('join_keys')
    .select('revoked_at_ms')
    .where('id', '=', id)
    .where('project_id', projectId === null ? 'is' : '=', projectId);
  const key = await forUpdate(tx, query).executeTakeFirst();
  if (key === undefined) return { ok: false, reason: 'unknown' };
  if (key.revoked_at_ms !== null) {
    noteNothing(tx);
    return { ok: true };
  }
  await tx.db.updateTable('join_keys').set({ revoked_at_ms: nowMs }).where('id', '=', id).execute();
  return { ok: true };
}

/** What they enrolled stays, and so does the name of the key in it. */
export async function deleteOldJoinKeys(
  { db }: Tx,
  { beforeMs, limit }: { beforeMs: number; limit: number },
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('join_keys')
    .where('id', 'in', (expression) =>
      expression
        .selectFrom('join_keys')
        .select('id')
        .where('expires_at_ms', '<', beforeMs)
        .orderBy('expires_at_ms')
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

export function toJoinKey(row: Row<'join_keys'>): JoinKeyRow {
  return {
    id: row.id,
    projectId: row.project_id,
    secretSha256: row.secret_sha256,
    name: row.name,
    region: row.region,
    supportedTiers: fromListOrNull(row.supported_tiers),
    storageLimitBytes: row.storage_limit_bytes,
    maxUses: row.max_uses,
    uses: row.uses,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms,
    revokedAtMs: row.revoked_at_ms,
    createdBy: row.created_by,
  };
}
