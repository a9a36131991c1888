import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { linkConnectTimeoutMs } from '../limits.ts';
import { dial } from './dial.ts';

const hostile: [string, (socket: Socket) => void][] = [
  ['says nothing', () => {}],
  ['answers byte by byte', (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\nX-')],
];

for (const [what, greet] of hostile) {
  test(`a server that ${what} keeps the agent from ever dialling again`, async (t) => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const clock = new FakeClock();
    let opened = 0;
    const { port } = server.address() as AddressInfo;
    const outcome = dial({
      url: new URL(`ws://127.0.0.1:${port}/v1/agents/link`),
      pin: null,
      clock,
      signal: new AbortController().signal,
      onOpen: () => (opened += 1),
    });
    const [socket] = await accepted;
    // It may come as a reset: what counts is that it comes.
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    // The request has come: what follows is the server's to answer.
    await once(socket, 'data');
    greet(socket);
    clock.advance(linkConnectTimeoutMs);
    const { kind, ...rest } = await outcome;
    assert.equal(kind, 'failed');
    assert.match(JSON.stringify(rest), /"permanent":false.*within 15 s/);
    assert.equal(opened, 0);
    assert.equal(clock.pendingTimers, 0);
    await closed;
  });
}
