/** Clients that hardly read, through real processes: who holds what their engines have written. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import type { Socket } from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { defaultModel } from '../../src/agent/models/defaultModel.ts';
import { joinAgent } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { endLeftovers, until } from '../../src/testing/processes/processes.ts';
import type { RunningProcess } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ServerProcess } from '../../src/testing/processes/serverProcess.ts';

const slowClients = 24;
/** 64 MiB for each of them: far more than all buffers on the way. */
const chunks = 2048;
const chunkBytes = 32 * 1024;
/** A window of the link, a piece that is cut, and what the system has in its sockets. */
const onTheWayBytes = 16 * 1024 * 1024;
/** All windows together are 6 MiB; what rushed through before them is garbage. Of 1.5 GiB. */
const grownMiB = 160;

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let server: ServerProcess;
let agent: RunningProcess;

before(async () => {
  base = await temporaryDirectory('slow');
  engine = await startFakeEngine({ models: [defaultModel.name] });
  server = await startServerProcess({
    dataDir: path.join(base.path, 'data'),
    args: ['--no-agent'],
  });
  const stateDir = path.join(base.path, 'agent');
  const flags = ['--slots', String(slowClients + 1)];
  agent = await joinAgent(server, { stateDir, engineUrl: engine.url, flags });
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

function requestText(order: Record<string, unknown>): string {
  const messages = [{ role: 'user', content: `fake:${JSON.stringify(order)}` }];
  const body = JSON.stringify({ stream: true, messages });
  const { api_key: key } = server.ready;
  return [
    'POST /default/own/v1/chat/completions HTTP/1.1',
    'Host: xim',
    `Authorization: Bearer ${key}`,
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

/** A client that takes a byte when it is told to, and nothing else. */
async function slowClient(): Promise<Socket> {
  const { port } = new URL(server.ready.base_url);
  const socket = net.connect(Number(port), '127.0.0.1');
  socket.on('error', () => {});
  const padding = 'x'.repeat(chunkBytes);
  socket.write(requestText({ chunks, padding }));
  await new Promise((resolve) => socket.once('readable', resolve));
  return socket;
}

/** What a client gets that reads. */
async function quickAnswer(): Promise<string> {
  const { base_url: baseUrl, api_key: key } = server.ready;
  const answer = await fetch(`${baseUrl.replace('/default/v1', '/own/v1')}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ stream: true, messages: [{ role: 'user', content: 'hello' }] }),
  });
  return answer.text();
}

function residentMiB({ pid }: { pid: number }): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

test('clients that read a byte a second fill memory, or hold up the others', async () => {
  await until(async () => (await quickAnswer()).includes('w4'), { what: 'the first answer' });
  const serverPid = { pid: server.ready.pid };
  const before = { server: residentMiB(serverPid), agent: residentMiB(agent) };
  const clients = await Promise.all(Array.from({ length: slowClients }, slowClient));
  const isBlocked = (): boolean => engine.stats().blocked === slowClients;
  await until(isBlocked, { what: 'every engine’s socket to be full' });

  for (let second = 0; second < 3; second += 1) {
    for (const client of clients) assert.notEqual(client.read(1), null);
    const answers = await Promise.all([quickAnswer(), new Promise((go) => setTimeout(go, 1000))]);
    assert.match(answers[0], /w4 .*data: \[DONE\]\n\n$/s);
  }
  assert.ok(isBlocked());
  const writtenBytes = (engine.stats().chunksWritten * chunkBytes) / slowClients;
  assert.ok(writtenBytes < onTheWayBytes, `${writtenBytes} bytes were written for each`);
  const grown = {
    server: residentMiB(serverPid) - before.server,
    agent: residentMiB(agent) - before.agent,
  };
  assert.ok(grown.server < grownMiB && grown.agent < grownMiB, JSON.stringify(grown));

  for (const client of clients) client.destroy();
  await until(() => engine.stats().active === 0, { what: 'the engines to be told' });
  assert.equal(engine.stats().aborted, slowClients);
  assert.match(await quickAnswer(), /data: \[DONE\]\n\n$/);
});
