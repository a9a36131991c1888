/** Members of projects, and invitations to projects and to the platform. */
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditNote } from './auditStore.ts';
import type { UserRow } from './peopleStore.ts';
import type { Refused } from './refused.ts';

export type MemberRole = 'owner' | 'member';

export interface MemberRow {
  projectId: string;
  userId: string;
  email: string;
  role: MemberRole;
  /** Whether the account is disabled. */
  disabled: boolean;
  createdAtMs: number;
}

export interface InvitationRow {
  id: string;
  /** Null: to the platform alone. */
  projectId: string | null;
  /** Null with `projectId`. */
  projectRole: MemberRole | null;
  /** What an account that is made by accepting it becomes. */
  userRole: 'admin' | 'user';
  email: string;
  tokenSha256: string;
  createdBy: string;
  createdAtMs: number;
  expiresAtMs: number;
  acceptedAtMs: number | null;
  acceptedBy: string | null;
  revokedAtMs: number | null;
}

export type InvitationRefusal = 'unknown' | 'used' | 'revoked' | 'expired';

export interface MemberStore {
  /** Oldest first; a place is `[createdAtMs, userId]`. */
  membersOf(input: { projectId: string; page: Page }): Promise<Paged<MemberRow>>;
  addMember(input: {
    projectId: string;
    userId: string;
    role: MemberRole;
    nowMs: number;
    audit: AuditNote;
  }): Promise<{ ok: true; member: MemberRow } | Refused<'already_member' | 'unknown'>>;
  /** A project keeps an owner whose account is enabled. */
  setMemberRole(input: {
    projectId: string;
    userId: string;
    role: MemberRole;
    audit: AuditNote;
  }): Promise<{ ok: true; member: MemberRow } | Refused<'unknown' | 'last_owner'>>;
  removeMember(input: {
    projectId: string;
    userId: string;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'unknown' | 'last_owner'>>;

  /** `null`: those to the platform alone. Newest first; a place is `[createdAtMs, id]`. */
  invitationsOf(input: { projectId: string | null; page: Page }): Promise<Paged<InvitationRow>>;
  invitationByHash(tokenSha256: string): Promise<InvitationRow | null>;
  /** Forgets those that ended before `beforeMs`, however they ended. */
  deleteOldInvitations(beforeMs: number): Promise<void>;
  /** At most `openLimit` of a project (or of the platform) are open at once. */
  insertInvitation(input: {
    invitation: InvitationRow;
    openLimit: number;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'too_many' | 'unknown_project'>>;
  /** Revoking a revoked or expired one is the same answer; an accepted one stays accepted. */
  revokeInvitation(input: {
    id: string;
    projectId: string | null;
    nowMs: number;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'unknown' | 'used'>>;
  /**
   * Once, for the address that it names: by an account that there is, or by a new one. Who is a
   * member already keeps the greater role.
   */
  acceptInvitation(input: {
    id: string;
    by: { kind: 'existing'; userId: string } | { kind: 'new'; user: UserRow };
    nowMs: number;
    audit: AuditNote;
  }): Promise<
    | { ok: true; user: UserRow }
    | Refused<InvitationRefusal | 'email_taken' | 'another_address' | 'disabled'>
  >;
}
