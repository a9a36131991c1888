/** API keys of projects. */
import type { ApiKeyEntry } from '../../domain/directory.ts';
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditNote } from './auditStore.ts';
import type { Refused } from './refused.ts';

/** An API key with what only its owner's list shows. */
export interface ApiKeyRow extends ApiKeyEntry {
  name: string;
  createdAtMs: number;
  /** As in the audit log; null: before it was kept. */
  createdBy: string | null;
  lastFour: string;
  revokedAtMs: number | null;
  rotatedAtMs: number | null;
  /** To the minute or so. */
  lastUsedAtMs: number | null;
  version: number;
}

/** What may be changed of a key; its scopes may not. */
export type ApiKeyChange = Partial<
  Pick<ApiKeyRow, 'name' | 'endpointId' | 'expiresAtMs' | 'ipAllowList' | 'quota'>
>;

export interface ApiKeyStore {
  /** Revoked ones included. Oldest first; a place is `[createdAtMs, id]`. */
  apiKeysOf(input: { projectId: string; page: Page }): Promise<Paged<ApiKeyRow>>;
  apiKeyById(input: { id: string; projectId: string }): Promise<ApiKeyRow | null>;
  /** By the hash of its present value. */
  apiKeyByHash(sha256: string): Promise<ApiKeyRow | null>;
  /**
   * At most `livingLimit` of a project are neither revoked nor expired. `endpointId` may be the
   * endpoint's slug, here and in `updateApiKey`; the key comes back with its id.
   */
  insertApiKey(input: {
    key: ApiKeyRow;
    livingLimit: number;
    audit: AuditNote;
  }): Promise<
    { ok: true; key: ApiKeyRow } | Refused<'too_many' | 'unknown_project' | 'unknown_endpoint'>
  >;
  /** One that has expired and is given a later end counts as a new one. */
  updateApiKey(input: {
    id: string;
    projectId: string;
    expectedVersion: number | null;
    change: ApiKeyChange;
    livingLimit: number;
    audit: AuditNote;
  }): Promise<
    | { ok: true; key: ApiKeyRow }
    | Refused<'unknown' | 'revoked' | 'version_conflict' | 'unknown_endpoint' | 'too_many'>
  >;
  /**
   * Gives the key a new value. The present one stays good until `graceUntilMs`, the one before it
   * ends now.
   */
  rotateApiKey(input: {
    id: string;
    projectId: string;
    expectedVersion: number | null;
    sha256: string;
    lastFour: string;
    nowMs: number;
    graceUntilMs: number;
    audit: AuditNote;
  }): Promise<
    { ok: true; key: ApiKeyRow } | Refused<'unknown' | 'revoked' | 'expired' | 'version_conflict'>
  >;
  /** Final. Revoking a revoked key is the same answer and no change. */
  revokeApiKey(input: {
    id: string;
    projectId: string;
    nowMs: number;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'unknown'>>;
  /** Never writes to `changes`; an older time than the stored one is ignored. */
  markApiKeysUsed(batch: readonly { id: string; atMs: number }[]): Promise<void>;
}
