import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import {
  startFakeEngine,
  type FakeEngine,
  type FakeEngineOptions,
} from '../../testing/engines/fakeEngine.ts';
import { ServedRequest } from '../serving/servedRequest.ts';
import { engineBody } from '../../testing/engines/engineBody.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { until } from '../../testing/until.ts';
import type { EngineEnd, EngineSink, JsonObject } from './engine.ts';
import { heldBySglang, heldByVllm } from './engineMemory.ts';
import { UrlEngine, type UrlEngineOptions } from './url.ts';
import { parseEngineUrl, type EngineAddress } from './urlAddress.ts';

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

interface Attached {
  fake: FakeEngine;
  engine: UrlEngine;
  load: () => ReturnType<UrlEngine['load']>;
  run: (body: JsonObject, options?: RunOptions) => Run;
}

interface RunOptions {
  stream?: boolean;
  signal?: AbortSignal;
  sink?: EngineSink;
  cacheSalt?: string;
}

interface Run {
  events: JsonObject[];
  end: Promise<EngineEnd>;
}

function addressOf(url: string): EngineAddress {
  const parsed = parseEngineUrl(url);
  assert.equal(parsed.kind, 'ok');
  return parsed.address;
}

function engineFor(url: string, options: Partial<UrlEngineOptions> = {}): UrlEngine {
  return new UrlEngine({
    address: addressOf(url),
    apiKey: null,
    serve: new Map(),
    slots: null,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    ...options,
  });
}

async function attach(
  t: TestContext,
  fakeOptions: FakeEngineOptions = {},
  options: Partial<UrlEngineOptions> = {},
): Promise<Attached> {
  const fake = await startFakeEngine(fakeOptions);
  const engine = engineFor(fake.url, options);
  t.after(async () => {
    await engine.stop();
    await fake.close();
  });
  await engine.start(new AbortController().signal);
  const load = (): ReturnType<UrlEngine['load']> =>
    engine.load({ desired, file: undefined, maxSlots: 0 });
  const run = (body: JsonObject, runOptions: RunOptions = {}): Run => {
    const events: JsonObject[] = [];
    const collecting: EngineSink = {
      write: (event) => {
        events.push(event);
        return true;
      },
      writable: () => Promise.resolve(),
    };
    const { signal = new AbortController().signal, sink = collecting } = runOptions;
    const request = {
      requestId: 'req_1',
      instance: engine.offers()[0]?.instance ?? 'none',
      path: '/v1/chat/completions',
      ...engineBody(body),
      stream: runOptions.stream ?? true,
      cacheSalt: runOptions.cacheSalt,
    };
    return { events, end: engine.run(request, sink, signal) };
  };
  return { fake, engine, load, run };
}

const hello = { messages: [{ role: 'user', content: 'hello' }] };
const order = (what: JsonObject): JsonObject => ({
  messages: [{ role: 'user', content: `fake:${JSON.stringify(what)}` }],
});

test('a stream loses an event, or its usage', async (t) => {
  const { load, run, fake } = await attach(t);
  assert.deepEqual(await load(), { kind: 'ready' });
  const { events, end } = run(hello);
  assert.deepEqual(await end, { kind: 'completed', usage: { input: 7, cached: 2, output: 5 } });
  assert.equal(events.length, 8);
  const [sent] = fake.bodies;
  assert.equal(sent?.['model'], 'fake-model');
  assert.deepEqual(sent?.['stream_options'], { include_usage: true });
});

test('a whole answer is not taken, or asked for as a stream', async (t) => {
  const { load, run, fake } = await attach(t);
  await load();
  const { events, end } = run(
    { ...hello, stream_options: { include_usage: true } },
    { stream: false },
  );
  assert.deepEqual(await end, { kind: 'completed', usage: { input: 7, cached: 2, output: 5 } });
  assert.equal(events.length, 1);
  assert.equal(fake.bodies[0]?.['stream'], false);
  assert.equal(fake.bodies[0]?.['stream_options'], undefined);
});

test('an engine behind a unix socket cannot be attached', async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'xim-url-'));
  t.after(() => rm(directory, { recursive: true }));
  const { load, run } = await attach(t, { socketPath: path.join(directory, 'engine.sock') });
  await load();
  assert.equal((await run(hello).end).kind, 'completed');
});

test('the engine’s key is not sent, or a wrong one goes unexplained', async (t) => {
  const { load, run } = await attach(t, { apiKey: 'secret' }, { apiKey: 'secret' });
  await load();
  assert.equal((await run(hello).end).kind, 'completed');
  const other = await attach(t, { apiKey: 'secret' });
  const outcome = await other.load();
  assert.ok(outcome.kind === 'failed' && outcome.message.includes('--engine-key'));
});

