/** Users and their sessions. */
import type { Page, Paged } from '../../lib/page.ts';
import { mapPage } from '../../lib/page.ts';
import type { PeopleStore, SessionRow, UserRow } from '../contract/peopleStore.ts';
import type { Refused } from '../contract/refused.ts';
import type { Row } from '../tables.ts';
import { forUpdate, type Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import { fromFlag, toFlag } from '../queries/columns.ts';
import { pageAfter } from '../queries/pageAfter.ts';
import { endInvitationsOfOperator } from './endInvitations.ts';

type Input<Name extends keyof PeopleStore> = Parameters<PeopleStore[Name]>[0];

export async function isBootstrapped({ db }: Tx): Promise<boolean> {
  const user = await db.selectFrom('users').select('id').limit(1).executeTakeFirst();
  return user !== undefined;
}

/** Users with whether a second factor is asked for. */
export function selectUsers({ db }: Tx) {
  return db
    .selectFrom('users')
    .leftJoin('second_factors', (join) =>
      join
        .onRef('second_factors.user_id', '=', 'users.id')
        .on('second_factors.confirmed_at_ms', 'is not', null),
    )
    .selectAll('users')
    .select('second_factors.confirmed_at_ms as second_factor_since_ms');
}

/** Mail addresses are kept and looked up in lower case. */
export async function userByEmail(tx: Tx, email: string): Promise<UserRow | null> {
  const query = selectUsers(tx).where('users.email', '=', email.toLowerCase());
  const row = await query.executeTakeFirst();
  return row === undefined ? null : toUser(row);
}

export async function userById(tx: Tx, id: string): Promise<UserRow | null> {
  const row = await selectUsers(tx).where('users.id', '=', id).executeTakeFirst();
  return row === undefined ? null : toUser(row);
}

export async function users(tx: Tx, { page }: { page: Page }): Promise<Paged<UserRow>> {
  const order = ['created_at_ms', 'id'] as const;
  // Columns of the join's other side have other names, or are not selected.
  const query = tx.db.selectFrom(selectUsers(tx).as('listed')).selectAll();
  return mapPage(await pageAfter(query, { order, direction: 'asc', page }), toUser);
}

/** Whether it was written: false when the address has an account. */
export async function writeUser({ db }: Tx, user: UserRow): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('users')
    .values({
      id: user.id,
      email: user.email.toLowerCase(),
      password_hash: user.passwordHash,
      role: user.role,
      must_change_password: toFlag(user.mustChangePassword),
      disabled_at_ms: user.disabledAtMs,
      last_sign_in_at_ms: user.lastSignInAtMs,
      version: user.version,
      created_at_ms: user.createdAtMs,
    })
    .onConflict((conflict) => conflict.column('email').doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

export async function insertUser(
  tx: Tx,
  { user }: { user: UserRow },
): Promise<{ ok: true } | Refused<'email_taken'>> {
  return (await writeUser(tx, user)) ? { ok: true } : { ok: false, reason: 'email_taken' };
}

export async function updateUser(
  tx: Tx,
  input: Input<'updateUser'>,
): ReturnType<PeopleStore['updateUser']> {
  const { id, expectedVersion, change } = input;
  // All admins first and in one order, so that two who go at once see each other.
  const admins = await lockedAdmins(tx);
  await forUpdate(tx, tx.db.selectFrom('users').select('id').where('id', '=', id)).execute();
  const before = await userById(tx, id);
  if (before === null) return { ok: false, reason: 'unknown' };
  if (expectedVersion !== null && expectedVersion !== before.version) {
    return { ok: false, reason: 'version_conflict' };
  }
  const after = { ...before, ...change, version: before.version + 1 };
  const staysAdmin = after.role === 'admin' && after.disabledAtMs === null;
  if (!staysAdmin && admins.length === 1 && admins[0] === id) {
    return { ok: false, reason: 'last_admin' };
  }
  if (!noteChanges(tx, { from: noted(before), to: noted(after), fields: ['role', 'disabled'] })) {
    noteNothing(tx);
    return { ok: true, user: before };
  }
  await writeUserChange(tx, after);
  const isDisabled = after.disabledAtMs !== null;
  if (isDisabled || after.role !== 'admin') {
    const nowMs = input.audit.atMs;
    await endInvitationsOfOperator(tx, { userId: id, isDisabled, nowMs });
  }
  return { ok: true, user: after };
}

async function lockedAdmins(tx: Tx): Promise<string[]> {
  const query = tx.db
    .selectFrom('users')
    .select('id')
    .where('role', '=', 'admin')
    .where('disabled_at_ms', 'is', null)
    .orderBy('id');
  return (await forUpdate(tx, query).execute()).map(({ id }) => id);
}

function noted(user: UserRow) {
  return { role: user.role, disabled: user.disabledAtMs !== null };
}

async function writeUserChange(tx: Tx, after: UserRow): Promise<void> {
  await tx.db
    .updateTable('users')
    .set({ role: after.role, disabled_at_ms: after.disabledAtMs, version: after.version })
    .where('id', '=', after.id)
    .execute();
  if (after.disabledAtMs !== null) {
    await tx.db.deleteFrom('sessions').where('user_id', '=', after.id).execute();
  }
}

export async function setPassword(
  { db }: Tx,
  input: Input<'setPassword'>,
): ReturnType<PeopleStore['setPassword']> {
  const { userId, expectedHash, keepSessionSha256 } = input;
  let update = db
    .updateTable('users')
    .set({
      password_hash: input.passwordHash,
      must_change_password: toFlag(input.mustChangePassword),
    })
    .where('id', '=', userId);
  if (expectedHash !== undefined) update = update.where('password_hash', '=', expectedHash);
  const { numUpdatedRows } = await update.executeTakeFirst();
  if (numUpdatedRows === 0n) {
    return { ok: false, reason: expectedHash === undefined ? 'unknown' : 'stale' };
  }
  let ended = db.deleteFrom('sessions').where('user_id', '=', userId);
  if (keepSessionSha256 !== null) ended = ended.where('token_sha256', '<>', keepSessionSha256);
  await ended.execute();
  return { ok: true };
}

/** The update of the account first: its lock puts this before or behind a disabling. */
export async function insertSession(
  { db }: Tx,
  { session, checkedHash }: Input<'insertSession'>,
): ReturnType<PeopleStore['insertSession']> {
  let update = db
    .updateTable('users')
    .set({ last_sign_in_at_ms: session.createdAtMs })
    .where('id', '=', session.userId)
    .where('disabled_at_ms', 'is', null);
  if (checkedHash !== null) update = update.where('password_hash', '=', checkedHash);
  const { numUpdatedRows } = await update.executeTakeFirst();
  if (numUpdatedRows === 0n) return { ok: false, reason: 'stale' };
  await db
    .insertInto('sessions')
    .values({
      token_sha256: session.tokenSha256,
      user_id: session.userId,
      method: session.method,
      created_at_ms: session.createdAtMs,
      expires_at_ms: session.expiresAtMs,
    })
    .execute();
  return { ok: true };
}

export async function sessionByHash(
  tx: Tx,
  tokenSha256: string,
  nowMs: number,
): Promise<(SessionRow & { user: UserRow }) | null> {
  const session = await tx.db
    .selectFrom('sessions')
    .selectAll()
    .where('token_sha256', '=', tokenSha256)
    .where('expires_at_ms', '>', nowMs)
    .executeTakeFirst();
  if (session === undefined) return null;
  const user = await userById(tx, session.user_id);
  if (user === null || user.disabledAtMs !== null) return null;
  return { ...toSession(session), user };
}

export async function deleteSession({ db }: Tx, tokenSha256: string): Promise<void> {
  await db.deleteFrom('sessions').where('token_sha256', '=', tokenSha256).execute();
}

export async function deleteExpiredSessions({ db }: Tx, nowMs: number): Promise<void> {
  await db.deleteFrom('sessions').where('expires_at_ms', '<=', nowMs).execute();
}

export function toUser(row: Row<'users'> & { second_factor_since_ms: number | null }): UserRow {
  return {
    id: row.id,
    email: row.email,
    passwordHash: row.password_hash,
    role: row.role,
    mustChangePassword: fromFlag(row.must_change_password),
    secondFactor: row.second_factor_since_ms !== null,
    disabledAtMs: row.disabled_at_ms,
    lastSignInAtMs: row.last_sign_in_at_ms,
    version: row.version,
    createdAtMs: row.created_at_ms,
  };
}

function toSession(row: Row<'sessions'>): SessionRow {
  return {
    tokenSha256: row.token_sha256,
    userId: row.user_id,
    method: row.method,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms,
  };
}
