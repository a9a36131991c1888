import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import OpenAI, { APIUserAbortError, NotFoundError, APIConnectionError } from 'openai';
import type { ClientSink, SubmitResult } from '../../router/ports.ts';
import { completed, answerStream } from '../../testing/http/scriptedRouter.ts';
import { openHttpHarness, type HttpHarness } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
before(async () => {
  harness = await openHttpHarness();
});
after(() => harness.close());

const chatPath = '/default/default/v1/chat/completions';
const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], stream: true });
const gone: SubmitResult = { outcome: 'client_closed', answered: false, refusal: null };
const streamType = { 'content-type': 'text/event-stream; charset=utf-8' };

/** Lets the test hold the sink of the next request; the request ends when the client is gone. */
function nextSink(): Promise<{ sink: ClientSink; closed: Promise<void>; finish: () => void }> {
  return new Promise((resolve) => {
    harness.router.answer = (_request, sink) =>
      new Promise((done) => {
        const closed = new Promise<void>((left) => {
          sink.onClientClosed = () => {
            left();
            done(gone);
          };
        });
        resolve({ sink, closed, finish: () => done(completed) });
      });
  });
}

function post(version = '1.1', close = true): net.Socket {
  const lines = [
    `POST ${chatPath} HTTP/${version}`,
    'host: x',
    `authorization: Bearer ${harness.credentials.apiKey}`,
    `content-length: ${body.length}`,
    ...(close ? ['connection: close'] : []),
  ];
  const socket = net.connect(harness.port, '127.0.0.1');
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
  return socket;
}

function textOf(socket: net.Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  return new Promise((resolve) => {
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('utf8')));
  });
}

test('a stream whose head says anything else than the API promises', async () => {
  harness.router.answer = answerStream(['{"a":1}', '[DONE]']);
  const text = await textOf(post());
  const end = text.indexOf('\r\n\r\n') + 4;
  const [head, rest] = [text.slice(0, end), text.slice(end)];
  assert.match(head, /^HTTP\/1\.1 200 OK/);
  assert.match(head, /content-type: text\/event-stream; charset=utf-8/);
  assert.match(head, /cache-control: no-cache, no-transform/);
  assert.match(head, /x-accel-buffering: no/);
  assert.match(head, /transfer-encoding: chunked/);
  assert.doesNotMatch(head, /content-encoding|content-length/);
  const framed = 'f\r\ndata: {"a":1}\n\n\r\n' + 'e\r\ndata: [DONE]\n\n\r\n' + '0\r\n\r\n';
  assert.equal(rest, framed);
});

test('a head that leaves before the first byte of the body', async () => {
  const next = nextSink();
  const socket = post();
  const text = textOf(socket);
  const { sink, finish } = await next;
  sink.head(200, streamType);
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  assert.equal(socket.bytesRead, 0);
  sink.write(Buffer.from('data: x\n\n'));
  sink.end();
  finish();
  assert.match(await text, /^HTTP\/1\.1 200/);
});

test('bytes of a stream that are lost, repeated or cut by the framing', async () => {
  const events = Array.from({ length: 2000 }, (_, at) => `${at}-${'ä'.repeat(at % 97)}`);
  harness.router.answer = answerStream(events);
  const reply = await harness.call('POST', chatPath, { key: harness.credentials.apiKey, body });
  assert.equal(reply.text, events.map((event) => `data: ${event}\n\n`).join(''));
});

