/** API keys: hashes and what they may do. */
import type { ApiKeyEntry } from '../../domain/directory.ts';
import type { BootstrapRows } from '../contract/platformStore.ts';
import type { Refused } from '../contract/refused.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { appendChanges } from './changes.ts';
import { fromFlag, fromList, toFlag, toList } from './columns.ts';

/** An API key with what only its owner's list shows. */
export type ApiKeyRow = BootstrapRows['apiKeys'][number];

/** Oldest first, revoked ones included. */
export async function apiKeysOf({ db }: Tx, projectId: string): Promise<ApiKeyRow[]> {
  const rows = await db
    .selectFrom('api_keys')
    .selectAll()
    .where('project_id', '=', projectId)
    .orderBy('created_at_ms')
    .orderBy('id')
    .execute();
  return rows.map((row) => ({
    ...toApiKey(row),
    name: row.name,
    createdAtMs: row.created_at_ms,
    lastFour: row.last_four,
  }));
}

/** Revoking a revoked key is the same answer and no change. */
export async function revokeApiKey(
  tx: Tx,
  { id, projectId }: { id: string; projectId: string },
): Promise<{ ok: true } | Refused<'unknown'>> {
  const key = await tx.db
    .selectFrom('api_keys')
    .select('id')
    .where('id', '=', id)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  if (key === undefined) return { ok: false, reason: 'unknown' };
  const { numUpdatedRows } = await tx.db
    .updateTable('api_keys')
    .set({ revoked: 1 })
    .where('id', '=', id)
    .where('revoked', '=', 0)
    .executeTakeFirst();
  if (numUpdatedRows > 0n) await appendChanges(tx, [{ kind: 'api_key', id }]);
  return { ok: true };
}

export async function insertApiKey({ db }: Tx, key: ApiKeyRow): Promise<void> {
  await db
    .insertInto('api_keys')
    .values({
      id: key.id,
      project_id: key.projectId,
      name: key.name,
      sha256: key.sha256,
      last_four: key.lastFour,
      scopes: toList(key.scopes),
      endpoint_id: key.endpointId,
      expires_at_ms: key.expiresAtMs,
      ip_allow_list: toList(key.ipAllowList),
      revoked: toFlag(key.revoked),
      created_at_ms: key.createdAtMs,
    })
    .execute();
}

export function toApiKey(row: Row<'api_keys'>): ApiKeyEntry {
  return {
    id: row.id,
    projectId: row.project_id,
    sha256: row.sha256,
    scopes: fromList(row.scopes),
    endpointId: row.endpoint_id,
    expiresAtMs: row.expires_at_ms,
    ipAllowList: fromList(row.ip_allow_list),
    revoked: fromFlag(row.revoked),
  };
}