test('a model of another name is served by a guess, or without naming the option', async (t) => {
  const { load, engine } = await attach(t, { models: ['llama3.2:1b'] });
  const outcome = await load();
  assert.ok(outcome.kind === 'failed');
  assert.match(outcome.message, /--serve 'fake-model=llama3\.2:1b'/);
  assert.deepEqual(engine.offers(), []);
});

test('a mapped model is sent under the wrong name', async (t) => {
  const serve = new Map([['fake-model', 'llama3.2:1b']]);
  const { load, run, fake } = await attach(t, { models: ['other', 'llama3.2:1b'] }, { serve });
  assert.deepEqual(await load(), { kind: 'ready' });
  await run(hello).end;
  assert.equal(fake.bodies[0]?.['model'], 'llama3.2:1b');
});

test('several models, none of them ours, end in silence', async (t) => {
  const { load } = await attach(t, { models: ['a', 'b'] });
  const outcome = await load();
  assert.ok(outcome.kind === 'failed');
  assert.match(
    outcome.message,
    /serves a, b, but not "fake-model".*--serve 'fake-model=ENGINE_ID'/,
  );
});

test('what the engine is goes unnoticed', async (t) => {
  const { load, engine } = await attach(t, { dialect: 'llama', slots: 3 });
  await load();
  const [offer] = engine.offers();
  assert.equal(offer?.engine, 'llama.cpp');
  assert.equal(offer?.engineVersion, 'b7000-fake');
  assert.equal(offer?.slots, 3);
  assert.ok(offer?.abilities.includes('chat'));
  assert.ok(!offer?.abilities.includes('tools'));
});

test('how fast an engine is, is never measured, or nothing is served before', async (t) => {
  const { engine, load } = await attach(t, { timedMs: 5 });
  await load();
  assert.equal(engine.offers()[0]?.speed, undefined);
  await until(() => engine.offers()[0]?.speed !== undefined);
  const { firstByteMs = 0, perTokenMs = 0 } = engine.offers()[0]?.speed ?? {};
  assert.ok(firstByteMs > 0 && perTokenMs > 1, `${firstByteMs}, ${perTokenMs}`);
});

test('what an engine can stays unknown while it hangs in the answer that is timed', async (t) => {
  // Nothing ends by time here: the timed answer neither.
  const clock = new FakeClock();
  const { engine, load } = await attach(t, { continues: true, timedMs: 60_000 }, { clock });
  await load();
  await until(() => engine.offers()[0]?.abilities.includes('continue') === true);
  assert.equal(engine.offers()[0]?.speed, undefined);
});

test('an engine that is busy for us is timed as if it had nothing else to do', async (t) => {
  const { engine, load, run, fake } = await attach(t, { continues: true, timedMs: 5 });
  await load();
  const leave = new AbortController();
  const busy = run(order({ chunks: 10_000, tickMs: 10 }), { signal: leave.signal });
  await until(() => engine.offers()[0]?.abilities.includes('continue') === true);
  const { probes } = fake.stats();
  leave.abort();
  await busy.end;
  assert.equal(engine.offers()[0]?.speed, undefined);
  assert.equal(fake.stats().probes, probes);
});

test('an engine’s memory stays unknown, or is made up where slots have their own', async (t) => {
  const vllm = await attach(t);
  await vllm.load();
  assert.equal(vllm.engine.offers()[0]?.holdsTokens, 430_000);
  const llama = await attach(t, { dialect: 'llama' });
  await llama.load();
  assert.equal(llama.engine.offers()[0]?.holdsTokens, undefined);
  const page = (blocks: string): string =>
    `vllm:cache_config_info{block_size="16",num_gpu_blocks="${blocks}"} 1.0`;
  assert.equal(heldByVllm(`${page('10')}\n${page('20')}`), 480);
  for (const odd of ['None', '-5', '1e30', '']) assert.equal(heldByVllm(page(odd)), undefined);
  assert.equal(heldBySglang({ max_total_num_tokens: 1000 }), 1000);
  assert.equal(heldBySglang({ max_total_num_tokens: '1000' }), undefined);
});

test('an engine that ignores or refuses tools is granted them', async (t) => {
  const { load, engine, fake } = await attach(t);
  await load();
  await until(() => fake.stats().probes >= 10);
  assert.deepEqual(engine.offers()[0]?.abilities, ['chat']);
});

