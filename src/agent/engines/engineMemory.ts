/** How many tokens of keys and values an attached engine holds, as far as it says so. */
import { readPrometheusText } from '../health/prometheusText.ts';
import type { JsonObject } from './engine.ts';

const cacheConfig = 'vllm:cache_config_info';
const wanted: ReadonlySet<string> = new Set([cacheConfig]);
/** More than any machine holds: what is above is an error of the engine. */
const most = 1e9;

/** Of vLLM's page of metrics: blocks times their size, over all of its engines. */
export function heldByVllm(page: string): number | undefined {
  let sum = 0;
  for (const { labels } of readPrometheusText(page, wanted)) {
    sum += Number(labels['num_gpu_blocks']) * Number(labels['block_size']);
  }
  return plausible(sum);
}

/** Of what SGLang tells of its server. */
export function heldBySglang(info: JsonObject | undefined): number | undefined {
  return plausible(info?.['max_total_num_tokens']);
}

function plausible(tokens: unknown): number | undefined {
  const isOne = typeof tokens === 'number' && Number.isInteger(tokens);
  return isOne && tokens > 0 && tokens <= most ? tokens : undefined;
}
