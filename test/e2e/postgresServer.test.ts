/**
 * A server on PostgreSQL from `--database-url` to the second life after kill -9, with an agent that
 * stays and the real client. The long version under load is `crashStore.test.ts`.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import OpenAI from 'openai';
import { createJoinKey } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { startPostgres } from '../../src/testing/database/postgres.ts';
import { endLeftovers, until } from '../../src/testing/processes/processes.ts';
import {
  spawnServer,
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../../src/testing/processes/serverProcess.ts';
import { startAgent } from '../../src/testing/links/testAgent.ts';

const postgres = await startPostgres();
after(async () => {
  endLeftovers();
  if (postgres.kind === 'started') await postgres.stop();
});
const skip = postgres.kind === 'missing' ? postgres.reason : false;

/** Streams one answer; its text and the id of its request. */
async function ask(server: ServerProcess): Promise<{ text: string; requestId: string }> {
  const { api_key: apiKey, server: origin } = server.credentials();
  const client = new OpenAI({ apiKey, baseURL: `${origin}/default/own/v1`, maxRetries: 0 });
  const { data, response } = await client.chat.completions
    .create({ model: 'own', stream: true, messages: [{ role: 'user', content: 'hello' }] })
    .withResponse();
  let text = '';
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? '';
  return { text, requestId: response.headers.get('x-request-id') ?? '' };
}

async function listed<Item>(server: ServerProcess, what: string): Promise<Item[]> {
  const { server: origin, management_key: key } = server.credentials();
  const response = await fetch(`${origin}/api/v1/projects/default/${what}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  assert.equal(response.status, 200);
  return ((await response.json()) as { data: Item[] }).data;
}

test('a server on PostgreSQL loses its agent or a request by kill -9', { skip }, async () => {
  if (postgres.kind === 'missing') return;
  const base = await temporaryDirectory('pg-server');
  const dataDir = path.join(base.path, 'data');
  const database = ['--no-agent', '--database-url', await postgres.createDatabase()];
  const engine = await startFakeEngine({ models: ['SmolLM2-135M-Instruct'], chunks: 3 });
  const first = await startServerProcess({ dataDir, args: database });
  const { key: joinKey } = await createJoinKey(first, ['--name', 'desk']);
  const { server: serverUrl } = first.credentials();
  const stateDir = path.join(base.path, 'agent');
  const never = { after: () => undefined };
  const agent = startAgent(never, { serverUrl, engineUrl: engine.url, stateDir, joinKey });
  const serves = async (server: ServerProcess): Promise<boolean> => {
    const agents = await listed<{ name: string; state: string }>(server, 'agents');
    return agents.some(({ name, state }) => name === 'desk' && state === 'active');
  };
  let server = first;
  try {
    await until(() => serves(first), { what: 'the agent to be active', timeoutMs: 60_000 });
    const before = await ask(first);
    assert.match(before.text, /^w0 w1 w2 /);
    await first.end('SIGKILL');
    const port = new URL(serverUrl).port;
    server = await startServerProcess({ dataDir, args: [...database, '--port', port] });
    await until(() => serves(server), { what: 'the agent to come back', timeoutMs: 60_000 });
    const behind = await ask(server);
    assert.equal(behind.text, before.text);
    const told = [behind.requestId, before.requestId];
    const rows = async (): Promise<string[]> =>
      (await listed<{ id: string }>(server, 'requests')).map(({ id }) => id);
    await until(async () => (await rows()).length >= told.length, { what: 'both requests' });
    assert.deepEqual(await rows(), told);
    assert.equal((await listed(server, 'agents')).length, 1);
    assert.ok(!existsSync(path.join(dataDir, 'xim.db')), 'there is an embedded database too');
  } finally {
    await agent.stop();
    await server.end('SIGKILL');
    await engine.close();
    await base.remove();
  }
});

test('a database that is away is no clear error, or tells its password', async () => {
  const base = await temporaryDirectory('pg-away');
  const url = 'postgres://xim:hunter2@127.0.0.1:1/nothing';
  const running = spawnServer({ dataDir: base.path, args: ['--no-agent', '--database-url', url] });
  assert.notEqual(await running.exited, 0);
  const said = running.out() + running.err();
  assert.match(said, /PostgreSQL/);
  assert.ok(!said.includes('hunter2'), said);
  assert.ok(!/\n\s+at /.test(said), said);
  await base.remove();
});
