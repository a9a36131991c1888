/** What only a real WebSocket can get wrong. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../lib/clock.ts';
import type { Closed } from '../testing/links/linkPair.ts';
import { challenge, createLinkPair, endOf, wsTransportPair } from '../testing/links/linkPair.ts';
import { createRouterPeer } from './mux.ts';
import {
  createWsTransport,
  linkSubprotocol,
  wsClientOptions,
  wsServerOptions,
} from './wsTransport.ts';

interface Listening {
  port: number;
  /** How the first link ended. */
  closed: Promise<Closed>;
  stop(): Promise<void>;
}

/** A router's end behind every WebSocket that is accepted. */
async function listen(): Promise<Listening> {
  const server: Server = createServer();
  const sockets = new WebSocketServer({ ...wsServerOptions, server });
  const ended = Promise.withResolvers<Closed>();
  sockets.on('connection', (socket) => {
    const peer = createRouterPeer(createWsTransport(socket), {
      clock: systemClock,
      handlers: {
        onControl() {},
        onClose: (reason, detail, by) => ended.resolve({ reason, detail, by }),
      },
    });
    peer.send(challenge);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    closed: ended.promise,
    async stop() {
      sockets.close();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function dial(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, linkSubprotocol, wsClientOptions);
  socket.on('error', () => {});
  await once(socket, 'open');
  return socket;
}

async function refused(
  send: (socket: WebSocket) => void,
): Promise<{ code: number; closed: Closed }> {
  const router = await listen();
  try {
    const socket = await dial(router.port);
    send(socket);
    const [code] = (await once(socket, 'close')) as [number];
    return { code, closed: await router.closed };
  } finally {
    await router.stop();
  }
}

void test('a text message closes the link with a reason', async () => {
  const { code, closed } = await refused((socket) => socket.send('hello'));
  assert.equal(code, 4001);
  assert.deepEqual(closed, { reason: 'protocol_error', detail: 'text message', by: 'us' });
});

void test('a message over the bound is refused before it is read', async () => {
  const { closed } = await refused((socket) => socket.send(Buffer.alloc(2 ** 20 + 1)));
  assert.equal(closed.reason, 'protocol_error');
  assert.equal(closed.detail, 'unsupported_message_length');
});

void test('a message in endless fragments is refused', async () => {
  const { closed } = await refused((socket) => {
    for (let n = 0; n < 2000; n += 1) socket.send(Buffer.alloc(1), { binary: true, fin: false });
  });
  assert.equal(closed.reason, 'protocol_error');
  assert.equal(closed.detail, 'too_many_buffered_parts');
});

void test('bytes that are no WebSocket frame close the link with a reason', async () => {
  const { closed } = await refused((socket) => {
    (socket as unknown as { _socket: Socket })._socket.write(Buffer.alloc(64, 0xff));
  });
  assert.equal(closed.reason, 'protocol_error');
});

void test('a peer that vanishes without a close is a broken transport', async () => {
  const { code, closed } = await refused((socket) => socket.terminate());
  assert.equal(code, 1006);
  assert.deepEqual([closed.reason, closed.by], ['transport_error', 'peer']);
});

void test('another subprotocol is not spoken, and compression is never agreed', async () => {
  const router = await listen();
  const upgrade = (lines: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(router.port, '127.0.0.1', () => {
        socket.write(
          ['GET / HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade']
            .concat('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13')
            .concat(lines, '', '')
            .join('\r\n'),
        );
      });
      socket.once('data', (data) => {
        socket.destroy();
        resolve(data.toString('latin1'));
      });
      socket.once('error', reject);
    });
  try {
    const answer = await upgrade([
      'Sec-WebSocket-Protocol: xim.link.9, xim.link.1',
      'Sec-WebSocket-Extensions: permessage-deflate',
    ]);
    assert.match(answer, /^HTTP\/1\.1 101/);
    assert.match(answer, /sec-websocket-protocol: xim\.link\.1\r\n/i);
    assert.doesNotMatch(answer, /deflate/);
    const foreign = await upgrade(['Sec-WebSocket-Protocol: chat']);
    assert.doesNotMatch(foreign, /sec-websocket-protocol/i);
  } finally {
    await router.stop();
  }
});

void test('many long answers at once do not pile up unsent before a socket', async () => {
  const pair = await createLinkPair({ transports: await wsTransportPair() });
  const answers = Array.from({ length: 40 }, (_, n) => pair.open({ requestId: `req_${n}` }));
  await pair.until(() => pair.requests.length === answers.length);
  const body = Buffer.alloc(3 * 2 ** 20, 'x');
  for (const request of pair.requests) {
    request.stream.head({ status: 200, contentType: 'a/b' });
    assert.equal(request.stream.write(body), false);
    request.stream.end(endOf({ requestId: request.message.requestId }));
  }
  let most = 0;
  await pair.until(() => {
    most = Math.max(most, pair.transports.agent.bufferedBytes());
    return answers.every((answer) => answer.ends.length === 1);
  });
  for (const answer of answers) assert.equal(answer.bytes, body.length);
  assert.ok(most <= 256 * 1024 + 66 * 1024, `unsent bytes rose to ${most}`);
  pair.router.close('shutting_down');
  await pair.transports.dispose();
});
