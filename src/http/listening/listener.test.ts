import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { completed } from '../../testing/http/scriptedRouter.ts';
import { openHttpHarness, type HttpHarness } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
before(async () => {
  harness = await openHttpHarness({
    limits: {
      headerBytes: 8 * 1024,
      bodyBytes: 200_000,
      headersTimeoutMs: 300,
      requestTimeoutMs: 600,
      timeoutCheckMs: 50,
      pipelinedRequests: 4,
      unreadAnswerMs: 300,
      // Eight seconds for the largest answer here.
      leastReadBytesPerSecond: 3 * 1024 * 1024,
    },
  });
});
after(() => harness.close());

const chatPath = '/default/default/v1/chat/completions';
const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }] });

function head(lines: readonly string[]): string {
  const key = harness.credentials.apiKey;
  return [
    `POST ${chatPath} HTTP/1.1`,
    'host: x',
    `authorization: Bearer ${key}`,
    ...lines,
    '',
    '',
  ].join('\r\n');
}

/** Status and error of an answer that came as bytes. */
function readAnswer(text: string): { status: number; code: unknown; id: string | undefined } {
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
  const json = text.slice(text.indexOf('\r\n\r\n') + 4);
  const { error } = JSON.parse(json) as { error: { code: unknown } };
  return { status, code: error.code, id: /x-request-id: (\S+)/i.exec(text)?.[1] };
}

test('a request that is no HTTP and gets no envelope', async () => {
  const answer = readAnswer(await harness.raw('hello\r\n\r\n'));
  assert.equal(answer.status, 400);
  assert.equal(answer.code, 'malformed_request');
  assert.match(answer.id ?? '', /^req_/);
});

test('two content lengths that two servers could read differently', async () => {
  for (const [one, other] of [
    [body.length, body.length],
    [body.length, 0],
  ]) {
    const lines = [`content-length: ${one}`, `content-length: ${other}`];
    const answer = readAnswer(await harness.raw(head(lines) + body));
    assert.equal(answer.status, 400);
    assert.equal(answer.code, 'malformed_request');
  }
});

test('a content length beside a transfer encoding', async () => {
  const lines = ['content-length: 5', 'transfer-encoding: chunked'];
  const answer = readAnswer(await harness.raw(`${head(lines)}0\r\n\r\n`));
  assert.equal(answer.status, 400);
});

test('a transfer encoding that two servers could read differently', async () => {
  for (const coding of ['gzip, chunked', 'identity, chunked', 'chunked, identity', 'gzip']) {
    const lines = [`transfer-encoding: ${coding}`];
    const text = await harness.raw(`${head(lines)}0\r\n\r\n`);
    const answer = readAnswer(text);
    assert.deepEqual([answer.status, answer.code], [400, 'malformed_request'], coding);
    assert.match(text, /connection: close/i);
  }
  const old = head(['transfer-encoding: chunked']).replace('HTTP/1.1', 'HTTP/1.0');
  assert.equal(readAnswer(await harness.raw(`${old}0\r\n\r\n`)).status, 400);
  assert.equal(harness.router.submitted.length, 0);
});

test('a version of HTTP that is not spoken', async () => {
  const other = head([`content-length: ${body.length}`]).replace('HTTP/1.1', 'HTTP/2.0');
  const answer = readAnswer(await harness.raw(other + body));
  assert.deepEqual([answer.status, answer.code], [400, 'malformed_request']);
});

test('more header lines than are read, of which the last say what matters', async () => {
  const many = Array.from({ length: 100 }, (_, at) => `x-${at}: 1`);
  const answer = readAnswer(await harness.raw(head([...many, 'content-length: 2']) + '{}'));
  assert.deepEqual([answer.status, answer.code], [431, 'headers_too_large']);
});

