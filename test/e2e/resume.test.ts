/**
 * Streams whose agent is killed in the middle, read by OpenAI's own client: processes, sockets and
 * engines are real, the last engine and its model included.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine, FakeEngineOptions } from '../../src/testing/engines/fakeEngine.ts';
import { joinAgent } from '../../src/testing/processes/agentProcess.ts';
import {
  endLeftovers,
  testCache,
  until,
  type RunningProcess,
} from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ServerProcess } from '../../src/testing/processes/serverProcess.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: ServerProcess;
let client: OpenAI;
const engines: FakeEngine[] = [];

const text =
  'Zoë said: 👩🏽‍💻 \n\n日本語のテキスト、e\u0301a\u0308 — “ok”\t한국어 🏳️‍🌈\u3000done. ' +
  'שלום {"a": [1]} \\ end.';
const model = 'own';
const repeat = [{ role: 'user' as const, content: `Repeat exactly: ${text}` }];

before(async () => {
  base = await temporaryDirectory('resume');
  const dataDir = path.join(base.path, 'data');
  server = await startServerProcess({ dataDir, args: ['--no-agent', '--stall-limit', '1s'] });
  const { base_url: url, api_key: apiKey } = server.ready;
  client = new OpenAI({
    baseURL: url.replace('/default/v1', '/own/v1'),
    apiKey: apiKey ?? '',
    maxRetries: 0,
    defaultHeaders: { 'X-XIM-Resume': 'on' },
  });
});
after(async () => {
  endLeftovers();
  await Promise.all(engines.map((engine) => engine.close()));
  await base.remove();
});

/** An agent of the project with an engine that repeats and continues. */
async function join(
  name: string,
  options: FakeEngineOptions,
): Promise<{ agent: RunningProcess; engine: FakeEngine }> {
  const engine = await startFakeEngine({ continues: true, ...options });
  engines.push(engine);
  const stateDir = path.join(base.path, name);
  const flags = ['--serve', 'SmolLM2-135M-Instruct=fake-model'];
  const agent = await joinAgent(server, { stateDir, engineUrl: engine.url, flags });
  // What an engine can do beside answering is probed while it answers already.
  await until(() => engine.stats().probes >= 7, { what: `${name} to be probed` });
  return { agent, engine };
}

interface Read {
  text: string;
  ids: Set<string>;
  roles: number;
  reasons: string[];
  resumed: unknown;
  usage: OpenAI.CompletionUsage | null | undefined;
}

type Stream = AsyncIterable<OpenAI.ChatCompletionChunk>;

/** An agent with the embedded engine and the real model, or why there is none. */
function joinEmbedded(): Promise<RunningProcess | Error> {
  const stateDir = path.join(base.path, 'embedded');
  const flags = ['--model-cache', path.join(testCache, 'models')];
  return joinAgent(server, { stateDir, flags }).catch((error: Error) => error);
}

/** Reads a stream to its end; `onText` sees the text grow. */
async function readAll(stream: Stream, onText: (soFar: string) => void): Promise<Read> {
  const read: Read = {
    text: '',
    ids: new Set(),
    roles: 0,
    reasons: [],
    resumed: undefined,
    usage: undefined,
  };
  for await (const chunk of stream) {
    read.ids.add(`${chunk.id} ${chunk.created} ${chunk.model}`);
    read.resumed = (chunk as { x_xim_resumed?: number }).x_xim_resumed;
    read.usage = chunk.usage ?? read.usage;
    for (const { delta, finish_reason: reason } of chunk.choices) {
      read.text += delta.content ?? '';
      if (delta.role !== undefined) read.roles += 1;
      if (reason !== null) read.reasons.push(reason);
    }
    onText(read.text);
  }
  return read;
}

let all: { agent: RunningProcess; engine: FakeEngine }[] = [];

test('an engine that fails in mid-stream, in whatever way, ends the answer', async () => {
  all = await Promise.all([
    join('vllm', { dialect: 'vllm', tickMs: 5 }),
    join('llama', { dialect: 'llama', tickMs: 5, units: 3 }),
  ]);
  for (const fault of ['die', 'malformed', 'error_event', 'truncate', 'stall'] as const) {
    // Whoever is asked first fails once; the other one goes on.
    let failed = 0;
    for (const { engine } of all) engine.set({ fault, after: 9, times: 1 });
    const stream = await client.chat.completions.create({ model, messages: repeat, stream: true });
    const read = await readAll(stream, (soFar) => {
      if (failed > 0 || soFar.length < 5) return;
      failed += 1;
      for (const { engine } of all) if (engine.stats().active === 0) engine.set({ fault: 'none' });
    });
    assert.equal(read.text, text, fault);
    assert.deepEqual(read.reasons, ['stop'], fault);
    assert.equal(read.resumed, 1, fault);
  }
});

test('a stream ends with the agent that is killed, or goes on with another text', async () => {
  for (const { engine } of all) engine.set({ fault: 'none', tickMs: 20 });
  const stream = await client.chat.completions.create({
    model,
    messages: repeat,
    stream: true,
    stream_options: { include_usage: true },
  });
  let killed: RunningProcess | undefined;
  const read = await readAll(stream, (soFar) => {
    if (killed !== undefined || soFar.length < 30) return;
    killed = all.find(({ engine }) => engine.stats().active > 0)?.agent;
    killed?.child.kill('SIGKILL');
  });
  assert.ok(killed !== undefined);
  assert.equal(read.text, text);
  assert.deepEqual(read.reasons, ['stop']);
  assert.equal(read.roles, 1);
  assert.equal(read.ids.size, 1);
  assert.equal(read.resumed, 1);
  assert.equal(await killed.exited, 'SIGKILL');
  for (const { agent } of all) if (agent !== killed) await agent.end();
});

test('an answer that a fake engine began is not continued by a real model', async (context) => {
  const embedded = await joinEmbedded();
  if (embedded instanceof Error) return context.skip(`no source of the model: ${embedded.message}`);
  const { agent, engine } = await join('first', { tickMs: 40, units: 4 });
  const said = 'The days of the week are Monday, Tuesday, Wednesday, Thursday, '.repeat(20);
  const messages = [{ role: 'user' as const, content: `Repeat exactly: ${said}` }];
  const asked = { model, messages, stream: true, temperature: 0, max_tokens: 60 } as const;
  let stream = await client.chat.completions.create(asked);
  // Both may serve it: until the fake one does.
  while (engine.stats().active === 0) {
    stream.controller.abort();
    stream = await client.chat.completions.create(asked);
  }
  let delivered = '';
  const reading = readAll(stream, (soFar) => {
    if (agent.child.exitCode === null && agent.child.signalCode === null) delivered = soFar;
  });
  await until(() => delivered.length > 60, { what: 'some text' });
  agent.child.kill('SIGKILL');
  await agent.exited;
  const read = await reading;
  assert.equal(read.resumed, 1);
  assert.equal(read.roles, 1);
  assert.equal(read.reasons.length, 1);
  const first = said.slice(0, commonLength(said, read.text));
  assert.ok(first.length >= delivered.length, 'what was delivered stands at the beginning');
  assert.ok(read.text.length > delivered.length, 'the real model has written on');
  assert.ok(engine.stats().aborted >= 1);
  await embedded.end();
});

function commonLength(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  return at;
}
