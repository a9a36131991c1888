/** A finished request as it is shown. */
import type { RequestAnswer } from '../../api/control/requests.ts';
import type { RequestView } from '../../control/usage/recentRequests.ts';
import { costText } from '../../domain/metering/price.ts';
import { isoTime } from '../control/isoTime.ts';

export function requestAnswer(view: RequestView): RequestAnswer {
  return {
    id: view.requestId,
    started_at: isoTime(view.startedAtMs),
    endpoint: view.endpointSlug,
    tier: view.tier,
    agent: view.agentName,
    outcome: view.outcome,
    status: view.status,
    stream: view.stream,
    queue_ms: view.queueMs,
    ttft_ms: view.ttftMs,
    latency_ms: view.latencyMs,
    input_tokens: view.inputTokens,
    cached_tokens: view.cachedTokens,
    output_tokens: view.outputTokens,
    cost: costText(view.costMicros),
    model_id: view.modelId,
    api_key_id: view.apiKeyId,
  };
}