test('two streams on one connection that run into each other', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const once = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${harness.credentials.apiKey}` };
      const options = { agent, method: 'POST', port: harness.port, path: chatPath, headers };
      const request = http.request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve(text));
      });
      request.on('error', reject).end(body);
    });
  harness.router.answer = answerStream(['one']);
  assert.equal(await once(), 'data: one\n\n');
  harness.router.answer = answerStream(['two']);
  assert.equal(await once(), 'data: two\n\n');
  agent.destroy();
});

test('a client of HTTP/1.0, which knows no chunks', async () => {
  harness.router.answer = answerStream(['one', 'two']);
  const text = await textOf(post('1.0'));
  assert.doesNotMatch(text, /chunked/);
  assert.ok(text.endsWith('\r\n\r\ndata: one\n\ndata: two\n\n'));
});

test('a large answer that is no stream', async () => {
  const large = 'x'.repeat(300 * 1024);
  harness.router.answer = (_request, sink) => {
    sink.head(200, { 'content-type': 'application/json' });
    for (let at = 0; at < large.length; at += 16 * 1024) {
      sink.write(Buffer.from(large.slice(at, at + 16 * 1024)));
    }
    sink.end();
    return Promise.resolve(completed);
  };
  const text = await textOf(post());
  assert.match(text, /transfer-encoding: chunked/);
  assert.equal(
    text.match(/x/g)?.length,
    large.length + (text.split('\r\n\r\n')[0]?.match(/x/g)?.length ?? 0),
  );
});

for (const phase of ['queued', 'streaming'] as const) {
  test(`a client that hangs up unnoticed while ${phase}`, async () => {
    const next = nextSink();
    const socket = post('1.1', false);
    const { sink, closed } = await next;
    if (phase === 'streaming') {
      sink.head(200, streamType);
      sink.write(Buffer.from('data: x\n\n'));
      await new Promise((resolve) => socket.once('data', resolve));
    }
    const started = performance.now();
    socket.destroy();
    await closed;
    assert.ok(performance.now() - started < 100);
    // Nothing to write to any more, and nothing breaks.
    assert.equal(sink.write(Buffer.from('late')), true);
    sink.end();
  });
}

test('a client that reads nothing and makes the server hold everything', async () => {
  const next = nextSink();
  const socket = post('1.1', false);
  socket.pause();
  const { sink, finish } = await next;
  sink.head(200, streamType);
  const chunk = Buffer.alloc(16 * 1024, 'a');
  let wrote = 0;
  while (sink.write(chunk)) {
    wrote += chunk.length;
    await new Promise(setImmediate);
    assert.ok(wrote < 64 * 1024 * 1024, 'the sink took everything');
  }
  const drained = new Promise<void>((resolve) => (sink.onDrain = resolve));
  socket.resume();
  await drained;
  sink.end();
  finish();
  socket.destroy();
});

test('a client that reads nothing and makes each tiny event cost a hundred bytes', async () => {
  const next = nextSink();
  const socket = post();
  socket.pause();
  const { sink, finish } = await next;
  sink.head(200, streamType);
  const large = Buffer.alloc(16 * 1024, 'x');
  let wrote = 0;
  do {
    wrote += large.length;
    await new Promise(setImmediate);
  } while (sink.write(large));
  const before = process.memoryUsage();
  const tiny = Buffer.from('yz');
  for (let n = 0; n < 200_000; n += 1) sink.write(tiny);
  const after = process.memoryUsage();
  const held = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  assert.ok(held < 8_000_000, `400 kB of events hold ${held} bytes`);
  sink.end();
  finish();
  const text = textOf(socket);
  socket.resume();
  const letters = (await text).replaceAll(/\r\n[0-9a-f]*/g, '');
  assert.ok(letters.endsWith(`x${'yz'.repeat(200_000)}`));
});

test('an answer that broke and looks whole', async () => {
  harness.router.answer = (_request, sink) => {
    sink.head(200, streamType);
    sink.write(Buffer.from('data: half'));
    sink.destroy();
    return Promise.resolve({ outcome: 'upstream_error', answered: true, refusal: null });
  };
  const text = await textOf(post());
  assert.doesNotMatch(text, /0\r\n\r\n$/);
});

const chunk = (delta: object, finish: string | null = null): string =>
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'default',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  });

function client(path = '/default/default/v1'): OpenAI {
  const apiKey = harness.credentials.apiKey;
  return new OpenAI({ apiKey, baseURL: harness.base + path, maxRetries: 0 });
}

const messages = [{ role: 'user' as const, content: 'hi' }];

test('the official client, streaming', async () => {
  const parts = ['', 'Hel', 'lo'];
  harness.router.answer = answerStream([
    chunk({ role: 'assistant', content: '' }),
    ...parts.map((content) => chunk({ content })),
    chunk({}, 'stop'),
    '[DONE]',
  ]);
  const stream = await client().chat.completions.create({
    model: 'default',
    messages,
    stream: true,
  });
  let text = '';
  for await (const event of stream) text += event.choices[0]?.delta.content ?? '';
  assert.equal(text, 'Hello');
});

test('the official client, aborting in the middle of a stream', async () => {
  const next = nextSink();
  const pending = client().chat.completions.create({ model: 'default', messages, stream: true });
  const { sink, closed } = await next;
  sink.head(200, streamType);
  sink.write(Buffer.from(`data: ${chunk({ role: 'assistant', content: 'a' })}\n\n`));
  const stream = await pending;
  for await (const event of stream) {
    assert.equal(event.choices[0]?.delta.content, 'a');
    stream.controller.abort();
  }
  await closed;
});

test('the official client, aborting before anything came', async () => {
  const next = nextSink();
  const abort = new AbortController();
  const pending = client().chat.completions.create(
    { model: 'default', messages },
    { signal: abort.signal },
  );
  const rejected = assert.rejects(pending, APIUserAbortError);
  const { closed } = await next;
  abort.abort();
  await closed;
  await rejected;
});

test('the official client, and a refusal that it cannot read', async () => {
  const pending = client('/default/none/v1').chat.completions.create({ model: 'x', messages });
  await assert.rejects(pending, (error: unknown) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, 'endpoint_not_found');
    assert.match(error.requestID ?? '', /^req_/);
    return true;
  });
});

test('the official client, and its list of models', async () => {
  const list = await client('/v1').models.list();
  assert.deepEqual(list.data.map(({ id }) => id).toSorted(), ['default', 'own']);
  assert.equal((await client('/v1').models.retrieve('own')).id, 'own');
});

test('the official client, and a stream that is cut', async () => {
  const next = nextSink();
  const pending = client().chat.completions.create({ model: 'default', messages, stream: true });
  const { sink, finish } = await next;
  sink.head(200, streamType);
  sink.write(Buffer.from(`data: ${chunk({ role: 'assistant', content: 'a' })}\n\n`));
  const stream = await pending;
  await assert.rejects(
    async () => {
      for await (const event of stream) {
        assert.equal(event.choices[0]?.delta.content, 'a');
        sink.destroy();
      }
    },
    (error) => !(error instanceof assert.AssertionError) && !(error instanceof APIConnectionError),
  );
  finish();
});