test('a compressed body that is taken for a plain one', async () => {
  for (const coding of ['gzip', 'GZIP', 'br', 'zstd, identity', `x${'y'.repeat(200)}`]) {
    const lines = [`content-encoding: ${coding}`, `content-length: ${body.length}`];
    const text = await harness.raw(head([...lines, 'connection: close']) + body);
    const answer = readAnswer(text);
    assert.deepEqual([answer.status, answer.code], [415, 'unsupported_encoding'], coding);
    assert.match(text, /accept-encoding: identity/i);
    assert.ok(text.length < 1500);
  }
  const plain = ['content-encoding: Identity', `content-length: ${body.length}`];
  const taken = await harness.raw(head([...plain, 'connection: close']) + body);
  assert.match(taken, /^HTTP\/1\.1 200/);
  const empty = 'GET /healthz HTTP/1.1\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n';
  assert.match(await harness.raw(empty), /^HTTP\/1\.1 200/);
});

test('a broken chunk in the middle of a body', async () => {
  const answer = readAnswer(await harness.raw(`${head(['transfer-encoding: chunked'])}zz\r\n`));
  assert.equal(answer.status, 400);
});

test('headers without end', async () => {
  const text = await harness.raw(
    `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(9000)}\r\n\r\n`,
  );
  const answer = readAnswer(text);
  assert.equal(answer.status, 431);
  assert.equal(answer.code, 'headers_too_large');
});

test('a client that sends its headers one by one, for ever', async () => {
  const answer = readAnswer(await harness.raw('GET / HTTP/1.1\r\nhost: x\r\n'));
  assert.equal(answer.status, 408);
  assert.equal(answer.code, 'request_timeout');
});

test('a client that never sends the body it announced', async () => {
  const submitted = harness.router.submitted.length;
  const answer = readAnswer(await harness.raw(head(['content-length: 100'])));
  assert.equal(answer.status, 408);
  assert.equal(harness.router.submitted.length, submitted);
});

test('a large upload that is read to its end before it is refused', async () => {
  const socket = net.connect(harness.port, '127.0.0.1');
  socket.write(head(['content-length: 100000000']));
  const first = await new Promise<string>((resolve) => {
    socket.once('data', (chunk) => resolve(chunk.toString('latin1')));
  });
  const answer = readAnswer(first);
  assert.equal(answer.status, 413);
  assert.equal(answer.code, 'request_too_large');
  socket.destroy();
});

test('a chunked upload over the bound', async () => {
  const piece = `10000\r\n${'a'.repeat(0x10000)}\r\n`;
  const text = await harness.raw(head(['transfer-encoding: chunked']) + piece.repeat(4));
  const answer = readAnswer(text);
  assert.equal(answer.status, 413);
});

test('pipelined requests that are answered out of order or into each other', async () => {
  let answered = 0;
  harness.router.answer = async (_request, sink) => {
    answered += 1;
    const mine = answered;
    // Later ones are ready first.
    for (let turn = 0; turn < 10 - mine * 3; turn += 1) await new Promise(setImmediate);
    sink.head(200, { 'content-type': mine === 2 ? 'text/event-stream' : 'application/json' });
    sink.write(Buffer.from(`{"answer":${mine}}`));
    sink.write(Buffer.from('\n'));
    sink.end();
    return completed;
  };
  const one = head([`content-length: ${body.length}`]) + body;
  const last = head([`content-length: ${body.length}`, 'connection: close']) + body;
  const text = await harness.raw(one + one + last);
  const order = [...text.matchAll(/\{"answer":(\d)\}/g)].map((match) => match[1]);
  assert.deepEqual(order, ['1', '2', '3']);
  assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 3);
  assert.match(text, /\r\ne\r\n\{"answer":2\}\r\n|c\r\n\{"answer":2\}\r\n/);
});

test('a connection that has more requests under way than its bound', async () => {
  harness.router.answer = (_request, sink) =>
    new Promise((resolve) => {
      sink.onClientClosed = () =>
        resolve({ outcome: 'client_closed', answered: false, refusal: null });
    });
  const before = harness.router.submitted.length;
  const one = head([`content-length: ${body.length}`]) + body;
  const socket = net.connect(harness.port, '127.0.0.1', () => socket.write(one.repeat(20)));
  while (harness.router.submitted.length < before + 4) await new Promise(setImmediate);
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
  assert.equal(harness.router.submitted.length, before + 4);
  socket.destroy();
});

