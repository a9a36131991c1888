/** Second factors and their recovery codes. */
import type { SecondFactorRow, SecondFactorStore } from '../contract/secondFactorStore.ts';
import { forUpdate, type Tx } from '../transaction.ts';

type Input<Name extends keyof SecondFactorStore> = Parameters<SecondFactorStore[Name]>[0];
type Outcome<Name extends keyof SecondFactorStore> = ReturnType<SecondFactorStore[Name]>;

export async function secondFactor({ db }: Tx, userId: string): Promise<SecondFactorRow | null> {
  const row = await db
    .selectFrom('second_factors')
    .selectAll()
    .where('user_id', '=', userId)
    .executeTakeFirst();
  if (row === undefined) return null;
  const { codes } = await db
    .selectFrom('recovery_codes')
    .select(({ fn }) => fn.countAll<number>().as('codes'))
    .where('user_id', '=', userId)
    .executeTakeFirstOrThrow();
  return {
    userId,
    sealedSecret: row.sealed_secret,
    createdAtMs: row.created_at_ms,
    confirmedAtMs: row.confirmed_at_ms,
    recoveryCodesLeft: codes,
  };
}

/** The account's lock first: it is there also where no second factor is yet. */
async function locked({ db, ...tx }: Tx, userId: string) {
  await forUpdate(
    { db, ...tx },
    db.selectFrom('users').select('id').where('id', '=', userId),
  ).execute();
  return db
    .selectFrom('second_factors')
    .selectAll()
    .where('user_id', '=', userId)
    .executeTakeFirst();
}

export async function beginSecondFactor(
  tx: Tx,
  { userId, sealedSecret, nowMs }: Input<'beginSecondFactor'>,
): Outcome<'beginSecondFactor'> {
  const present = await locked(tx, userId);
  if (present !== undefined && present.confirmed_at_ms !== null) {
    return { ok: false, reason: 'already_on' };
  }
  await tx.db.deleteFrom('second_factors').where('user_id', '=', userId).execute();
  await tx.db
    .insertInto('second_factors')
    .values({
      user_id: userId,
      sealed_secret: sealedSecret,
      created_at_ms: nowMs,
      confirmed_at_ms: null,
      last_step: null,
    })
    .execute();
  return { ok: true };
}

export async function confirmSecondFactor(
  tx: Tx,
  input: Input<'confirmSecondFactor'>,
): Outcome<'confirmSecondFactor'> {
  const { userId, sealedSecret, step, nowMs } = input;
  const present = await locked(tx, userId);
  if (present?.sealed_secret !== sealedSecret) return { ok: false, reason: 'stale' };
  if (present.confirmed_at_ms !== null) return { ok: false, reason: 'already_on' };
  await tx.db
    .updateTable('second_factors')
    .set({ confirmed_at_ms: nowMs, last_step: step })
    .where('user_id', '=', userId)
    .execute();
  await writeRecoveryCodes(tx, input);
  return { ok: true };
}

async function writeRecoveryCodes(
  { db }: Tx,
  { userId, recoveryHashes }: { userId: string; recoveryHashes: readonly string[] },
): Promise<void> {
  await db.deleteFrom('recovery_codes').where('user_id', '=', userId).execute();
  const rows = recoveryHashes.map((hash) => ({ user_id: userId, code_sha256: hash }));
  await db.insertInto('recovery_codes').values(rows).execute();
}

export async function useSecondFactorStep(
  { db }: Tx,
  { userId, step }: Input<'useSecondFactorStep'>,
): Outcome<'useSecondFactorStep'> {
  const { numUpdatedRows } = await db
    .updateTable('second_factors')
    .set({ last_step: step })
    .where('user_id', '=', userId)
    .where((eb) => eb.or([eb('last_step', 'is', null), eb('last_step', '<', step)]))
    .executeTakeFirst();
  return numUpdatedRows === 1n ? { ok: true } : { ok: false, reason: 'replayed' };
}

export async function useRecoveryCode(
  { db }: Tx,
  { userId, codeSha256 }: Input<'useRecoveryCode'>,
): Outcome<'useRecoveryCode'> {
  const { numDeletedRows } = await db
    .deleteFrom('recovery_codes')
    .where('user_id', '=', userId)
    .where('code_sha256', '=', codeSha256)
    .executeTakeFirst();
  return numDeletedRows === 1n ? { ok: true } : { ok: false, reason: 'unknown' };
}

export async function replaceRecoveryCodes(
  tx: Tx,
  input: Input<'replaceRecoveryCodes'>,
): Outcome<'replaceRecoveryCodes'> {
  const present = await locked(tx, input.userId);
  if (present === undefined || present.confirmed_at_ms === null) {
    return { ok: false, reason: 'unknown' };
  }
  await writeRecoveryCodes(tx, input);
  return { ok: true };
}

export async function removeSecondFactor(
  { db }: Tx,
  { userId }: Input<'removeSecondFactor'>,
): Outcome<'removeSecondFactor'> {
  const { numDeletedRows } = await db
    .deleteFrom('second_factors')
    .where('user_id', '=', userId)
    .executeTakeFirst();
  return numDeletedRows === 1n ? { ok: true } : { ok: false, reason: 'unknown' };
}
