/**
 * Processes that stand still for longer than a link may be silent, and go on as if nothing had
 * been: a suspended machine, a stopped container, an event loop that was starved. Each of them
 * comes back by itself, as the same process, under load too.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
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
let started = 0;
/** The name that the catalogue has for what the engine serves. */
const model = 'SmolLM2-135M-Instruct';

before(async () => {
  base = await temporaryDirectory('frozen');
  engine = await startFakeEngine({ chunks: 3 });
  const dataDir = path.join(base.path, 'data');
  server = await startServerProcess({ dataDir, args: ['--no-agent', '--link-silence', '2s'] });
});
beforeEach(async () => {
  // A new one each time: one that lost many links comes back ever later.
  started += 1;
  const stateDir = path.join(base.path, `state-${started}`);
  const flags = ['--slots', '16', '--name', `agent-${started}`, '--serve', `${model}=fake-model`];
  agent = await joinAgent(server, { stateDir, engineUrl: engine.url, flags });
  await until(async () => (await status()) === 200, { what: 'the first answer' });
});
afterEach(async () => {
  // A stopped process does not even notice that it is to end.
  for (const one of [server, agent]) one.child.kill('SIGCONT');
  await agent.end('SIGKILL');
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

const base_url = (): string => server.ready.base_url.replace('/default/v1', '/own/v1');

/** `fake:…` in the message says what the engine does with it. */
function ask(options: { stream?: boolean; content?: string } = {}): Promise<Response> {
  const { stream = false, content = 'hello' } = options;
  return fetch(`${base_url()}/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${server.ready.api_key}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ model: 'own', stream, messages: [{ role: 'user', content }] }),
  });
}

async function status(): Promise<number> {
  const response = await ask();
  await response.text();
  return response.status;
}

/** The agent's state as its owner sees it. */
async function state(): Promise<string | undefined> {
  const { server: origin, management_key: key } = server.credentials();
  const listed = await fetch(`${origin}/api/v1/projects/default/agents`, {
    headers: { authorization: `Bearer ${key}` },
  });
  const { data } = (await listed.json()) as { data: { name: string; state: string }[] };
  return data.find(({ name }) => name === `agent-${started}`)?.state;
}

const isState = (wanted: string) => async (): Promise<boolean> => (await state()) === wanted;

/** How often the agent has said that it has no link. */
const missed = (): number =>
  agent.err().match(/link has ended|not reachable|did not/g)?.length ?? 0;

/** Resolves when it has said so once more. */
async function unlinked(before: number): Promise<void> {
  await until(() => missed() > before, {
    what: 'the agent to miss its server',
    timeoutMs: 30_000,
  });
}

/** A stream of which the client has the beginning: 400 chunks, one each 25 ms. */
async function running(): Promise<{ rest: Promise<string> }> {
  const { body } = await ask({ stream: true, content: 'fake:{"chunks":400,"tickMs":25}' });
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.match((await reader?.read())?.value ?? '', /^data: /);
  const readOn = async (): Promise<string> => {
    let text = '';
    for (let read = await reader?.read(); read?.done === false; read = await reader?.read()) {
      text += read.value;
    }
    return text;
  };
  return { rest: readOn() };
}

async function serves(): Promise<void> {
  await until(isState('active'), { what: 'the agent to be back', timeoutMs: 40_000 });
  for (let n = 0; n < 20; n += 1) assert.equal(await status(), 200);
  assert.equal(agent.child.exitCode, null, 'the same process');
  assert.equal(server.child.exitCode, null, 'the same process');
}

test('an agent that was stopped stays away, or its stream ends as if it were whole', async () => {
  const { rest } = await running();
  agent.child.kill('SIGSTOP');
  await until(isState('disconnected'), { what: 'the agent to be missed' });
  assert.match(await rest, /"code":"upstream_error".*\n\ndata: \[DONE\]\n\n$/);
  // Nobody else serves the endpoint: who comes now waits for the agent.
  const waiting = status();
  agent.child.kill('SIGCONT');
  assert.equal(await waiting, 200);
  await serves();
  await until(() => engine.stats().active === 0, { what: 'the engine to be free' });
});

test('a server that was stopped does not get its agent back', async () => {
  const { rest } = await running();
  const before = missed();
  server.child.kill('SIGSTOP');
  await unlinked(before);
  server.child.kill('SIGCONT');
  assert.match(await rest, /"code":"upstream_error"/);
  await serves();
  await until(() => engine.stats().active === 0, { what: 'the engine to be free' });
});

for (const order of ['the server, then its agent', 'the agent, then its server']) {
  test(`stopped were ${order}, and neither finds the other again`, async () => {
    if (order.startsWith('the server')) {
      const before = missed();
      server.child.kill('SIGSTOP');
      await unlinked(before);
      agent.child.kill('SIGSTOP');
    } else {
      agent.child.kill('SIGSTOP');
      await until(isState('disconnected'), { what: 'the agent to be missed' });
      server.child.kill('SIGSTOP');
    }
    agent.child.kill('SIGCONT');
    server.child.kill('SIGCONT');
    await serves();
  });
}

test('a freeze under load after which every answer is an error', async () => {
  let wanted = true;
  const seen = new Map<number, number>();
  const client = async (): Promise<void> => {
    while (wanted) {
      const one = await status();
      seen.set(one, (seen.get(one) ?? 0) + 1);
    }
  };
  const clients = Array.from({ length: 32 }, client);
  agent.child.kill('SIGSTOP');
  await until(isState('disconnected'), { what: 'the agent to be missed' });
  agent.child.kill('SIGCONT');
  await until(isState('active'), { what: 'the agent to be back', timeoutMs: 40_000 });
  const before = missed();
  server.child.kill('SIGSTOP');
  await unlinked(before);
  server.child.kill('SIGCONT');
  await until(isState('active'), { what: 'the link to be back', timeoutMs: 40_000 });
  wanted = false;
  await Promise.all(clients);
  assert.ok((seen.get(200) ?? 0) > 0);
  for (const status of seen.keys())
    assert.ok([200, 502].includes(status), JSON.stringify([...seen]));
  await serves();
});