test('an engine that goes on from the middle of an answer is not found out', async (t) => {
  const { load, engine, run } = await attach(t, { continues: true });
  await load();
  await until(() => engine.offers()[0]?.abilities.includes('continue') === true);
  const answer = run({
    messages: [
      { role: 'user', content: 'Repeat exactly: Zoë said 👩🏽‍💻!' },
      { role: 'assistant', content: 'Zoë said' },
    ],
    continue_final_message: true,
    add_generation_prompt: false,
  });
  await answer.end;
  const choices = answer.events.flatMap(
    (event) => event['choices'] as { delta: { content?: string } }[],
  );
  const text = choices.map(({ delta }) => delta.content ?? '').join('');
  assert.equal(text, ' 👩🏽‍💻!');
});

test('the cache salt does not reach vLLM, or reaches who refuses it', async (t) => {
  const vllm = await attach(t);
  await vllm.load();
  await vllm.run(hello, { cacheSalt: 'salt' }).end;
  assert.equal(vllm.fake.bodies[0]?.['cache_salt'], 'salt');
  const llama = await attach(t, { dialect: 'llama' });
  await llama.load();
  await llama.run(hello, { cacheSalt: 'salt' }).end;
  assert.equal(llama.fake.bodies[0]?.['cache_salt'], undefined);
});

test('an engine reads another member than the router did, or another number', async (t) => {
  const { load, fake, engine } = await attach(t);
  await load();
  const ask = async (text: string): Promise<JsonObject | undefined> => {
    const open = { requestId: 'req_1', path: '/v1/chat/completions', model: 'own', created: 1 };
    const instance = engine.offers()[0]?.instance ?? 'none';
    const sizes = { bodyBytes: text.length, stream: false, includeUsage: false };
    const request = new ServedRequest({ ...open, instance, ...sizes }, Buffer.from(text));
    const sink = { write: () => true, writable: () => Promise.resolve() };
    const { kind } = await engine.run(request, sink, new AbortController().signal);
    assert.equal(kind, 'completed');
    return fake.bodies.at(-1);
  };
  const user = '[{"role":"user","content":"a"}]';
  const twice = `{"messages":[],"model":"x","m\\u006fdel":"y","messages":${user},"n":1}`;
  assert.deepEqual(await ask(twice), {
    messages: JSON.parse(user) as unknown,
    model: 'fake-model',
    stream: false,
    n: 1,
  });
  const spaced = ` { "messages" : ${user} , "stream_options":{"include_usage":true}, "stream":1 } `;
  assert.deepEqual(await ask(spaced), {
    messages: JSON.parse(user) as unknown,
    model: 'fake-model',
    stream: false,
  });
});

test('a cancel leaves the engine working', async (t) => {
  const { load, run, fake } = await attach(t, { tickMs: 20, chunks: 10_000 });
  await load();
  for (const stream of [true, false]) {
    const abort = new AbortController();
    const aborted = fake.stats().aborted;
    const { end } = run(hello, { signal: abort.signal, stream });
    await until(() => fake.stats().active === 1);
    abort.abort();
    assert.equal((await end).kind, 'cancelled');
    await until(() => fake.stats().aborted === aborted + 1 && fake.stats().active === 0);
  }
});

test('a request cancelled before it began is sent', async (t) => {
  const { load, run, fake } = await attach(t);
  await load();
  assert.deepEqual(await run(hello, { signal: AbortSignal.abort() }).end, { kind: 'cancelled' });
  assert.equal(fake.stats().started, 0);
});

test('a slow reader makes the agent hold the whole answer', async (t) => {
  const { load, run, fake } = await attach(t, { chunks: 40_000, padding: 'x'.repeat(500) });
  await load();
  let taken = 0;
  let open = (): void => {};
  const sink: EngineSink = {
    write: () => {
      taken += 1;
      return taken !== 100;
    },
    writable: () =>
      new Promise((resolve) => {
        open = resolve;
      }),
  };
  const { end } = run(hello, { sink });
  await until(() => taken === 100 && fake.stats().blocked === 1);
  const written = fake.stats().chunksWritten;
  assert.ok(written < 20_000, `the engine had written ${written} chunks`);
  open();
  assert.equal((await end).kind, 'completed');
  assert.equal(taken, 40_003);
});

test('an engine that dies counts as answered, or as unreachable', async (t) => {
  const { load, run } = await attach(t);
  await load();
  const before = await run(order({ fault: 'die' })).end;
  assert.equal(before.kind === 'failed' && before.reason, 'engine_failed');
  const after = run(order({ fault: 'die', after: 3 }));
  const end = await after.end;
  assert.equal(end.kind === 'failed' && end.reason, 'engine_failed');
  assert.equal(after.events.length, 3);
});

