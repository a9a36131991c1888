/**
 * Answers of the fake engine in the dialects of real ones: each with the members that its server
 * adds, leaves out or spells in its own way.
 */

export type FakeDialect = 'vllm' | 'llama' | 'ollama';

export interface FakeAnswer {
  dialect: FakeDialect;
  model: string;
  chunks: number;
  padding: string;
  /** The texts of its chunks; by default `w0 `, `w1 `, … */
  texts?: readonly string[];
  /** By default `stop`. */
  reason?: 'stop' | 'length';
}

const created = 1_700_000_000;
/** Encoded answers by what they depend on: a bench asks for the same one many thousand times. */
const encoded = new Map<string, readonly Buffer[]>();
const maxEncoded = 64;

/** Text of the n-th chunk. */
export function fakeWord(n: number, padding: string): string {
  return `w${n} ${padding}`;
}

/** The whole text of an answer. */
export function fakeText({
  chunks,
  padding,
  texts,
}: Pick<FakeAnswer, 'chunks' | 'padding' | 'texts'>): string {
  if (texts !== undefined) return texts.join('');
  return Array.from({ length: chunks }, (_, n) => fakeWord(n, padding)).join('');
}

export function fakeUsage({ dialect, chunks }: FakeAnswer): Record<string, unknown> {
  const counts = { prompt_tokens: 7, completion_tokens: chunks, total_tokens: 7 + chunks };
  if (dialect === 'ollama') return counts;
  return { ...counts, prompt_tokens_details: { cached_tokens: 2 } };
}

/** A whole answer. */
export function fakeAnswer(answer: FakeAnswer): Record<string, unknown> {
  const message = { role: 'assistant', content: fakeText(answer) };
  const choice = { index: 0, message, finish_reason: answer.reason ?? 'stop' };
  return {
    id: 'chatcmpl-fake',
    object: 'chat.completion',
    created,
    model: answer.model,
    choices: [answer.dialect === 'vllm' ? { ...choice, stop_reason: null } : choice],
    usage: fakeUsage(answer),
  };
}

/** The events of a streamed answer, `[DONE]` included; one buffer each. */
export function fakeChunks(answer: FakeAnswer): readonly Buffer[] {
  const key = JSON.stringify(answer);
  const known = encoded.get(key);
  if (known !== undefined) return known;
  const events = [...eventsOf(answer)];
  const buffers = events.map((event) => Buffer.from(`data: ${JSON.stringify(event)}\n\n`));
  const all = [...buffers, Buffer.from('data: [DONE]\n\n')];
  if (encoded.size >= maxEncoded) encoded.clear();
  encoded.set(key, all);
  return all;
}

function* eventsOf(answer: FakeAnswer): Generator<Record<string, unknown>> {
  const { dialect, model, chunks, padding, texts, reason = 'stop' } = answer;
  const frame = { id: 'chatcmpl-fake', object: 'chat.completion.chunk', created, model };
  const event = (delta: unknown, reason: string | null): Record<string, unknown> => {
    const choice = { index: 0, delta, finish_reason: reason };
    if (dialect === 'llama') return { choices: [choice], ...frame, system_fingerprint: 'b7000' };
    if (dialect === 'vllm') return { ...frame, choices: [{ ...choice, logprobs: null }] };
    return { ...frame, system_fingerprint: 'fp_ollama', choices: [choice] };
  };
  if (dialect === 'vllm') yield event({ role: 'assistant', content: '' }, null);
  if (dialect === 'llama') yield event({ role: 'assistant', content: null }, null);
  const role = dialect === 'ollama' ? { role: 'assistant' } : {};
  for (let n = 0; n < chunks; n += 1) {
    yield event({ ...role, content: texts?.[n] ?? fakeWord(n, padding) }, null);
  }
  yield event(dialect === 'llama' ? {} : { ...role, content: '' }, reason);
  const timings = dialect === 'llama' ? { timings: { cache_n: 2, prompt_n: 5 } } : {};
  yield { ...frame, choices: [], usage: fakeUsage(answer), ...timings };
}

/** The page of metrics that the server of a dialect would show; undefined for one without. */
export function fakeMetrics(
  dialect: FakeDialect,
  now: { model: string; active: number; chunksWritten: number },
): string | undefined {
  const { model, active, chunksWritten } = now;
  if (dialect === 'vllm') {
    const labels = `{engine="0",model_name="${model}"}`;
    return [
      '# HELP vllm:num_requests_running Number of requests in model execution batches.',
      '# TYPE vllm:num_requests_running gauge',
      `vllm:num_requests_running${labels} ${active}.0`,
      `vllm:num_requests_waiting${labels} 3.0`,
      'vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="26875"} 1.0',
      `vllm:kv_cache_usage_perc${labels} 0.25`,
      `vllm:generation_tokens_total${labels} ${chunksWritten}`,
      `vllm:prompt_tokens_total${labels} 1.5e3`,
      `vllm:e2e_request_latency_seconds_bucket{le="+Inf",model_name="${model}"} 12.0`,
      '',
    ].join('\n');
  }
  if (dialect === 'llama') {
    return [
      '# TYPE llamacpp:requests_processing gauge',
      `llamacpp:requests_processing ${active}`,
      'llamacpp:requests_deferred 3',
      'llamacpp:kv_cache_usage_ratio 0.25',
      `llamacpp:tokens_predicted_total ${chunksWritten}`,
      '',
    ].join('\n');
  }
  return undefined;
}
