/**
 * What an attached engine says of itself, from the names that vLLM, llama-server, SGLang and TGI
 * give their metrics. What an engine does not say stays unknown.
 */
import { readPrometheusText, type MetricSample } from './prometheusText.ts';

export interface EngineGauges {
  /** Requests in the engine and before it, whoever sent them. */
  running?: number;
  queued?: number;
  /** Share of the KV cache that is taken, 0 to 1. */
  kvCacheUse?: number;
  /** Tokens since the engine's start: answers, and prompts. */
  outputTokens?: number;
  promptTokens?: number;
  /** Tokens of answers per second, where the engine works that out itself. */
  outputTokensPerSecond?: number;
  /** The engine's own names and numbers, for whoever knows them. */
  own: Record<string, number>;
}

type Gauge = Exclude<keyof EngineGauges, 'own'>;

/** By the engine's name for it. */
const gauges: Readonly<Record<string, Gauge>> = {
  'vllm:num_requests_running': 'running',
  'vllm:num_requests_waiting': 'queued',
  'vllm:kv_cache_usage_perc': 'kvCacheUse',
  'vllm:gpu_cache_usage_perc': 'kvCacheUse',
  'vllm:generation_tokens_total': 'outputTokens',
  'vllm:prompt_tokens_total': 'promptTokens',
  'llamacpp:requests_processing': 'running',
  'llamacpp:requests_deferred': 'queued',
  'llamacpp:kv_cache_usage_ratio': 'kvCacheUse',
  'llamacpp:tokens_predicted_total': 'outputTokens',
  'llamacpp:prompt_tokens_total': 'promptTokens',
  'sglang:num_running_reqs': 'running',
  'sglang:num_queue_reqs': 'queued',
  'sglang:token_usage': 'kvCacheUse',
  'sglang:generation_tokens_total': 'outputTokens',
  'sglang:prompt_tokens_total': 'promptTokens',
  'sglang:gen_throughput': 'outputTokensPerSecond',
  tgi_batch_current_size: 'running',
  tgi_queue_size: 'queued',
};

/** Passed on under the engine's own names and not looked at. */
const others = [
  'vllm:num_preemptions_total',
  'vllm:prefix_cache_queries_total',
  'vllm:prefix_cache_hits_total',
  'vllm:request_success_total',
  'llamacpp:n_decode_total',
  'llamacpp:n_busy_slots_per_decode',
  'llamacpp:kv_cache_tokens',
  'sglang:cache_hit_rate',
];

const wanted: ReadonlySet<string> = new Set([...Object.keys(gauges), ...others]);

/** Those that are shares: of several, the fullest counts. All others add up. */
const shares: ReadonlySet<Gauge> = new Set<Gauge>(['kvCacheUse']);

/** What the page says of a model; of all models where it does not tell them apart. */
export function engineGauges(text: string, engineModel: string): EngineGauges {
  const all = readPrometheusText(text, wanted);
  const named = all.filter(({ labels }) => modelOf(labels) === engineModel);
  const result: EngineGauges = { own: {} };
  for (const { name, value } of named.length > 0 ? named : all) {
    result.own[name] = (result.own[name] ?? 0) + value;
    const gauge = gauges[name];
    if (gauge === undefined || value < 0) continue;
    const before = result[gauge] ?? 0;
    result[gauge] = shares.has(gauge) ? Math.min(1, Math.max(before, value)) : before + value;
  }
  return result;
}

function modelOf(labels: MetricSample['labels']): string | undefined {
  return labels['model_name'] ?? labels['model'];
}
