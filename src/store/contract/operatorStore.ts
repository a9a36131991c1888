/** What the operator says: which digests shared agents may serve, of tiers, of near regions. */
import type { RegionMap } from '../../domain/agents/regionMap.ts';
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import type { TierSlice } from '../../domain/metering/tierMeasures.ts';
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditNote } from './auditStore.ts';
import type { Refused } from './refused.ts';

export interface ModelApprovalRow {
  /** Hex. */
  sha256: string;
  note: string;
  /** As in the audit log. */
  approvedBy: string;
  createdAtMs: number;
}

export interface TierFeaturesRow {
  tier: TierSlug;
  /** JSON of an object. */
  features: string;
  updatedAtMs: number;
  version: number;
}

export interface RegionMapRow extends RegionMap {
  updatedAtMs: number;
  version: number;
}

export interface OperatorStore {
  /** Newest first; a place is `[createdAtMs, sha256]`. */
  modelApprovals(input: { page: Page }): Promise<Paged<ModelApprovalRow>>;
  /** An approval that is there stays as it is. */
  approveModel(input: {
    approval: ModelApprovalRow;
    /** Approvals, at most. */
    atMost: number;
    audit: AuditNote;
  }): Promise<
    { ok: true; approval: ModelApprovalRow } | (Refused<'too_many_approvals'> & { limit: number })
  >;
  withdrawModelApproval(input: {
    sha256: string;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'not_found'>>;

  /** Of the tiers that have any. */
  tierFeatures(): Promise<TierFeaturesRow[]>;
  /** A tier of which nothing was said has version 0. */
  setTierFeatures(input: {
    tier: TierSlug;
    features: string;
    expectedVersion: number | null;
    audit: AuditNote;
  }): Promise<{ ok: true; row: TierFeaturesRow } | Refused<'version_conflict'>>;
  /** Of requests that began from `fromMs` until before `toMs`, by the tier that served. */
  tierSlices(input: { fromMs: number; toMs: number }): Promise<TierSlice[]>;

  regionMap(): Promise<RegionMapRow>;
  setRegionMap(input: {
    groups: RegionMap['groups'];
    expectedVersion: number | null;
    audit: AuditNote;
  }): Promise<{ ok: true; map: RegionMapRow } | Refused<'version_conflict'>>;
}
