/** Finished requests as records of a CSV file. */
import type { RequestView } from '../../control/usage/recentRequests.ts';
import { costText } from '../../domain/metering/price.ts';
import { csvLine, type CsvCell } from '../../lib/text/csv.ts';
import { isoTime } from '../control/isoTime.ts';

const columns: Readonly<Record<string, (view: RequestView) => CsvCell>> = {
  id: (view) => view.requestId,
  started_at: (view) => isoTime(view.startedAtMs),
  endpoint: (view) => view.endpointSlug,
  model: (view) => view.modelName,
  api_key: (view) => view.apiKeyName,
  agent: (view) => view.agentName,
  tier: (view) => view.tier,
  outcome: (view) => view.outcome,
  status: (view) => view.status,
  stream: (view) => view.stream,
  queue_ms: (view) => view.queueMs,
  ttft_ms: (view) => view.ttftMs,
  latency_ms: (view) => view.latencyMs,
  input_tokens: (view) => view.inputTokens,
  cached_tokens: (view) => view.cachedTokens,
  output_tokens: (view) => view.outputTokens,
  cost: (view) => costText(view.costMicros),
  model_id: (view) => view.modelId,
  api_key_id: (view) => view.apiKeyId,
};

export const requestCsvHead = csvLine(Object.keys(columns));

export function requestCsv(views: readonly RequestView[]): string {
  return views
    .map((view) => csvLine(Object.values(columns).map((cellOf) => cellOf(view))))
    .join('');
}
