/** An agent that its owner suspends while it answers, and resumes later; a server that rotates. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { joinAgent } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { endLeftovers, until, type RunningProcess } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ServerProcess } from '../../src/testing/processes/serverProcess.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let server: ServerProcess;
let agent: RunningProcess;
let port: string;

before(async () => {
  base = await temporaryDirectory('suspended');
  engine = await startFakeEngine({ chunks: 3 });
  server = await start('0');
  ({ port } = new URL(server.ready.base_url));
  const flags = ['--serve', 'SmolLM2-135M-Instruct=fake-model'];
  const stateDir = path.join(base.path, 'state');
  agent = await joinAgent(server, { stateDir, engineUrl: engine.url, flags });
  await until(async () => (await ask()).status === 200, { what: 'the first answer' });
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

function start(onPort: string, flags: readonly string[] = []): Promise<ServerProcess> {
  const dataDir = path.join(base.path, 'data');
  return startServerProcess({ dataDir, args: ['--no-agent', '--port', onPort, ...flags] });
}

async function ask(content = 'hello', signal?: AbortSignal): Promise<Response> {
  const { base_url: url, api_key: key } = server.ready;
  const response = await fetch(`${url.replace('/default/v1', '/own/v1')}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'own', stream: true, messages: [{ role: 'user', content }] }),
    signal: signal ?? null,
  });
  return response;
}

interface ListedAgent {
  id: string;
  state: string;
}

async function control<Answer>(
  method: string,
  what: string,
  order: { mode?: 'drain' | 'cut' } = {},
): Promise<Answer> {
  const { server: origin, management_key: key } = server.credentials();
  const response = await fetch(`${origin}/api/v1/projects/default/agents${what}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(method === 'GET' ? {} : { body: JSON.stringify({ reason: 'maintenance', ...order }) }),
  });
  assert.ok(response.ok, `${what}: ${response.status}`);
  return (await response.json()) as Answer;
}

async function listed(): Promise<ListedAgent | undefined> {
  return (await control<{ data: ListedAgent[] }>('GET', '')).data[0];
}

/** The text from the first byte on. */
async function readOn(response: Response): Promise<{ rest: Promise<string> }> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.match((await reader?.read())?.value ?? '', /^data: /);
  const rest = async (): Promise<string> => {
    let text = '';
    for (let read = await reader?.read(); read?.done === false; read = await reader?.read()) {
      text += read.value;
    }
    return text;
  };
  return { rest: rest() };
}

test('an answer that a soft suspension cuts, or that keeps its agent at work', async () => {
  const { rest } = await readOn(await ask('fake:{"chunks":60,"tickMs":25}'));
  const id = (await listed())?.id ?? '';
  await control('POST', `/${id}/suspend`);
  assert.equal((await listed())?.state, 'suspended');
  const { started } = engine.stats();
  const patience = new AbortController();
  const waiting = ask('hello', patience.signal);
  const text = await rest;
  assert.match(text, /data: \[DONE\]\n\n$/);
  assert.doesNotMatch(text, /error/);
  await agent.seen(/suspended/);
  assert.equal(engine.stats().started, started, 'nothing new came');
  await control('POST', `/${id}/resume`);
  assert.equal((await waiting).status, 200);
  await (await waiting).text();
});

test('a suspended agent whose answer goes on, or ends as if it were whole', async () => {
  const { rest } = await readOn(await ask('fake:{"chunks":400,"tickMs":25}'));
  const id = (await listed())?.id ?? '';
  const startedAtMs = performance.now();
  await control('POST', `/${id}/suspend`, { mode: 'cut' });
  assert.match(await rest, /"code":"upstream_error".*\n\ndata: \[DONE\]\n\n$/);
  assert.ok(performance.now() - startedAtMs < 1_000);
  await until(() => engine.stats().active === 0, { what: 'the engine to be free' });
  assert.equal((await listed())?.state, 'suspended');
});

test('a suspended agent that gets work, gives up, or is forgotten by a restart', async () => {
  const { started } = engine.stats();
  const patience = new AbortController();
  // Heard from the start: it may be cut before the process is seen to have ended.
  const cut = assert.rejects(ask('hello', patience.signal));
  await agent.seen(/suspended/);
  await server.end('SIGKILL');
  await cut;
  server = await start(port);
  assert.equal((await listed())?.state, 'suspended');
  assert.equal(engine.stats().started, started);
  assert.equal(agent.child.exitCode, null);
});

test('a resumed agent that has to be started again', async () => {
  const { id = '' } = (await listed()) ?? {};
  await control('POST', `/${id}/resume`);
  // Who comes before the agent has noticed waits for it.
  assert.equal((await ask()).status, 200);
  assert.equal((await listed())?.state, 'active');
  assert.equal(agent.child.exitCode, null, 'the same process');
});

test('a server that signs with a new key loses the agents of the old one', async () => {
  await server.end();
  server = await start(port, ['--rotate-signing-key']);
  assert.equal((await ask()).status, 200);
  assert.equal(agent.child.exitCode, null, 'the same process');
  // It came with the token that it had: nothing refused it.
  assert.doesNotMatch(agent.err(), /unauthorized/);
});
