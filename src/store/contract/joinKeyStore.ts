/** Join keys. What consumes them is the enrolment. */
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditNote } from './auditStore.ts';
import type { Refused } from './refused.ts';

export interface JoinKeyRow {
  id: string;
  /** Null: a platform key, which enrols shared agents. */
  projectId: string | null;
  secretSha256: string;
  name: string;
  region: string;
  supportedTiers: readonly string[] | null;
  storageLimitBytes: number | null;
  maxUses: number;
  uses: number;
  createdAtMs: number;
  expiresAtMs: number;
  revokedAtMs: number | null;
  createdBy: string;
}

export interface JoinKeyStore {
  insertJoinKey(input: {
    row: JoinKeyRow;
    /** Keys of the owner that may be open at once, this one among them; undefined: any number. */
    openAtMost?: number | undefined;
    audit: AuditNote;
  }): Promise<
    { ok: true } | Refused<'unknown_project'> | (Refused<'too_many_join_keys'> & { limit: number })
  >;
  joinKeyById(id: string): Promise<JoinKeyRow | null>;
  /** Newest first; a place is `[createdAtMs, id]`. */
  joinKeysPage(input: { projectId: string | null; page: Page }): Promise<Paged<JoinKeyRow>>;
  revokeJoinKey(input: {
    id: string;
    projectId: string | null;
    nowMs: number;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'unknown'>>;
  /** Forgets keys that expired before `beforeMs`, at most `limit` at once; says how many. */
  deleteOldJoinKeys(input: { beforeMs: number; limit: number }): Promise<number>;
}
