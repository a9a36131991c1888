/** One row for each request that was served or refused after admission. */
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
}

export interface UsageStore {
  recordUsage(batch: readonly UsageRow[]): Promise<void>;
  /** Newest first; a place is `[startedAtMs, requestId]`. */
  recentUsage(input: { projectId: string; page: Page }): Promise<Paged<UsageRow>>;
}
