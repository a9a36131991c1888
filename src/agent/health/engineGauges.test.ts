import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineGauges } from './engineGauges.ts';
import { readPrometheusText } from './prometheusText.ts';

/** As vLLM 0.11 writes them; a second model and an engine of a second replica. */
const vllm = `
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="org/one"} 2.0
vllm:num_requests_running{engine="1",model_name="org/one"} 3.0
vllm:num_requests_running{engine="0",model_name="org/two"} 40.0
vllm:num_requests_waiting{engine="0",model_name="org/one"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="org/one"} 0.125
vllm:kv_cache_usage_perc{engine="1",model_name="org/one"} 0.5
vllm:generation_tokens_total{engine="0",model_name="org/one"} 1.234e+06
vllm:generation_tokens_created{engine="0",model_name="org/one"} 1.7e+09
vllm:request_success_total{engine="0",finished_reason="stop",model_name="org/one"} 7.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="org/one"} 1.0
`;

test('numbers of another model, or of one replica alone, are taken for the model’s', () => {
  const gauges = engineGauges(vllm, 'org/one');
  assert.deepEqual(
    [gauges.running, gauges.queued, gauges.kvCacheUse, gauges.outputTokens],
    [5, 4, 0.5, 1_234_000],
  );
  assert.equal(gauges.promptTokens, undefined, 'what is not said is not 0');
  assert.equal(gauges.own['vllm:request_success_total'], 8);
});

test('an engine that serves under another name, or names no model, says nothing', () => {
  assert.equal(engineGauges(vllm, 'an alias').running, 45);
  const llama = 'llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n';
  const { running, queued } = engineGauges(llama, 'any');
  assert.deepEqual([running, queued], [1, 2]);
});

test('a page that is broken, hostile or of another engine ends the agent', () => {
  const pages = [
    '',
    '<html>',
    'vllm:num_requests_running',
    'vllm:num_requests_running{',
    'vllm:num_requests_running{model_name="x',
    'vllm:num_requests_running{model_name="x"}',
    'vllm:num_requests_running NaN\nvllm:num_requests_running +Inf',
    'vllm:num_requests_running -5',
    '__proto__ 3\nconstructor 4',
  ];
  for (const page of pages) {
    const { running = 0 } = engineGauges(page, 'x');
    assert.equal(running, 0, page);
  }
  const huge = 'vllm:num_requests_running{a="b"} 1\n'.repeat(50_000);
  assert.equal(engineGauges(huge, 'x').running, 1_000);
});

test('a label that holds quotes, braces or a line end breaks its line', () => {
  const text = String.raw`m{a="x\"}y",b="1\n2",} 3 1700000000` + '\r\n';
  assert.deepEqual(readPrometheusText(text, new Set(['m'])), [
    { name: 'm', labels: { a: 'x"}y', b: '1\n2' }, value: 3 },
  ]);
});
