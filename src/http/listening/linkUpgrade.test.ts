import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { openHttpHarness, type HttpHarness } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
before(async () => {
  harness = await openHttpHarness({
    limits: {
      linkMessageBytes: 1000,
      perAddress: {
        sign_in: { burst: 1, perSecond: 1 },
        nonce: { burst: 1, perSecond: 1 },
        enroll: { burst: 1, perSecond: 1 },
        refresh: { burst: 1, perSecond: 1 },
        link: { burst: 6, perSecond: 0.001 },
        change: { burst: 1, perSecond: 1 },
      },
    },
  });
});
after(() => harness.close());

/** Opens a WebSocket; gives the refusal's status when there is one. */
async function dial(path: string, protocols: string[]): Promise<WebSocket | number> {
  const socket = new WebSocket(`ws://127.0.0.1:${harness.port}${path}`, protocols);
  return new Promise((resolve) => {
    socket.on('open', () => resolve(socket));
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.on('error', () => resolve(0));
  });
}

test('an agent link that does not reach the router', async () => {
  const before = harness.router.links.length;
  const socket = await dial('/v1/agents/link', ['xim.link.1']);
  assert.ok(socket instanceof WebSocket);
  assert.equal(socket.protocol, 'xim.link.1');
  assert.equal(socket.extensions, '');
  const link = harness.router.links[before];
  assert.equal(link?.address, '127.0.0.1');
  link?.socket.send('hello');
  const [message] = (await once(socket, 'message')) as [Buffer];
  assert.equal(message.toString(), 'hello');
  socket.terminate();
});

test('a message that is larger than a link may send', async () => {
  const before = harness.router.links.length;
  const socket = await dial('/v1/agents/link', ['xim.link.1']);
  assert.ok(socket instanceof WebSocket);
  harness.router.links[before]?.socket.on('error', () => {});
  socket.send(Buffer.alloc(2000));
  const [code] = (await once(socket, 'close')) as [number];
  assert.equal(code, 1009);
});

test('a ping is answered twice, once with no eye on what is unsent', async () => {
  const before = harness.router.links.length;
  const socket = await dial('/v1/agents/link', ['xim.link.1']);
  assert.ok(socket instanceof WebSocket);
  const served = harness.router.links[before]?.socket;
  served?.on('ping', () => served.send('seen'));
  let pongs = 0;
  socket.on('pong', () => (pongs += 1));
  socket.ping();
  await once(socket, 'message');
  assert.equal(pongs, 0);
  socket.terminate();
});

test('a link without its subprotocol, or at another address', async () => {
  assert.equal(await dial('/v1/agents/link', []), 400);
  assert.equal(await dial('/v1/agents/link', ['other']), 400);
  // Elsewhere an upgrade is no upgrade: the answer is the address's own.
  assert.equal(await dial('/healthz', ['xim.link.1']), 200);
  assert.equal(await dial('/nowhere', ['xim.link.1']), 404);
});

test('the link’s address asked for without an upgrade', async () => {
  const reply = await harness.call('GET', '/v1/agents/link');
  assert.equal(reply.status, 426);
  assert.equal((reply.json as { error: { code: string } }).error.code, 'upgrade_required');
});

test('a handshake that is broken and gets no envelope', async () => {
  const lines = [
    'GET /v1/agents/link HTTP/1.1',
    'host: x',
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-protocol: xim.link.1',
  ];
  const text = await harness.raw(`${lines.join('\r\n')}\r\n\r\n`);
  assert.match(text, /^HTTP\/1\.1 400/);
  assert.match(text, /"code":"malformed_request"/);
});

test('a flood of links from one address', async () => {
  const statuses = new Set<unknown>();
  for (let at = 0; at < 6; at += 1) {
    const socket = await dial('/v1/agents/link', ['xim.link.1']);
    if (socket instanceof WebSocket) socket.terminate();
    else statuses.add(socket);
  }
  assert.deepEqual([...statuses], [429]);
});
