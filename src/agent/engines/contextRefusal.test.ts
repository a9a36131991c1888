import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { engineBody } from '../../testing/engines/engineBody.ts';
import {
  rawAnswer,
  says,
  startRawEngine,
  type RawEngine,
} from '../../testing/engines/rawEngine.ts';
import { until } from '../../testing/until.ts';
import type { EngineEnd, JsonObject } from './engine.ts';
import { UrlEngine } from './url.ts';
import { parseEngineUrl } from './urlAddress.ts';

const desired = {
  modelId: 'model_1',
  name: 'fake-model',
  source: 'hf:x/y',
  format: 'gguf',
  task: 'generate',
  sizeBytes: null,
  sha256: null,
  contextLength: null,
} as const;

interface Rig {
  raw: RawEngine;
  /** Asked with `/tokenize`, newest last. */
  counted: JsonObject[];
  run: (body: JsonObject, signal?: AbortSignal) => Promise<EngineEnd>;
}

/** An engine with a context of 100 tokens, which refuses with `error`. */
async function rig(
  t: TestContext,
  options: { error: JsonObject; owner?: string; count?: unknown },
): Promise<Rig> {
  const raw = await startRawEngine(options.owner);
  const address = parseEngineUrl(raw.url);
  assert.equal(address.kind, 'ok');
  const engine = new UrlEngine({
    address: address.address,
    apiKey: null,
    serve: new Map(),
    slots: 1,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  });
  t.after(async () => {
    await engine.stop();
    await raw.close();
  });
  await engine.start(new AbortController().signal);
  await engine.load({ desired, file: undefined, maxSlots: 0 });
  const counted: JsonObject[] = [];
  if (options.count !== undefined) {
    raw.routes.set('/tokenize', (body) => {
      counted.push(body);
      return typeof options.count === 'function' ? options.count() : options.count;
    });
  }
  raw.script = says(
    rawAnswer('400 Bad Request', 'application/json', JSON.stringify(options.error)),
  );
  const sink = { write: () => true, writable: () => Promise.resolve() };
  const run: Rig['run'] = (body, signal = new AbortController().signal) => {
    const instance = engine.offers()[0]?.instance ?? 'none';
    const path = '/v1/chat/completions';
    const request = { requestId: 'req_1', instance, path, ...engineBody(body), stream: true };
    return engine.run({ ...request, cacheSalt: undefined }, sink, signal);
  };
  return { raw, counted, run };
}

const prompt = (words: number): JsonObject => ({
  messages: [{ role: 'user', content: 'word '.repeat(words) }],
});
const codeOf = (end: EngineEnd): unknown[] =>
  end.kind === 'refused' ? [end.status, end.error.code, end.error.param] : [end.kind];
const exceeded = [400, 'context_length_exceeded', 'messages'];
/** As vLLM before it named parameters. */
const plain = { object: 'error', message: 'm', type: 'BadRequestError', param: null, code: 400 };

test('a prompt that vLLM finds too long is called a bad value: named by parameter', async (t) => {
  for (const param of ['input_tokens', 'input_text', 'max_tokens', 'max_completion_tokens']) {
    const { run } = await rig(t, { error: { error: { ...plain, param } } });
    assert.deepEqual(codeOf(await run({ ...prompt(1), max_tokens: 500 })), exceeded, param);
  }
});

test('a prompt that an older vLLM finds too long is called a bad value: counted', async (t) => {
  const { run, counted } = await rig(t, { error: plain, count: { count: 100, tokens: [1] } });
  const tools = [{ type: 'function', function: { name: 'f' } }];
  assert.deepEqual(codeOf(await run({ ...prompt(100), tools, temperature: 1 })), exceeded);
  const [asked] = counted;
  assert.equal(asked?.['model'], 'fake-model');
  assert.deepEqual(Object.keys(asked ?? {}), ['model', 'messages', 'tools']);
});

test('more output than fits beside the prompt is called a bad value', async (t) => {
  const { run } = await rig(t, { error: plain, count: { count: 40, tokens: [] } });
  assert.deepEqual(codeOf(await run({ ...prompt(40), max_tokens: 61 })), exceeded);
  assert.deepEqual(codeOf(await run({ ...prompt(40), max_completion_tokens: 61 })), exceeded);
  assert.deepEqual(codeOf(await run({ ...prompt(40), max_tokens: 60 })), [400, 400, undefined]);
});

test('another refusal of vLLM’s is called too long, or costs a count', async (t) => {
  const fits = await rig(t, { error: plain, count: { count: 99, tokens: [] } });
  assert.deepEqual(codeOf(await fits.run(prompt(500))), [400, 400, undefined]);
  const named = await rig(t, { error: { ...plain, param: 'top_k' }, count: { count: 999 } });
  assert.deepEqual(codeOf(await named.run(prompt(500))), [400, 400, 'top_k']);
  assert.equal(named.counted.length, 0);
  // `max_tokens` is to blame for something else when none was asked for.
  const none = await rig(t, { error: { ...plain, param: 'max_tokens' } });
  assert.deepEqual(codeOf(await none.run(prompt(1))), [400, 400, 'max_tokens']);
});

test('an engine that cannot count, or counts nonsense, changes the refusal', async (t) => {
  const silent = await rig(t, { error: plain });
  assert.deepEqual(codeOf(await silent.run(prompt(500))), [400, 400, undefined]);
  assert.ok(silent.raw.asked.includes('/tokenize'));
  for (const count of [{}, { count: '999' }, { count: null }, []]) {
    const odd = await rig(t, { error: plain, count });
    assert.deepEqual(codeOf(await odd.run(prompt(500))), [400, 400, undefined]);
  }
});

test('a list of tokens larger than the context could have is read to its end', async (t) => {
  const tokens = Array.from({ length: 100_000 }, (_, at) => at);
  const { run } = await rig(t, { error: plain, count: { count: tokens.length, tokens } });
  assert.deepEqual(codeOf(await run(prompt(500))), exceeded);
});

test('llama-server’s word for it, and what only sounds like it', async (t) => {
  const error = { code: 400, message: 'm', type: 'exceed_context_size_error', n_ctx: 100 };
  const llama = await rig(t, { error: { error }, owner: 'llamacpp' });
  assert.deepEqual(codeOf(await llama.run(prompt(1))), exceeded);
  const other = { ...plain, message: "This model's maximum context length is 100 tokens." };
  const unknown = await rig(t, { error: other, owner: 'somebody', count: { count: 999 } });
  assert.deepEqual(codeOf(await unknown.run(prompt(500))), [400, 400, undefined]);
  assert.equal(unknown.counted.length, 0);
});

test('a client that leaves while the tokens are counted waits for the count', async (t) => {
  const { run, raw } = await rig(t, { error: plain });
  const abort = new AbortController();
  raw.routes.set('/tokenize', () => {
    abort.abort();
    return { count: 999 };
  });
  assert.deepEqual(await run(prompt(500), abort.signal), { kind: 'cancelled' });
  await until(() => raw.active() === 0);
});
