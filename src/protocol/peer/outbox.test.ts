import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endOf, openOf } from '../../testing/links/linkPair.ts';
import { frames, rawAgainstAgent, rawAgainstRouter } from '../../testing/links/rawLink.ts';
import type { RawAgainstAgent } from '../../testing/links/rawLink.ts';
import { linkLimits } from '../limits.ts';
import { encodeCredit, frameType, type Frame } from '../wire/frame.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const head = { status: 200, contentType: 'text/event-stream' };

/** An agent with `count` open requests whose heads are out, nothing else sent. */
async function answering(count: number): Promise<RawAgainstAgent> {
  const raw = rawAgainstAgent();
  for (let id = 1; id <= count; id += 1) raw.deliver(frames.open(id));
  for (const request of raw.requests) request.stream.head(head);
  await turn();
  raw.transport.sent = [];
  return raw;
}

const short = (frame: Frame): string => `${frame.type}:${frame.stream}:${frame.payload.length}`;

void test('what one turn writes goes out in one message, each stream in one frame', async () => {
  const raw = await answering(3);
  for (let n = 0; n < 5; n += 1) {
    for (const request of raw.requests) request.stream.write(Buffer.from(`data: ${n}\n\n`));
  }
  assert.deepEqual(raw.transport.sent, []);
  await turn();
  assert.equal(raw.transport.sent.length, 1);
  assert.deepEqual(raw.transport.frames().map(short), ['6:1:45', '6:2:45', '6:3:45']);
});

void test('a long answer does not hold up short ones: streams go in turn', async () => {
  const raw = await answering(3);
  const [long, ...others] = raw.requests;
  long?.stream.write(Buffer.alloc(100_000, 'x'));
  for (const request of others) request.stream.write(Buffer.from('short'));
  await turn();
  const order = raw.transport.frames().map((frame) => frame.stream);
  assert.deepEqual(order, [1, 2, 3, 1, 1, 1, 1, 1, 1]);
  for (const message of raw.transport.sent) {
    assert.ok(message.length <= linkLimits.sendMessageBytes);
  }
});

void test('control goes before stream data that was written earlier', async () => {
  const raw = await answering(1);
  raw.requests[0]?.stream.write(Buffer.from('data'));
  raw.peer.send({ type: 'token', accessToken: 't' });
  await turn();
  const types = raw.transport.frames().map((frame) => frame.type);
  assert.deepEqual(types, [frameType.token, frameType.data]);
});

void test('a transport that is full gets nothing more until it has drained', async () => {
  const raw = await answering(1);
  const [request] = raw.requests;
  raw.transport.unread = linkLimits.transportHighWaterBytes;
  request?.stream.write(Buffer.from('data'));
  request?.stream.end(endOf());
  await turn();
  assert.deepEqual(raw.transport.sent, []);
  raw.transport.unread = 0;
  raw.transport.handlers?.onDrain();
  const types = raw.transport.frames().map((frame) => frame.type);
  assert.deepEqual(types, [frameType.data, frameType.end]);
});

void test('a stream never sends more than its credit, and goes on with more', async () => {
  const raw = await answering(1);
  const [request] = raw.requests;
  const body = Buffer.alloc(300_000, 'x');
  assert.equal(request?.stream.write(body), false);
  request?.stream.end(endOf());
  await turn();
  const sentBytes = (): number => {
    const data = raw.transport.frames().filter((frame) => frame.type === frameType.data);
    return data.reduce((sum, frame) => sum + frame.payload.length, 0);
  };
  assert.equal(sentBytes(), linkLimits.creditTowardsRouterBytes);
  raw.deliver(encodeCredit({ stream: 1, bytes: 1000 }));
  await turn();
  assert.equal(sentBytes(), linkLimits.creditTowardsRouterBytes + 1000);
  raw.deliver(encodeCredit({ stream: 1, bytes: 100_000 }));
  await turn();
  assert.equal(sentBytes(), body.length);
  assert.equal(raw.transport.frames().at(-1)?.type, frameType.end);
  assert.equal(raw.peer.openStreams(), 0);
});

