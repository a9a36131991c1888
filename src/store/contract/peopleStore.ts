/** Users and their sessions. */
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditNote } from './auditStore.ts';
import type { Refused } from './refused.ts';

export interface UserRow {
  id: string;
  email: string;
  /** Null: signs in with a provider of identities only. */
  passwordHash: string | null;
  role: 'admin' | 'user';
  mustChangePassword: boolean;
  /** Whether a second factor is asked for. */
  secondFactor: boolean;
  disabledAtMs: number | null;
  lastSignInAtMs: number | null;
  version: number;
  createdAtMs: number;
}

export type SessionMethod = 'password' | 'oidc';

export interface SessionRow {
  tokenSha256: string;
  userId: string;
  method: SessionMethod;
  createdAtMs: number;
  expiresAtMs: number;
}

/** What an operator changes of an account. */
export interface UserChange {
  role?: 'admin' | 'user';
  /** Epoch ms; null enables it again. */
  disabledAtMs?: number | null;
}

export interface PeopleStore {
  userByEmail(email: string): Promise<UserRow | null>;
  userById(id: string): Promise<UserRow | null>;
  /** Oldest first; a place is `[createdAtMs, id]`. */
  users(input: { page: Page }): Promise<Paged<UserRow>>;
  insertUser(input: {
    user: UserRow;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'email_taken'>>;
  /**
   * Disabling ends the sessions in the same transaction. One admin that is enabled always stays.
   */
  updateUser(input: {
    id: string;
    expectedVersion: number | null;
    change: UserChange;
    audit: AuditNote;
  }): Promise<{ ok: true; user: UserRow } | Refused<'unknown' | 'version_conflict' | 'last_admin'>>;
  /** Ends every session of the account but `keepSessionSha256`. */
  setPassword(input: {
    userId: string;
    passwordHash: string;
    mustChangePassword: boolean;
    /** The hash that the old password was compared with; undefined: whatever there is. */
    expectedHash?: string | undefined;
    keepSessionSha256: string | null;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'unknown' | 'stale'>>;

  /**
   * `stale`: the account was disabled, or its password is no longer the one whose hash was compared
   * (`checkedHash`; null: it was not by password).
   */
  insertSession(input: {
    session: SessionRow;
    checkedHash: string | null;
  }): Promise<{ ok: true } | Refused<'stale'>>;
  /** Null also when the account is disabled. */
  sessionByHash(
    tokenSha256: string,
    nowMs: number,
  ): Promise<(SessionRow & { user: UserRow }) | null>;
  deleteSession(tokenSha256: string): Promise<void>;
  deleteExpiredSessions(nowMs: number): Promise<void>;
}
