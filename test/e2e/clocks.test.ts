/** Wall clocks an hour apart, between an agent and its server and between two starts of either. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createJoinKey } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import {
  endLeftovers,
  repository,
  startProcess,
  until,
} from '../../src/testing/processes/processes.ts';
import type { RunningProcess } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ServerProcess } from '../../src/testing/processes/serverProcess.ts';

const hourMs = 3_600_000;

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let server: ServerProcess;

/** A process whose wall clock is wrong from its first instruction. */
function wrongBy(ms: number): Record<string, string> {
  const program = `
    const Right = Date;
    globalThis.Date = class extends Right {
      constructor(...given) { super(...(given.length === 0 ? [Right.now() + ${ms}] : given)); }
      static now() { return Right.now() + ${ms}; }
    };`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(program)}` };
}

const dataDir = (): string => path.join(base.path, 'data');

async function startServer(env: Record<string, string>, port = 0): Promise<ServerProcess> {
  const args = ['--no-agent', '--engine-url', engine.url, '--port', String(port)];
  return startServerProcess({ dataDir: dataDir(), args, env });
}

function startAgent(name: string, env: Record<string, string>): RunningProcess {
  const entry = path.join(repository, 'src', 'main', 'agent.ts');
  const stateDir = path.join(base.path, name);
  const where = ['--server', server.credentials().server, '--state-dir', stateDir];
  return startProcess(process.execPath, [entry, ...where, '--engine-url', engine.url], { env });
}

/** The agent that answers a request to the endpoint `own`; null: none had come in time. */
async function answerer(): Promise<string | null> {
  const url = server.ready.base_url.replace('/default/v1', '/own/v1/chat/completions');
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${server.ready.api_key}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ model: 'own', messages: [{ role: 'user', content: 'hello' }] }),
  });
  const text = await answer.text();
  // An agent may wait for half a minute between two attempts, as long as a request waits for it.
  if (text.includes('no_agent_available')) return null;
  assert.equal(answer.status, 200, text);
  return answer.headers.get('x-xim-agent');
}

before(async () => {
  base = await temporaryDirectory('clocks');
  engine = await startFakeEngine();
  server = await startServer({});
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

test('an agent whose clock is an hour off that cannot enrol, link or come back', async () => {
  for (const [name, ms] of [
    ['ahead', hourMs],
    ['behind', -hourMs],
  ] as const) {
    const { key } = await createJoinKey(server, ['--name', name]);
    const agent = startAgent(name, { ...wrongBy(ms), XIM_JOIN_KEY: key });
    await agent.seen(/ is ready$/m);
    assert.equal(await answerer(), name);
    assert.equal(await agent.end(), 0, agent.err());
    // A start begins with a refresh; this one with the clock put right, as far as that goes.
    const again = startAgent(name, wrongBy(-ms));
    await again.seen(/ is ready$/m);
    assert.equal(await answerer(), name);
    assert.equal(await again.end(), 0, again.err());
  }
});

test('a server whose clock was set by an hour that its agents do not get back to', async () => {
  const { key } = await createJoinKey(server, ['--name', 'steady']);
  const agent = startAgent('steady', { XIM_JOIN_KEY: key });
  await agent.seen(/ is ready$/m);
  const port = Number(new URL(server.ready.base_url).port);
  for (const ms of [hourMs, -hourMs]) {
    assert.equal(await server.end(), 0, server.err());
    server = await startServer(wrongBy(ms), port);
    const back = async (): Promise<boolean> => (await answerer()) === 'steady';
    await until(back, { what: `the agent, ${ms} ms later`, timeoutMs: 90_000 });
    const late = await createJoinKey(server, ['--name', `joined-${ms > 0 ? 'ahead' : 'behind'}`]);
    const lifeMs = Date.parse(late.expires_at) - Date.now();
    assert.ok(Math.abs(lifeMs - ms - 900_000) < 60_000, `the server’s clock is right: ${lifeMs}`);
    const other = startAgent(late.id, { XIM_JOIN_KEY: late.key });
    await other.seen(/ is ready$/m);
    assert.equal(await other.end(), 0, other.err());
  }
  assert.equal(await agent.end(), 0, agent.err());
});