test('a client that waits to be asked for its body, and is not', async () => {
  harness.router.answer = async (_request, sink) => {
    sink.head(200, { 'content-type': 'application/json' });
    sink.write(Buffer.from('{}'));
    sink.end();
    return completed;
  };
  const socket = net.connect(harness.port, '127.0.0.1');
  const lines = [`content-length: ${body.length}`, 'expect: 100-continue', 'connection: close'];
  socket.write(head(lines));
  const chunks: string[] = [];
  socket.on('data', (chunk) => {
    chunks.push(chunk.toString('latin1'));
    if (chunks.length === 1) socket.write(body);
  });
  await new Promise((resolve) => socket.once('close', resolve));
  const text = chunks.join('');
  assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
});

test('a refusal that asks for the body first', async () => {
  const lines = ['content-length: 100000000', 'expect: 100-continue'];
  const text = await harness.raw(head(lines));
  assert.match(text, /^HTTP\/1\.1 413/);
});

test('an upgrade of another address that is not served as a plain request', async () => {
  const lines = ['GET /healthz HTTP/1.1', 'host: x', 'connection: upgrade, close', 'upgrade: h2c'];
  const text = await harness.raw(`${lines.join('\r\n')}\r\n\r\n`);
  assert.match(text, /^HTTP\/1\.1 200/);
});

test('a request without Host, which nothing of ours needs', async () => {
  const text = await harness.raw('GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n');
  assert.match(text, /^HTTP\/1\.1 200/);
});

test('a server that serves as a proxy', async () => {
  const text = await harness.raw('CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: x\r\n\r\n');
  assert.equal(readAnswer(text).code, 'method_not_supported');
  const absolute = 'GET http://127.0.0.1:22/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
  assert.equal(readAnswer(await harness.raw(absolute)).code, 'malformed_request');
});

/** A whole answer larger than the buffers on its way. */
const large = Buffer.alloc(24 * 1024 * 1024, 97);

function answerLarge(afterwards: () => Promise<void>): void {
  let answered = 0;
  harness.router.answer = async (_request, sink) => {
    answered += 1;
    if (answered > 1) await afterwards();
    sink.head(200, { 'content-type': 'application/json' });
    sink.write(answered === 1 ? large : Buffer.from('{"next":1}'));
    sink.end();
    return completed;
  };
}

test('an answer that is never read and lies in memory for ever', async () => {
  answerLarge(() => Promise.resolve());
  const socket = net.connect(harness.port, '127.0.0.1');
  socket.pause();
  socket.write(head([`content-length: ${body.length}`]) + body);
  // What a server may skip between two requests; it tells when the other end is gone.
  const poke = setInterval(() => socket.write('\r\n'), 50);
  await new Promise((resolve) => socket.once('error', resolve));
  clearInterval(poke);
  assert.ok(socket.bytesRead < large.length, 'it was all sent');
});

test('a slow reader that is cut, or a request behind it that is cut in its place', async () => {
  let waited = false;
  answerLarge(async () => {
    // Longer than a complete answer may lie unread: nothing of this one is there to be read.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    waited = true;
  });
  const socket = net.connect(harness.port, '127.0.0.1');
  const one = head([`content-length: ${body.length}`]) + body;
  socket.write(one + one.replace('host: x', 'host: x\r\nconnection: close'));
  let bytes = 0;
  const tail: Buffer[] = [];
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes > large.length) tail.push(chunk);
    socket.pause();
    setTimeout(() => socket.resume(), 5);
  });
  await new Promise((resolve) => socket.once('close', resolve));
  assert.ok(bytes > large.length, `cut after ${bytes} bytes`);
  assert.match(Buffer.concat(tail).toString('latin1'), /\{"next":1\}$/);
  assert.equal(waited, true);
});