void test('messages of a long body wait in their slabs for a full collection', async () => {
  const raw = rawAgainstRouter();
  raw.open().stream?.write(Buffer.alloc(1 << 20, 'x'));
  await turn();
  // The first has OPEN before its frames, and the last may lie in a slab.
  const messages = raw.transport.sent.slice(1, -1);
  assert.ok(messages.length >= 14, String(messages.length));
  for (const message of messages) assert.equal(message.length, message.buffer.byteLength);
});

void test('a stream that is reset in its turn sends nothing more', async () => {
  const raw = await answering(2);
  raw.requests[0]?.stream.write(Buffer.from('never'));
  raw.requests[0]?.stream.reset('engine_failed', 'x');
  await turn();
  assert.deepEqual(raw.transport.frames().map(short), ['8:1:2']);
  raw.transport.sent = [];
  raw.requests[1]?.stream.write(Buffer.from('never'));
  raw.deliver(frames.of('reset', 2, Buffer.from([1])));
  await turn();
  assert.deepEqual(raw.transport.sent, []);
});

void test('an empty body and a body that ends later both carry one end', async () => {
  const raw = rawAgainstRouter();
  const [empty, later] = [raw.open(), raw.open()];
  empty.stream?.end();
  later.stream?.write(Buffer.from('body'));
  await turn();
  later.stream?.end();
  await turn();
  const data = raw.transport.frames().filter((frame) => frame.type === frameType.data);
  assert.deepEqual(
    data.map((frame) => [frame.stream, frame.flags, frame.payload.length]),
    [
      [1, 1, 0],
      [2, 0, 4],
      [2, 1, 0],
    ],
  );
});

void test('control of many frames keeps its order over many messages', async () => {
  const raw = rawAgainstRouter();
  await turn();
  raw.transport.sent = [];
  const requestIds = Array.from({ length: 256 }, (_, n) => String(n).padStart(60, 'r'));
  for (let n = 0; n < 10; n += 1) raw.peer.send({ type: 'ack', requestIds });
  await turn();
  const acks = raw.transport.frames();
  const json = acks.map((frame) => frame.payload.toString()).join('');
  assert.equal(json, JSON.stringify({ requestIds }).repeat(10));
  assert.ok(raw.transport.sent.length > 1);
});

void test('no stream slips in between control frames of many messages', async () => {
  const raw = await answering(1);
  const line = { atMs: 1, level: 'info', source: 'agent', text: 'x'.repeat(4000) } as const;
  raw.requests[0]?.stream.write(Buffer.from('data'));
  raw.peer.send({ type: 'log', lines: Array(100).fill(line), dropped: 0 });
  await turn();
  const types = raw.transport.frames().map((frame) => frame.type);
  assert.equal(types.indexOf(frameType.data), types.length - 1);
  assert.ok(raw.transport.sent.length > 5);
});

void test('a cancel of an answer that waits for credit sends its trailers at once', async () => {
  const raw = await answering(1);
  const request = raw.requests[0];
  request?.stream.write(Buffer.alloc(300_000));
  request?.stream.end(endOf());
  await turn();
  raw.transport.sent = [];
  raw.deliver(frames.of('reset', 1, Buffer.from([1])));
  await turn();
  assert.deepEqual(
    raw.transport.frames().map((frame) => frame.type),
    [frameType.end],
  );
  assert.deepEqual(request?.resets, [], 'the agent was done with it');
  assert.equal(raw.peer.openStreams(), 0);
});

void test('closing sends what control is queued, so that a GOAWAY is not lost', () => {
  const raw = rawAgainstRouter();
  raw.peer.open(openOf(), { onData() {}, onEnd() {}, onReset() {} });
  raw.peer.send({ type: 'goaway', reason: 'shutting_down' });
  raw.peer.close('shutting_down');
  assert.equal(raw.transport.frames().at(-1)?.type, frameType.goaway);
});

void test('a chunk of a slow reader does not keep the message of others in memory', () => {
  const raw = rawAgainstRouter();
  const answer = raw.open();
  answer.reading = false;
  raw.deliver(frames.head(1));
  const data = frames.of('data', 1, 'x');
  const message = Buffer.concat([data, data]);
  raw.transport.handlers?.onMessage(message);
  // Whoever wrote over the message would change a view, and not a copy.
  message.fill(0);
  assert.deepEqual(answer.chunks, [Buffer.from([0]), Buffer.from('x')]);
});
