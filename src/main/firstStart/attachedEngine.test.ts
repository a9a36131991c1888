import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { engineModels } from './attachedEngine.ts';

async function engine(
  t: TestContext,
  options: { answer: RequestListener; socket?: string },
): Promise<string> {
  const server = createServer(options.answer);
  await new Promise<void>((resolve) => {
    if (options.socket === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(options.socket, resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  if (options.socket !== undefined) return `unix:${options.socket}`;
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const asked = { apiKey: undefined, stop: new AbortController().signal };
const list = JSON.stringify({ data: [{ id: 'a' }, { name: 'no id' }, { id: 'b' }] });

test('an engine on a unix socket, or below a path, whose models nobody finds', async (t) => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'xim-engine-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const paths: (string | undefined)[] = [];
  const answer: RequestListener = (request, response) => {
    paths.push(request.url, request.headers.authorization);
    response.end(list);
  };
  const socket = await engine(t, { answer, socket: path.join(directory, 'engine.sock') });
  assert.deepEqual(await engineModels(socket, asked), ['a', 'b']);
  const url = await engine(t, { answer });
  assert.deepEqual(await engineModels(`${url}/llm/v1/`, { ...asked, apiKey: 'k' }), ['a', 'b']);
  assert.deepEqual(paths, ['/v1/models', undefined, '/llm/v1/models', 'Bearer k']);
});

test('an answer that is no list, or none at all, ends the start', async (t) => {
  for (const text of ['', '[]', '{"data":{}}', '{"data":[null]}', '<html>', '7', 'null']) {
    const url = await engine(t, { answer: (_request, response) => response.end(text) });
    assert.equal(await engineModels(url, asked), undefined, text);
  }
  const cut = await engine(t, { answer: (_request, response) => response.socket?.destroy() });
  assert.equal(await engineModels(cut, asked), undefined);
  assert.equal(await engineModels('http://127.0.0.1:1', asked), undefined);
  assert.equal(await engineModels('unix:/nonexistent/socket', asked), undefined);
});

test('a stop that waits for an engine which says nothing', async (t) => {
  const stop = new AbortController();
  const url = await engine(t, { answer: () => stop.abort() });
  assert.equal(await engineModels(url, { ...asked, stop: stop.signal }), undefined);
});
