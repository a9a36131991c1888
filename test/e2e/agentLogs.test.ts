/** What a real agent process logs, and how it is, read and followed over HTTP. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import type { AgentHealthAnswer } from '../../src/api/control/agentHealth.ts';
import type { AgentAnswer } from '../../src/api/control/agents.ts';
import type { LogAnswer, LogEntryAnswer } from '../../src/api/control/logs.ts';
import { joinAgent } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { endLeftovers, until } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ServerProcess } from '../../src/testing/processes/serverProcess.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let server: ServerProcess;
let logs: string;

const start = (port: string): Promise<ServerProcess> => {
  const dataDir = path.join(base.path, 'data');
  return startServerProcess({ dataDir, args: ['--no-agent', '--port', port] });
};

before(async () => {
  base = await temporaryDirectory('logs');
  engine = await startFakeEngine({ chunks: 3 });
  server = await start('0');
  const flags = ['--serve', 'SmolLM2-135M-Instruct=fake-model'];
  const stateDir = path.join(base.path, 'state');
  await joinAgent(server, { stateDir, engineUrl: engine.url, flags });
  await until(async () => (await ask()).status === 200, { what: 'the first answer' });
  const { data } = await control<{ data: AgentAnswer[] }>('/agents');
  logs = `/agents/${data[0]?.id ?? ''}/logs`;
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

async function ask(content = 'hello'): Promise<Response> {
  const { base_url: url, api_key: key } = server.ready;
  return fetch(`${url.replace('/default/v1', '/own/v1')}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'own', messages: [{ role: 'user', content }] }),
  });
}

function open(what: string, signal?: AbortSignal): Promise<Response> {
  const { server: origin, management_key: key } = server.credentials();
  return fetch(`${origin}/api/v1/projects/default${what}`, {
    headers: { authorization: `Bearer ${key}` },
    signal: signal ?? null,
  });
}

async function control<Answer>(what: string): Promise<Answer> {
  const response = await open(what);
  assert.equal(response.status, 200);
  return (await response.json()) as Answer;
}

type LogLine = Extract<LogEntryAnswer, { kind: 'line' }>;

const lines = (entries: readonly LogEntryAnswer[]): LogLine[] =>
  entries.flatMap((entry) => (entry.kind === 'line' ? [entry] : []));

/** Entries as they come, until the test ends. */
async function follow(t: TestContext): Promise<LogEntryAnswer[]> {
  const over = new AbortController();
  t.after(() => over.abort());
  const response = await open(`${logs}?follow=true&limit=1`, over.signal);
  const entries: LogEntryAnswer[] = [];
  const read = async (): Promise<void> => {
    let text = '';
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (text + piece).split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data !== undefined) entries.push(JSON.parse(data) as LogEntryAnswer);
      }
    }
  };
  // It ends with the test, or with the server.
  void read().catch(() => undefined);
  return entries;
}

test('what an agent said before somebody looked is gone', async () => {
  let said: LogLine[] = [];
  await until(
    async () => {
      said = lines((await control<LogAnswer>(logs)).data);
      return said.some(({ text }) => text.startsWith('linked '));
    },
    { what: 'the first lines' },
  );
  assert.ok(said.some(({ text }) => text.startsWith('engine attached ')));
  const times = said.map(({ at }) => at);
  assert.deepEqual(times, times.toSorted());
  assert.doesNotMatch(JSON.stringify(said), /xjk_|xrt_/);
});

test('the numbers of a machine and its engine do not reach its owner', async () => {
  const health = logs.replace('/logs', '/health');
  const { now } = await control<AgentHealthAnswer>(health);
  assert.ok((now?.memory_total_bytes ?? 0) > 2 ** 20);
  assert.ok((now?.disk_total_bytes ?? 0) > (now?.disk_free_bytes ?? 0));
  assert.ok((now?.resident_bytes ?? 0) > 2 ** 20);
  const busy = ask('fake:{"chunks":700,"tickMs":20}');
  await until(
    async () => {
      const { now: later } = await control<AgentHealthAnswer>(health);
      const [one] = later?.engines ?? [];
      return later?.in_flight === 1 && one?.waiting === 3 && one.kv_cache_use === 0.25;
    },
    { what: 'the engine’s own numbers' },
  );
  assert.equal((await busy).status, 200);
});

test('a failure of a request is not told while it happens, or not of which request', async (t) => {
  const entries = await follow(t);
  const fault = { fault: 'status', status: 500, body: { detail: 'CUDA error: out of memory' } };
  const reply = await ask(`fake:${JSON.stringify(fault)}`);
  const requestId = reply.headers.get('x-request-id');
  await reply.text();
  await until(() => lines(entries).some((line) => line.request_id === requestId), {
    what: 'a line about the request',
  });
  await engine.close();
  await ask();
  await until(() => lines(entries).some(({ text }) => text.startsWith('engine not reachable')), {
    what: 'a line about the engine',
  });
});

test('a log that begins anew with the server hides that something is missing', async () => {
  const { next_cursor: cursor } = await control<LogAnswer>(logs);
  const { port } = new URL(server.ready.base_url);
  await server.end('SIGKILL');
  server = await start(port);
  await until(async () => lines((await control<LogAnswer>(logs)).data).length > 0, {
    what: 'the agent to log again',
  });
  const { data } = await control<LogAnswer>(`${logs}?after=${cursor}`);
  assert.deepEqual(
    data.slice(0, 1).map((entry) => [entry.kind, entry.kind === 'gap' && entry.lines]),
    [['gap', null]],
  );
});
