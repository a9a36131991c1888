/**
 * The README's two lines with the real model: a first start from an empty directory, the official
 * client, a second start that fetches nothing, and both ways to end.
 */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import {
  childrenOf,
  endLeftovers,
  isAlive,
  testCache,
  until,
} from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ReadyLine, ServerProcess } from '../../src/testing/processes/serverProcess.ts';

/** A registry, a hub and an index that nobody listens on: what is fetched now fails. */
const offline = {
  HF_ENDPOINT: 'http://127.0.0.1:1',
  PIP_INDEX_URL: 'http://127.0.0.1:1',
  PIP_NO_INDEX: '1',
  PIP_FIND_LINKS: '/nonexistent',
};
const args = ['--model-cache', path.join(testCache, 'models')];
const prompt = [{ role: 'user' as const, content: 'Count from one to twenty.' }];

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let dataDir: string;
let server: ServerProcess;
let first: ReadyLine;
let client: OpenAI;

function clientOf({ ready }: ServerProcess): OpenAI {
  return new OpenAI({ baseURL: ready.base_url, apiKey: ready.api_key ?? '', maxRetries: 0 });
}

before(async () => {
  base = await temporaryDirectory('first');
  dataDir = path.join(base.path, 'data');
  // The model may have to be fetched once for all tests.
  server = await startServerProcess({ dataDir, args, timeoutMs: 280_000 });
  first = server.ready;
  client = clientOf(server);
});
after(async () => {
  endLeftovers();
  await base.remove();
});

/** Without a model there is nothing to ask; the reason is the server's own. */
function withoutModel(): string | false {
  return first.model === null ? `no source of the model: ${first.model_error}` : false;
}

test('a ready line that lacks a member, or keys that others can read', async () => {
  assert.deepEqual(Object.keys(first), [
    'ready',
    'base_url',
    'api_key',
    'project',
    'endpoint',
    'dashboard_url',
    'admin',
    'model',
    'model_error',
    'pid',
  ]);
  assert.equal(server.out().split('\n').length, 2, 'one line and nothing else');
  assert.match(first.base_url, /^http:\/\/127\.0\.0\.1:\d+\/default\/default\/v1$/);
  assert.match(first.api_key ?? '', /^xim_default_[\w-]{43}$/);
  assert.match(first.admin.password ?? '', /^\w{5}(-\w{5}){3}$/);
  assert.equal(first.pid, server.pid);
  assert.equal(statSync(dataDir).mode & 0o777, 0o700);
  for (const file of ['credentials.json', 'secrets.key', 'agent/agent.json', 'xim.db']) {
    assert.equal(statSync(path.join(dataDir, file)).mode & 0o077, 0, file);
  }
  const credentials = server.credentials();
  assert.equal(credentials.api_key, first.api_key);
  assert.notEqual(credentials.management_key, first.api_key);
  // It is forgotten once it was shown, not before.
  await until(() => server.credentials().admin.password === undefined, {
    what: 'the one-time password to be in no file',
  });
});

test('a key of the CLI that may infer, or of a client that may manage', async () => {
  const { management_key: managementKey, server: origin } = server.credentials();
  const infer = new OpenAI({ baseURL: first.base_url, apiKey: managementKey, maxRetries: 0 });
  const create = infer.chat.completions.create({ model: 'default', messages: prompt });
  await assert.rejects(create, { status: 403 });
  const status = await fetch(`${origin}/api/v1/status`, {
    headers: { authorization: `Bearer ${first.api_key}` },
  });
  assert.equal(status.status, 403);
});

test('an answer of the real model that the official client cannot read', async (t) => {
  if (withoutModel() !== false) return t.skip(String(withoutModel()));
  const answer = await client.chat.completions.create({
    model: 'default',
    messages: prompt,
    max_tokens: 24,
  });
  assert.equal(answer.model, 'default');
  assert.ok((answer.choices[0]?.message.content ?? '').length > 0);
  assert.ok((answer.usage?.completion_tokens ?? 0) > 0);
  const models = await client.models.list();
  assert.deepEqual(
    models.data.map(({ id }) => id),
    ['default'],
  );
});

test('a stream that comes in one piece, or whose usage is not the engine’s', async (t) => {
  if (withoutModel() !== false) return t.skip(String(withoutModel()));
  const stream = await client.chat.completions.create({
    model: 'default',
    messages: prompt,
    max_tokens: 24,
    stream: true,
    stream_options: { include_usage: true },
  });
  const texts: string[] = [];
  let completionTokens = 0;
  let finish: string | null = null;
  for await (const chunk of stream) {
    const [choice] = chunk.choices;
    if (choice?.delta.content) texts.push(choice.delta.content);
    finish = choice?.finish_reason ?? finish;
    completionTokens = chunk.usage?.completion_tokens ?? completionTokens;
  }
  assert.ok(texts.length > 3, `${texts.length} pieces`);
  assert.ok(finish === 'length' || finish === 'stop');
  assert.ok(completionTokens > 3 && completionTokens <= 24);
});

test('an aborted stream that keeps its slot', async (t) => {
  if (withoutModel() !== false) return t.skip(String(withoutModel()));
  const stream = await client.chat.completions.create({
    model: 'default',
    messages: prompt,
    max_tokens: 2000,
    stream: true,
  });
  for await (const _chunk of stream) break;
  stream.controller.abort();
  const { management_key: key, server: origin } = server.credentials();
  const running = async (): Promise<number> => {
    const answer = await fetch(`${origin}/api/v1/status`, {
      headers: { authorization: `Bearer ${key}` },
    });
    return ((await answer.json()) as { running: number }).running;
  };
  await until(async () => (await running()) === 0, { what: 'the slot to be free' });
});

test('a second start that makes new keys, shows the password again or fetches', async (t) => {
  const agent = server.agentPid() ?? 0;
  const startedAtMs = performance.now();
  assert.equal(await server.end('SIGINT'), 0);
  assert.ok(performance.now() - startedAtMs < 5_000, 'an orderly end takes five seconds at most');
  assert.ok(!isAlive(agent), 'the shared agent is left running');
  server = await startServerProcess({ dataDir, args, env: offline });
  assert.equal(server.ready.api_key, first.api_key);
  assert.deepEqual(server.ready.admin, { email: first.admin.email, password: null });
  assert.doesNotMatch(server.err(), /fetching/);
  client = clientOf(server);
  if (withoutModel() !== false) return t.skip(String(withoutModel()));
  assert.equal(server.ready.model, first.model, server.ready.model_error ?? '');
  const answer = await client.chat.completions.create({
    model: 'default',
    messages: prompt,
    max_tokens: 4,
  });
  assert.ok(answer.choices[0]?.message.content);
});

test('a Ctrl-C that npm passes on, taken for a second one', async () => {
  const running = client.chat.completions
    .create({ model: 'default', messages: prompt, max_tokens: 2000 })
    .catch((error: Error) => error);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const startedAtMs = performance.now();
  server.child.kill('SIGINT');
  server.child.kill('SIGINT');
  server.child.kill('SIGINT');
  assert.equal(await server.exited, 0);
  assert.ok(performance.now() - startedAtMs < 5_000);
  await running;
});

test('a shared agent that outlives a server that was killed', async () => {
  server = await startServerProcess({ dataDir, args, env: offline });
  const [agent = 0] = childrenOf(server.pid);
  assert.ok(isAlive(agent));
  assert.equal(await server.end('SIGKILL'), 'SIGKILL');
  await until(() => !isAlive(agent), { what: 'the agent to end', timeoutMs: 10_000 });
});
