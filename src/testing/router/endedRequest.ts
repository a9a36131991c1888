import { RequestTrail } from '../../router/receipts/requestTrail.ts';
import type { EndedRequest } from '../../router/receipts/receiptCodec.ts';
import { routedRequest } from './directoryEntries.ts';

/** A request that is over and that nobody served. */
export function endedRequest(options: { requestId: string; blocks?: number }): EndedRequest {
  const { requestId, blocks = 0 } = options;
  const trail = new RequestTrail();
  const hashes = Array.from({ length: blocks }, (_, n) => n + 1);
  trail.routed = { ...routedRequest(), prompt: { blocks: hashes, blockBytes: 1024 } };
  return {
    record: {
      requestId,
      projectId: 'proj_a',
      endpointId: 'ep_a',
      endpointSlug: 'main',
      apiKeyId: 'key_a',
      modelId: 'model_a',
      agentId: null,
      tier: 'free',
      startedAtMs: 1_700_000_000_000,
      inputTokens: null,
      cachedTokens: null,
      outputTokens: null,
      ttftMs: null,
      latencyMs: 12.3,
      queueMs: 12.3,
      status: 503,
      outcome: 'queue_timeout',
      stream: true,
      usageClamped: false,
      shared: false,
      costMicros: 0,
    },
    trail,
    arrivedAtMs: 0,
    bodyBytes: 1000,
    maxTokens: null,
    region: null,
  };
}
