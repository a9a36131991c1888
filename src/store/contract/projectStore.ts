/** Projects, and who may do what in them. */
import type { ProjectEntry } from '../../domain/directory.ts';
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditNote } from './auditStore.ts';
import type { MemberRole } from './memberStore.ts';
import type { Refused } from './refused.ts';

export interface ProjectRow extends ProjectEntry {
  version: number;
  createdAtMs: number;
}

export interface ProjectStore {
  /**
   * A project by id or slug with the account's role in it: null when it has none, or when `userId`
   * is null.
   */
  projectAccess(input: {
    project: string;
    userId: string | null;
  }): Promise<{ project: ProjectRow; role: MemberRole | null } | null>;
  /**
   * Those that the account is a member of, or all (`userId` null; then with no role). Oldest first;
   * a place is `[createdAtMs, id]`.
   */
  projectsOf(input: {
    userId: string | null;
    page: Page;
  }): Promise<Paged<{ project: ProjectRow; role: MemberRole | null }>>;
  /**
   * With its first owner, if it is a person's; an account may own at most `ownedLimit`. With
   * `sharesAlone`, at most one project at a time has shared access.
   */
  insertProject(input: {
    project: ProjectRow;
    ownerId: string | null;
    ownedLimit: number | null;
    sharesAlone: boolean;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'slug_taken' | 'too_many' | 'another_shares'>>;
  /** `sharesAlone` as above. */
  updateProject(input: {
    id: string;
    expectedVersion: number | null;
    change: { name?: string; sharedAccess?: boolean };
    sharesAlone: boolean;
    audit: AuditNote;
  }): Promise<
    { ok: true; project: ProjectRow } | Refused<'unknown' | 'version_conflict' | 'another_shares'>
  >;
  /**
   * Only when it has no endpoint and no agent that is not dead. Members, invitations, keys,
   * budgets, join keys, own models and dead agents go with it; usage and the audit log stay.
   */
  deleteProject(input: {
    id: string;
    audit: AuditNote;
  }): Promise<
    { ok: true } | Refused<'unknown'> | (Refused<'in_use'> & { endpoints: number; agents: number })
  >;
}
