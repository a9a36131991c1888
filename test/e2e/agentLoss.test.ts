/** Agents and routers that die while a request runs: who is told what, and how it goes on. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { joinAgent } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import {
  endLeftovers,
  repository,
  startProcess,
  until,
} from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ServerProcess } from '../../src/testing/processes/serverProcess.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let server: ServerProcess;
let dataDir: string;
let admin: ServerProcess['ready']['admin'];

before(async () => {
  base = await temporaryDirectory('loss');
  engine = await startFakeEngine({ chunks: 200, tickMs: 25 });
  dataDir = path.join(base.path, 'data');
  server = await startServerProcess({ dataDir, args: ['--engine-url', engine.url] });
  ({ admin } = server.ready);
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

const messages = [{ role: 'user' as const, content: 'hello' }];

/** A streamed request as bytes, so that nothing of the wire is hidden. */
async function stream(endpoint: string): Promise<Response> {
  const { base_url: baseUrl, api_key: key } = server.ready;
  return fetch(`${baseUrl.replace('/default/v1', `/${endpoint}/v1`)}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: endpoint, stream: true, messages }),
  });
}

function clientOf(endpoint: string): OpenAI {
  const { base_url: baseUrl, api_key: key } = server.ready;
  const baseURL = baseUrl.replace('/default/v1', `/${endpoint}/v1`);
  return new OpenAI({ baseURL, apiKey: key ?? '', maxRetries: 0 });
}

async function answers(endpoint: string): Promise<boolean> {
  const request = clientOf(endpoint).chat.completions.create({ model: endpoint, messages });
  return request.then(
    ({ choices }) => (choices[0]?.message.content ?? '').startsWith('w0 '),
    () => false,
  );
}

/** Reads until `count` events have come; gives the text so far and the rest as a promise. */
async function readSome(
  response: Response,
  count: number,
): Promise<{ text: string; rest: Promise<string> }> {
  assert.ok(response.body !== null);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (text.split('\n\n').length <= count) text += (await reader.read()).value ?? '';
  const readOn = async (): Promise<string> => {
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return rest;
      rest += value;
    }
  };
  return { text, rest: readOn() };
}

function killAgent(): void {
  const pid = server.agentPid();
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGKILL');
}

test('an agent killed in mid-stream whose stream ends as if it were complete', async () => {
  const response = await stream('default');
  assert.equal(response.status, 200);
  const { text, rest } = await readSome(response, 5);
  assert.match(text, /^data: \{/);
  killAgent();
  const end = await rest;
  const events = end.split('\n\n').filter((event) => event !== '');
  assert.equal(events.at(-1), 'data: [DONE]');
  const error = JSON.parse((events.at(-2) ?? '').slice('data: '.length)) as {
    error: Record<string, unknown>;
  };
  assert.deepEqual(Object.keys(error.error).slice(0, 4), ['message', 'type', 'param', 'code']);
  assert.doesNotMatch(end, /"finish_reason":"stop"/);
});

test('a killed shared agent that stays away', async () => {
  engine.set({ chunks: 3, tickMs: 0 });
  await until(() => answers('default'), { what: 'the shared agent to be back', timeoutMs: 30_000 });
  assert.match(server.err(), /the shared agent was killed; it is started again in \d/);
});

test('an agent killed before the first byte whose request is lost', async () => {
  engine.set({ firstByteMs: 60_000 });
  const request = clientOf('default').chat.completions.create({ model: 'default', messages });
  const before = engine.stats().started;
  await until(() => engine.stats().started > before, { what: 'the request at the engine' });
  engine.set({ firstByteMs: 0 });
  killAgent();
  // Nobody else serves the endpoint: it waits for the agent to come back, or is told why not.
  const outcome = await request.then(
    ({ choices }) => choices[0]?.message.content ?? '',
    (error: InstanceType<typeof OpenAI.APIError>) => error,
  );
  if (typeof outcome === 'string') assert.match(outcome, /^w0 /);
  else assert.ok(outcome.status === 502 || outcome.status === 503, String(outcome));
});

test('a linked agent that a restarted server does not get back', async () => {
  engine.set({ chunks: 3, tickMs: 0 });
  const stateDir = path.join(base.path, 'own');
  const agent = await joinAgent(server, { stateDir, engineUrl: engine.url });
  await until(() => answers('own'), { what: 'the own agent to answer' });
  const { port } = new URL(server.ready.base_url);
  await server.end('SIGKILL');
  server = await startServerProcess({
    dataDir,
    args: ['--engine-url', engine.url, '--port', port],
  });
  await until(() => answers('own'), { what: 'the agent to be back', timeoutMs: 60_000 });
  assert.equal(agent.child.exitCode, null, 'the same process');
  agent.child.kill('SIGTERM');
  assert.equal(await agent.exited, 0, 'SIGTERM drains');
});

test('a shared agent that was removed, and is never replaced', async () => {
  const { server: origin } = server.credentials();
  const page = { origin, 'content-type': 'application/json' };
  const signedIn = await fetch(`${origin}/api/v1/sign-in`, {
    method: 'POST',
    headers: page,
    body: JSON.stringify({ email: admin.email, password: admin.password }),
  });
  assert.equal(signedIn.status, 200);
  const cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const headers = { ...page, cookie };
  const changed = await fetch(`${origin}/api/v1/session/password`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ old_password: admin.password, new_password: 'another, of my own' }),
  });
  assert.equal(changed.status, 200);
  const listed = await fetch(`${origin}/api/v1/platform/agents`, { headers });
  const { data } = (await listed.json()) as { data: { id: string; state: string }[] };
  const shared = data.find(({ state }) => state === 'active');
  const removed = await fetch(`${origin}/api/v1/platform/agents/${shared?.id}`, {
    method: 'DELETE',
    headers,
    body: '{}',
  });
  assert.ok(removed.ok, `${removed.status} ${await removed.text()}`);
  await server.seen(/The agent was removed/);
  await server.end();
  server = await startServerProcess({ dataDir, args: ['--engine-url', engine.url] });
  assert.equal(server.ready.model, 'fake-model', server.ready.model_error ?? '');
  assert.ok(await answers('default'));
});

test('two agents with one state directory', async () => {
  const stateDir = path.join(base.path, 'twice');
  const first = await joinAgent(server, { stateDir, engineUrl: engine.url });
  const second = joinAgent(server, { stateDir, engineUrl: engine.url });
  await assert.rejects(second, /Another agent \(process \d+\) already runs/);
  // Not the 7 of a refusal, after which no service tries again.
  await assert.rejects(second, /the process ended \(3\)/);
  await first.end();
});

test('an agent that is started again without its flags attaches another engine', async () => {
  const stateDir = path.join(base.path, 'twice');
  const entry = path.join(repository, 'src', 'main', 'agent.ts');
  const args = [entry, '--state-dir', stateDir, '--log-level', 'info'];
  const agent = startProcess(process.execPath, args, {});
  await agent.seen(/engine attached/);
  assert.equal(await agent.end(), 0, agent.err());
});

test('a join key that is refused without a word, or tried for ever', async () => {
  const entry = path.join(repository, 'src', 'main', 'agent.ts');
  const { server: url } = server.credentials();
  const args = [entry, '--server', url, '--state-dir', path.join(base.path, 'refused')];
  const XIM_JOIN_KEY = `xjk_${'0'.repeat(26)}_${'A'.repeat(43)}`;
  const agent = startProcess(process.execPath, [...args, '--engine-url', engine.url], {
    env: { XIM_JOIN_KEY },
  });
  assert.equal(await agent.exited, 7, agent.err());
  assert.match(agent.err(), /join key/);
});

test('streams that disturb one another when there are two hundred', async () => {
  await server.end();
  const tiers = '{"self_hosted":{"concurrentPerProject":400}}';
  server = await startServerProcess({
    dataDir,
    args: ['--no-agent', '--tiers', tiers],
  });
  const stateDir = path.join(base.path, 'many');
  const flags = ['--slots', '200'];
  const agent = await joinAgent(server, { stateDir, engineUrl: engine.url, flags });
  // The first one must still be there when the last one has come, on a busy machine too.
  engine.set({ chunks: 40, tickMs: 50, firstByteMs: 4000 });
  const client = clientOf('own');
  const texts = await Promise.all(
    Array.from({ length: 200 }, async (_, at) => {
      const answer = await client.chat.completions.create({
        model: 'own',
        stream: true,
        messages: [{ role: 'user', content: `request ${at}` }],
      });
      let text = '';
      const ids = new Set<string>();
      for await (const chunk of answer) {
        ids.add(chunk.id);
        text += chunk.choices[0]?.delta.content ?? '';
      }
      assert.equal(ids.size, 1);
      return text;
    }),
  );
  const whole = Array.from({ length: 40 }, (_, at) => `w${at} `).join('');
  assert.deepEqual([...new Set(texts)], [whole]);
  assert.equal(engine.stats().mostActive, 200);
  await agent.end();
});
