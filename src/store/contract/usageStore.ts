/**
 * One row for each request that was served or refused after admission, and what they come to by the
 * hour.
 */
import type { UsageDimension } from '../../domain/metering/usageDimensions.ts';
import type { Page, Paged } from '../../lib/page.ts';

export interface UsageRow {
  requestId: string;
  projectId: string;
  endpointId: string;
  endpointSlug: string;
  apiKeyId: string;
  modelId: string;
  agentId: string | null;
  tier: string;
  startedAtMs: number;
  inputTokens: number | null;
  cachedTokens: number | null;
  outputTokens: number | null;
  ttftMs: number | null;
  latencyMs: number;
  queueMs: number;
  status: number;
  outcome: string;
  stream: boolean;
  usageClamped: boolean;
  /** A shared agent served it. */
  shared: boolean;
  /** Millionths of the operator's unit. */
  costMicros: number;
}

/** What was left out is not looked at. */
export interface UsageFilter {
  /** Epoch ms; from it on, and before it. */
  fromMs?: number | undefined;
  toMs?: number | undefined;
  /** Slug or id. */
  endpoint?: string | undefined;
  modelId?: string | undefined;
  apiKeyId?: string | undefined;
  /** `shared`: every shared one. */
  agentId?: string | undefined;
  tier?: string | undefined;
}

export interface UsageSums {
  requests: number;
  /** Those that were answered whole. */
  succeeded: number;
  inputTokens: number;
  cachedTokens: number;
  outputTokens: number;
  /** Of tokens, and of agents' time. */
  costMicros: number;
  /** For how long private agents were linked, and what of the cost that is. */
  agentMs: number;
  agentCostMicros: number;
}

/** Sums of one group. Only what was asked for is there. */
export interface UsageGroup extends UsageSums {
  /** Beginning of its hour or day, in epoch ms. */
  atMs?: number;
  endpointId?: string;
  endpointSlug?: string;
  modelId?: string;
  apiKeyId?: string;
  /** `shared`, or empty when nobody served. */
  agentId?: string;
  tier?: string;
}

export type Names = Readonly<Record<string, string>>;

/** A private agent had a link for this time, at this price. */
export interface UptimeRow {
  agentId: string;
  projectId: string;
  /** Epoch ms. */
  fromMs: number;
  toMs: number;
  /** Millionths of the operator's unit. */
  hourPriceMicros: number;
}

export interface UsageStore {
  recordUsage(batch: readonly UsageRow[]): Promise<void>;
  /**
   * Counts each moment of an agent once, however often it is told, as long as times of one agent
   * are told in their order: what lies before the last moment of an hour that was counted is known.
   */
  recordUptime(batch: readonly UptimeRow[]): Promise<void>;
  /** Newest first; a place is `[startedAtMs, requestId]`. */
  recentUsage(input: {
    projectId: string;
    filter?: UsageFilter & { outcome?: string | undefined };
    page: Page;
  }): Promise<Paged<UsageRow>>;
  /** One of them; null: the project has no such request. */
  usageRecord(input: { projectId: string; requestId: string }): Promise<UsageRow | null>;
  /**
   * Sums by the dimensions that are asked for; `from` and `to` count in whole hours. By time first,
   * then the costliest first; `more`: there were more groups than `limit`.
   */
  usageSummary(input: {
    projectId: string;
    filter: UsageFilter;
    by: readonly UsageDimension[];
    limit: number;
  }): Promise<{ total: UsageSums; groups: UsageGroup[]; more: boolean }>;
  /** What things of a project are called, by id; shared agents are none of its. */
  usageNames(input: {
    projectId: string;
    agentIds: readonly string[];
    apiKeyIds: readonly string[];
    modelIds: readonly string[];
  }): Promise<{ agents: Names; apiKeys: Names; models: Names }>;
}
