/**
 * Idempotency keys (C5). The row of a key is locked by whoever changes something under it, until
 * that change commits: a second claim waits for the outcome of the first, whatever became of it.
 */
import type {
  ClaimOutcome,
  IdempotencyClaim,
  IdempotencyStore,
  KeptAnswer,
} from '../contract/idempotencyStore.ts';
import { StoreError } from '../storeError.ts';
import type { Row } from '../tables.ts';
import { forUpdate, type Tx } from '../transaction.ts';

type ClaimInput = Parameters<IdempotencyStore['claimIdempotencyKey']>[0];

export async function claimIdempotencyKey(tx: Tx, input: ClaimInput): Promise<ClaimOutcome> {
  const { numInsertedOrUpdatedRows } = await tx.db
    .insertInto('idempotency_keys')
    .values({ caller: input.caller, key: input.key, ...claimed(input) })
    .onConflict((conflict) => conflict.columns(['caller', 'key']).doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 1n) return { ok: true, answer: null };
  const query = tx.db
    .selectFrom('idempotency_keys')
    .selectAll()
    .where('caller', '=', input.caller)
    .where('key', '=', input.key);
  const row = await forUpdate(tx, query).executeTakeFirst();
  // Deleted between the two statements: whoever repeats the call finds it free.
  if (row === undefined) return { ok: false, reason: 'still_running' };
  const known = whatBecameOf(row, input);
  if (known !== undefined) return known;
  await tx.db
    .updateTable('idempotency_keys')
    .set(claimed(input))
    .where('caller', '=', input.caller)
    .where('key', '=', input.key)
    .execute();
  return { ok: true, answer: null };
}

function claimed(input: ClaimInput): Omit<Row<'idempotency_keys'>, 'caller' | 'key'> {
  return {
    claim_id: input.claimId,
    request_sha256: input.requestSha256,
    claimed_at_ms: input.nowMs,
    expires_at_ms: input.expiresAtMs,
    changed: 0,
    status: null,
    sealed_body: null,
  };
}

/** Undefined: the key is free again. */
function whatBecameOf(row: Row<'idempotency_keys'>, input: ClaimInput): ClaimOutcome | undefined {
  if (row.expires_at_ms <= input.nowMs) return undefined;
  const abandoned = row.claimed_at_ms < input.abandonedBeforeMs;
  if (row.status === null && row.changed === 0 && abandoned) return undefined;
  if (row.request_sha256 !== input.requestSha256) return { ok: false, reason: 'another_request' };
  if (row.status !== null && row.sealed_body !== null) {
    return { ok: true, answer: { status: row.status, sealedBody: row.sealed_body } };
  }
  return { ok: false, reason: abandoned ? 'answer_lost' : 'still_running' };
}

/**
 * Locks the key for a change under the claim. Throws `unavailable` when another call has taken it
 * meanwhile: repeated, the call is given that one's answer.
 */
export async function lockClaim(tx: Tx, claim: IdempotencyClaim): Promise<void> {
  const query = tx.db
    .selectFrom('idempotency_keys')
    .select('claim_id')
    .where('caller', '=', claim.caller)
    .where('key', '=', claim.key);
  const row = await forUpdate(tx, query).executeTakeFirst();
  if (row?.claim_id === claim.claimId) return;
  throw new StoreError('unavailable', 'a call took so long that another one has its key');
}

/** Says that this transaction, which has locked the claim, has changed something under it. */
export async function markClaimUsed({ db }: Tx, claim: IdempotencyClaim): Promise<void> {
  await db
    .updateTable('idempotency_keys')
    .set({ changed: 1 })
    .where('caller', '=', claim.caller)
    .where('key', '=', claim.key)
    .execute();
}

export async function keepIdempotentAnswer(
  { db }: Tx,
  { caller, key, claimId, status, sealedBody }: IdempotencyClaim & KeptAnswer,
): Promise<void> {
  await db
    .updateTable('idempotency_keys')
    .set({ status, sealed_body: sealedBody })
    .where('caller', '=', caller)
    .where('key', '=', key)
    .where('claim_id', '=', claimId)
    .execute();
}

export async function releaseIdempotencyKey(
  { db }: Tx,
  { caller, key, claimId }: IdempotencyClaim,
): Promise<void> {
  await db
    .deleteFrom('idempotency_keys')
    .where('caller', '=', caller)
    .where('key', '=', key)
    .where('claim_id', '=', claimId)
    .where('changed', '=', 0)
    .execute();
}

export async function deleteExpiredIdempotencyKeys({ db }: Tx, nowMs: number): Promise<void> {
  await db.deleteFrom('idempotency_keys').where('expires_at_ms', '<=', nowMs).execute();
}
