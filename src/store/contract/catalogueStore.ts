/** Endpoints, models, and the bindings between endpoints and agents. */
import type { AgentEntry, EndpointEntry, ModelEntry } from '../../domain/directory.ts';
import type { EndpointPatch, SettingsProblem } from '../../domain/settings/endpointSettings.ts';
import type { QuotaExcess } from '../../domain/settings/freeQuota.ts';
import type { ModelPatch } from '../../domain/settings/modelSettings.ts';
import type { TierSlug, TierTable } from '../../domain/tiers/tiers.ts';
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditNote } from './auditStore.ts';
import type { Refused } from './refused.ts';

export interface EndpointRow extends EndpointEntry {
  updatedAtMs: number;
  /** From 1, one more with each change. */
  version: number;
}

export interface ModelRow extends ModelEntry {
  createdAtMs: number;
  updatedAtMs: number;
  version: number;
}

/** An agent that is bound to an endpoint. */
export type BoundAgent = Pick<AgentEntry, 'id' | 'name' | 'projectId' | 'effectiveTiers' | 'state'>;

/** An endpoint with what belongs to it, as one transaction saw them. */
export interface EndpointDetail {
  endpoint: EndpointRow;
  model: ModelRow;
  /** Oldest first; empty unless it is exclusive. */
  boundAgents: BoundAgent[];
}

/** What the rules of the catalogue depend on besides its rows. */
export interface CatalogueRules {
  tiers: TierTable;
  /** The operator binds shared agents and may go below a tier's isolation. */
  byOperator: boolean;
}

export type EndpointRefusal =
  | Refused<'unknown_project' | 'slug_taken' | 'model_not_found'>
  /** `limit` endpoints may be there at once. */
  | (Refused<'too_many_endpoints'> & { limit: number })
  | (Refused<'bad_settings'> & { problem: SettingsProblem })
  | (Refused<'quota'> & { excess: QuotaExcess })
  | BindingRefusal;

export type BindingRefusal =
  /** It does not exist, is dead, or is not the caller's to bind. */
  | (Refused<'agent_not_found'> & { agentId: string })
  | (Refused<'endpoint_not_found'> & { endpointId: string })
  /** E2: it has its fallback on. */
  | (Refused<'endpoint_falls_back'> & { endpointSlug: string })
  | (Refused<'too_many_bindings'> & { limit: number });

export type ChangedEndpoint = { ok: true; detail: EndpointDetail };

export type ModelRefusal =
  | Refused<'unknown_project'>
  | (Refused<'too_many_models'> & { limit: number })
  | (Refused<'quota'> & { excess: QuotaExcess });

/** An endpoint by its own address; of another project's the project stands before it. */
export type EndpointName = { project: string; slug: string };

export interface CatalogueStore {
  // endpoints
  endpointsOf(projectId: string): Promise<EndpointRow[]>;
  /** Oldest first; a place is `[createdAtMs, id]`. */
  endpointPage(input: { projectId: string; page: Page }): Promise<Paged<EndpointDetail>>;
  /** By id or slug. */
  endpointByRef(input: { projectId: string; ref: string }): Promise<EndpointDetail | null>;
  /** With the agents bound to it, in one transaction. The caller has laid defaults under it. */
  createEndpoint(input: {
    endpoint: EndpointEntry;
    boundAgentIds: readonly string[];
    rules: CatalogueRules;
    /** Endpoints of the project, at most. */
    atMost: number;
    audit: AuditNote;
  }): Promise<ChangedEndpoint | EndpointRefusal>;
  updateEndpoint(input: {
    projectId: string;
    id: string;
    patch: EndpointPatch;
    /** Replaces the whole binding; empty: nobody, and not exclusive. Undefined: as it is. */
    boundAgentIds: readonly string[] | undefined;
    rules: CatalogueRules;
    expectedVersion: number | null;
    audit: AuditNote;
  }): Promise<ChangedEndpoint | EndpointRefusal | Refused<'not_found' | 'version_conflict'>>;
  /** Takes bindings and pins with it; usage records stay. */
  deleteEndpoint(input: { projectId: string; id: string; audit: AuditNote }): Promise<
    /** With the ids of the keys that were pinned to it, which are revoked with it. */
    | { ok: true; revokedKeyIds: string[] }
    | Refused<'not_found'>
    | (Refused<'quota'> & { excess: QuotaExcess })
  >;

  // models
  modelById(id: string): Promise<ModelRow | null>;
  /**
   * Oldest first; a place is `[createdAtMs, id]`. A project's own, the catalogue's (null), or, with
   * `withCatalogue`, both.
   */
  modelPage(input: {
    projectId: string | null;
    withCatalogue: boolean;
    page: Page;
  }): Promise<Paged<ModelRow>>;
  createModel(input: {
    model: Omit<ModelRow, 'approvedForShared' | 'version' | 'updatedAtMs'>;
    /** Models of the owner, at most. */
    atMost: number;
    audit: AuditNote;
  }): Promise<{ ok: true; model: ModelRow } | ModelRefusal>;
  /** `projectId` null: of the catalogue. */
  updateModel(input: {
    id: string;
    projectId: string | null;
    patch: ModelPatch;
    tiers: TierTable;
    expectedVersion: number | null;
    audit: AuditNote;
  }): Promise<
    | { ok: true; model: ModelRow }
    | Refused<'not_found' | 'version_conflict'>
    /** E3 of an endpoint that uses it. */
    | (Refused<'model_too_large'> & {
        endpoint: EndpointName;
        tier: TierSlug;
        sizeBytes: number;
        maxBytes: number;
      })
  >;
  deleteModel(input: { id: string; projectId: string | null; audit: AuditNote }): Promise<
    | { ok: true }
    | Refused<'not_found'>
    /** The first of the endpoints that use it, and how many there are. */
    | (Refused<'model_in_use'> & { endpoints: EndpointName[]; count: number })
  >;
  /** Points a catalogue model at another source (a first start with another `--model`). */
  updateModelSource(input: {
    id: string;
    name: string;
    source: string;
    sha256: string | null;
    sizeBytes: number | null;
    contextLength: number | null;
    nowMs: number;
  }): Promise<void>;
}
