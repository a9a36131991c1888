/** Identities of OpenID Connect and the accounts behind them. */
import type { AuditNote } from './auditStore.ts';
import type { UserRow } from './peopleStore.ts';
import type { Refused } from './refused.ts';

export interface IdentityRow {
  issuer: string;
  subject: string;
  userId: string;
  createdAtMs: number;
}

export interface IdentityStore {
  userByIdentity(input: { issuer: string; subject: string }): Promise<UserRow | null>;
  /** `taken`: the identity is of another account, or the account has another one of this issuer. */
  linkIdentity(input: {
    identity: IdentityRow;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'taken'>>;
  /** The account and its identity at once. */
  insertUserWithIdentity(input: {
    user: UserRow;
    identity: IdentityRow;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'email_taken' | 'taken'>>;
}