test('a connection that the engine closed for idleness fails a request', async (t) => {
  const { load, run, fake } = await attach(t);
  await load();
  fake.set({ fault: 'die', times: 1 });
  assert.equal((await run(hello).end).kind, 'completed');
  assert.equal(fake.stats().started, 2);
});

test('a stream that ends early or talks nonsense counts as complete', async (t) => {
  const { load, run } = await attach(t);
  await load();
  for (const fault of ['truncate', 'malformed']) {
    const end = await run(order({ fault, after: 2 })).end;
    assert.equal(end.kind === 'failed' && end.reason, 'engine_failed', fault);
  }
});

test('a refusal is retried elsewhere, or an engine’s fault blamed on the client', async (t) => {
  const { load, run } = await attach(t);
  await load();
  const error = { message: 'too much', type: 'BadRequestError', code: 400, param: 'top_p' };
  const refused = await run(order({ fault: 'status', status: 400, body: { error } })).end;
  assert.deepEqual(refused, { kind: 'refused', status: 400, error });
  for (const status of [401, 404, 429, 500, 503]) {
    const end = await run(order({ fault: 'status', status, body: { error } })).end;
    assert.equal(end.kind, 'failed', String(status));
  }
});

test('an error inside a stream is taken for text', async (t) => {
  const { load, run } = await attach(t, { dialect: 'llama' });
  await load();
  const body = { error: { code: 400, message: 'no', type: 'exceed_context_size_error' } };
  const refused = run(order({ fault: 'error_event', after: 0, body }));
  assert.equal((await refused.end).kind, 'refused');
  assert.equal(refused.events.length, 0);
  const broken = { error: { code: 500, message: 'boom', type: 'server_error' } };
  const end = await run(order({ fault: 'error_event', after: 2, body: broken })).end;
  assert.equal(end.kind, 'failed');
});

test('an engine that goes away keeps its offer, or comes back as the same', async (t) => {
  const { load, run, engine, fake } = await attach(t);
  await load();
  const first = engine.offers()[0]?.instance;
  const port = Number(new URL(fake.url).port);
  await fake.close();
  const end = await run(hello).end;
  assert.equal(end.kind, 'failed');
  await until(() => engine.offers().length === 0);
  const again = await startFakeEngine({ port });
  t.after(() => again.close());
  await until(() => engine.offers().length === 1);
  assert.notEqual(engine.offers()[0]?.instance, first);
});

test('an engine that is away at the start is never found', async (t) => {
  const gone = await startFakeEngine();
  const port = Number(new URL(gone.url).port);
  await gone.close();
  const engine = engineFor(gone.url);
  t.after(() => engine.stop());
  await engine.start(new AbortController().signal);
  const outcome = await engine.load({ desired, file: undefined, maxSlots: 0 });
  assert.ok(outcome.kind === 'failed' && outcome.retry);
  const fake = await startFakeEngine({ port });
  t.after(() => fake.close());
  await until(() => engine.offers().length === 1);
});

test('an unloaded model is still offered', async (t) => {
  const { load, engine, run, fake } = await attach(t, { tickMs: 5, chunks: 20 });
  await load();
  const { end } = run(hello);
  await until(() => fake.stats().active === 1);
  const unloaded = engine.unload(desired.modelId);
  assert.deepEqual(engine.offers(), []);
  await unloaded;
  assert.equal((await end).kind, 'completed');
});

test('an engine address is misread', () => {
  const ok = (given: string): unknown => {
    const { origin, socketPath, prefix } = addressOf(given);
    return { origin, socketPath, prefix };
  };
  const local = 'http://127.0.0.1:8000';
  assert.deepEqual(ok(`${local}/v1/`), { origin: local, socketPath: undefined, prefix: '' });
  assert.deepEqual(ok(`${local}/llm/v1`), { origin: local, socketPath: undefined, prefix: '/llm' });
  const unix = { origin: 'http://localhost', socketPath: '/run/e.sock', prefix: '' };
  assert.deepEqual(ok('unix:/run/e.sock'), unix);
  assert.deepEqual(ok('unix:///run/e.sock'), unix);
  for (const bad of [
    '',
    'ftp://x',
    'localhost:8000',
    'unix:relative',
    'http://a:b@c/',
    'http://x/?q',
  ]) {
    assert.equal(parseEngineUrl(bad).kind, 'invalid', bad);
  }
});
