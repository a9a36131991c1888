/** Users and their sessions. */
import type { SessionRow, UserRow } from '../contract/peopleStore.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { fromFlag, toFlag } from './columns.ts';

export async function isBootstrapped({ db }: Tx): Promise<boolean> {
  const user = await db.selectFrom('users').select('id').limit(1).executeTakeFirst();
  return user !== undefined;
}

/** Mail addresses are kept and looked up in lower case. */
export async function userByEmail({ db }: Tx, email: string): Promise<UserRow | null> {
  const row = await db
    .selectFrom('users')
    .selectAll()
    .where('email', '=', email.toLowerCase())
    .executeTakeFirst();
  return row === undefined ? null : toUser(row);
}

export async function userById({ db }: Tx, id: string): Promise<UserRow | null> {
  const row = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : toUser(row);
}

export async function insertUser({ db }: Tx, user: UserRow): Promise<void> {
  await db
    .insertInto('users')
    .values({
      id: user.id,
      email: user.email.toLowerCase(),
      password_hash: user.passwordHash,
      role: user.role,
      must_change_password: toFlag(user.mustChangePassword),
      created_at_ms: user.createdAtMs,
    })
    .execute();
}

export async function insertSession({ db }: Tx, session: SessionRow): Promise<void> {
  await db
    .insertInto('sessions')
    .values({
      token_sha256: session.tokenSha256,
      user_id: session.userId,
      created_at_ms: session.createdAtMs,
      expires_at_ms: session.expiresAtMs,
    })
    .execute();
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
  return user === null ? null : { ...toSession(session), user };
}

export async function deleteSession({ db }: Tx, tokenSha256: string): Promise<void> {
  await db.deleteFrom('sessions').where('token_sha256', '=', tokenSha256).execute();
}

export async function deleteExpiredSessions({ db }: Tx, nowMs: number): Promise<void> {
  await db.deleteFrom('sessions').where('expires_at_ms', '<=', nowMs).execute();
}

function toUser(row: Row<'users'>): UserRow {
  return {
    id: row.id,
    email: row.email,
    passwordHash: row.password_hash,
    role: row.role,
    mustChangePassword: fromFlag(row.must_change_password),
    createdAtMs: row.created_at_ms,
  };
}

function toSession(row: Row<'sessions'>): SessionRow {
  return {
    tokenSha256: row.token_sha256,
    userId: row.user_id,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms,
  };
}
