/** Identities of OpenID Connect. */
import type { IdentityRow, IdentityStore } from '../contract/identityStore.ts';
import type { UserRow } from '../contract/peopleStore.ts';
import type { Tx } from '../transaction.ts';
import { selectUsers, toUser, writeUser } from './people.ts';

type Input<Name extends keyof IdentityStore> = Parameters<IdentityStore[Name]>[0];
type Outcome<Name extends keyof IdentityStore> = ReturnType<IdentityStore[Name]>;

export async function userByIdentity(
  tx: Tx,
  { issuer, subject }: { issuer: string; subject: string },
): Promise<UserRow | null> {
  const row = await selectUsers(tx)
    .innerJoin('identities', 'identities.user_id', 'users.id')
    .where('identities.issuer', '=', issuer)
    .where('identities.subject', '=', subject)
    .executeTakeFirst();
  return row === undefined ? null : toUser(row);
}

/** Whether it was written: false when either side is bound already. */
async function writeIdentity({ db }: Tx, identity: IdentityRow): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('identities')
    .values({
      issuer: identity.issuer,
      subject: identity.subject,
      user_id: identity.userId,
      created_at_ms: identity.createdAtMs,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

export async function linkIdentity(
  tx: Tx,
  { identity }: Input<'linkIdentity'>,
): Outcome<'linkIdentity'> {
  return (await writeIdentity(tx, identity)) ? { ok: true } : { ok: false, reason: 'taken' };
}

export async function insertUserWithIdentity(
  tx: Tx,
  { user, identity }: Input<'insertUserWithIdentity'>,
): Outcome<'insertUserWithIdentity'> {
  if (!(await writeUser(tx, user))) return { ok: false, reason: 'email_taken' };
  if (await writeIdentity(tx, identity)) return { ok: true };
  // What is refused leaves nothing behind.
  await tx.db.deleteFrom('users').where('id', '=', user.id).execute();
  return { ok: false, reason: 'taken' };
}
