/** Engines that no honest server is like: what the router gets of each, through a whole agent. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { FakeServer } from '../testing/links/fakeServer.ts';
import { answered, type OpenAnswer } from '../testing/links/fakeServerLink.ts';
import {
  rawAnswer,
  rawStreamHead,
  says,
  startRawEngine,
  type RawEngine,
  type RawScript,
} from '../testing/engines/rawEngine.ts';
import { startAgent, stateDirectory } from '../testing/links/testAgent.ts';
import { until } from '../testing/until.ts';

type Cleanup = () => unknown;

const cleanups: Cleanup[] = [];
let engine: RawEngine;
let server: FakeServer;
before(async () => {
  const t = { after: (cleanup: Cleanup) => void cleanups.push(cleanup) };
  engine = await startRawEngine();
  server = await new FakeServer().start();
  const { url: serverUrl, joinKey } = server;
  const stateDir = await stateDirectory(t);
  startAgent(t, { serverUrl, engineUrl: engine.url, stateDir, joinKey });
  await until(() => server.links.length === 1);
  await server.link.ready();
});
after(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup();
  await server.stop();
  await engine.close();
});

const hello = { messages: [{ role: 'user', content: 'hello' }] };

async function ask(script: RawScript, options: { stream?: boolean } = {}): Promise<OpenAnswer> {
  engine.script = script;
  const answer = server.link.open(hello, options);
  await answered(answer);
  return answer;
}

const delta = (given: object, reason: string | null = null): object => ({
  choices: [{ index: 0, delta: given, finish_reason: reason }],
});
const event = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const text = event(delta({ content: 'ä🙂' }));
const stop = event(delta({}, 'stop'));
const done = 'data: [DONE]\n\n';

/** The text of an answer that has to be complete. */
function contentOf(answer: OpenAnswer): string {
  assert.equal(answer.ends[0]?.outcome, 'completed', JSON.stringify(answer.resets));
  const events = answer.text.split('\n\n');
  assert.equal(events.pop(), '');
  assert.equal(events.pop(), 'data: [DONE]');
  type Chunk = { choices: { delta: { content?: string } }[] };
  const chunks = events.map((one) => JSON.parse(one.slice('data: '.length)) as Chunk);
  return chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
}

/** That the engine failed, before the router had a byte or after. */
function assertFailed(answer: OpenAnswer, what: string): void {
  assert.equal(answer.resets[0]?.code, 'engine_failed', `${what}: ${answer.text}`);
  assert.equal(answer.ends.length, 0);
  assert.doesNotMatch(answer.text, /DONE|"finish_reason":"/);
}

test('events that were cut at some byte, or end in other line ends, read otherwise', async () => {
  const multiline = 'data: {"choices":[{"index":0,\ndata:"delta":{"content":"b"}}\ndata: ]}\n\n';
  const whole = `: note\n\nevent: message\nid: 7\n${text}data:\n\n${multiline}${stop}${done}`;
  const head = rawStreamHead.replace('connection: close', 'transfer-encoding: chunked');
  const chunk = (bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
  for (const end of ['\n', '\r\n', '\r']) {
    const bytes = Buffer.from(whole.replaceAll('\n', end));
    let cut = 0;
    engine.script = (socket) => {
      cut += 1;
      const parts = [bytes.subarray(0, cut), bytes.subarray(cut)].map(chunk);
      return says(head, ...parts, '0\r\n\r\n')(socket, {});
    };
    while (cut < bytes.length - 4) {
      const answers = [1, 2, 3, 4].map(() => server.link.open(hello));
      await Promise.all(answers.map(answered));
      const read = answers.map(contentOf);
      assert.deepEqual(read, Array(4).fill('ä🙂b'), `cut at ${cut}, ends ${JSON.stringify(end)}`);
    }
  }
});

test('an answer that comes byte by byte', async () => {
  const head = rawStreamHead.replace('connection: close', 'transfer-encoding: chunked');
  const bytes = Buffer.from(`${text}${stop}${done}`);
  const pieces = [...bytes].map((byte) =>
    Buffer.concat([Buffer.from('1\r\n'), Buffer.of(byte), Buffer.from('\r\n')]),
  );
  assert.equal(contentOf(await ask(says(head, ...pieces, '0\r\n\r\n'))), 'ä🙂');
});

test('an answer without a choice is passed on as an empty one', async () => {
  const usage = event({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 0 } });
  for (const said of [done, usage + done, event({}) + done, event({ choices: null }) + done]) {
    assertFailed(await ask(says(rawStreamHead, said)), said);
  }
  for (const body of ['{}', '{"choices":[]}', '{"choices":null}', '{"choices":[{}]}']) {
    const json = rawAnswer('200 OK', 'application/json', body);
    assertFailed(await ask(says(json), { stream: false }), body);
  }
});

test('a broken stream in llama-server’s own words ends as a stop', async () => {
  const broken = '{"code":500,"message":"boom","type":"server_error"}';
  for (const said of [
    `error: ${broken}\n\n`,
    `event: error\ndata: {"message":"boom"}\n\n`,
    `event: error\ndata: boom\n\n`,
    `event: error\ndata: {"error":{"message":"boom"}}\n\n`,
    event({ object: 'error', message: 'boom', code: 500 }),
  ]) {
    assertFailed(await ask(says(rawStreamHead, text, said, done)), said);
  }
  const refused = '{"code":400,"message":"too long","type":"exceed_context_size_error"}';
  const early = await ask(says(rawStreamHead, `error: ${refused}\n\n`, done));
  assert.equal(early.heads[0]?.status, 400);
  assert.match(early.text, /"param":"messages","code":"context_length_exceeded"/);
});

test('what is no answer at all counts as one', async () => {
  const scripts: Record<string, RawScript> = {
    html: says(rawAnswer('200 OK', 'text/html', '<html>hi</html>')),
    redirect: says('HTTP/1.1 302 Found\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n'),
    'no content': says('HTTP/1.1 204 No Content\r\n\r\n'),
    partial: says(rawStreamHead.replace('200 OK', '206 Partial Content'), text, stop, done),
    'no http': says('nonsense\r\n\r\n'),
    'huge head': says(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`),
    'cut json': says('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"choices":[]}'),
    'cut connection': (socket) => void socket.resetAndDestroy(),
    'bad chunk': says(
      rawStreamHead.replace('connection: close', 'transfer-encoding: chunked'),
      'zz\r\n',
    ),
    'an event without end': says(rawStreamHead, 'data: ', 'x'.repeat(5_000_000)),
    'a stream without end of the answer': says(rawStreamHead, text),
    aborted: says(rawStreamHead, text, event(delta({}, 'abort')), done),
    'deep nesting': says(
      rawStreamHead,
      `data: {"choices":[{"delta":{"reasoning":${'['.repeat(9000)}${']'.repeat(9000)}}}]}\n\n`,
      done,
    ),
  };
  for (const [name, script] of Object.entries(scripts)) assertFailed(await ask(script), name);
  const events = says(rawStreamHead, text, stop, done);
  assertFailed(await ask(events, { stream: false }), 'events instead of an answer');
});

test('a media type in capitals, and a head before the head', async () => {
  const head = rawStreamHead.replace('text/event-stream', 'Text/Event-Stream; charset=UTF-8');
  const hint = 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n';
  assert.equal(contentOf(await ask(says(hint, head, text, stop, done))), 'ä🙂');
});

test('a page of a proxy becomes the message that a client reads', async () => {
  const page = '<html><body>413 Request Entity Too Large</body></html>';
  const large = await ask(says(rawAnswer('413 Payload Too Large', 'text/html', page)));
  assert.equal(large.heads[0]?.status, 413);
  assert.match(large.text, /"message":"The engine refused the request\.".*request_too_large/);
  const plain = await ask(says(rawAnswer('400 Bad Request', 'text/plain', 'no such thing')));
  assert.match(plain.text, /"message":"no such thing"/);
});

test('usage that makes no sense is passed on, or breaks the answer', async () => {
  const counts = { prompt_tokens: -1, completion_tokens: '7', total_tokens: 1e99 };
  const choice = { index: 0, message: { content: 'x' }, finish_reason: 'stop' };
  const body = JSON.stringify({ choices: [choice], usage: counts });
  const whole = await ask(says(rawAnswer('200 OK', 'application/json', body)), { stream: false });
  assert.equal(whole.ends[0]?.usage, undefined);
  assert.doesNotMatch(whole.text, /usage/);
  const many = event({ ...delta({ content: 'x' }), usage: { prompt_tokens: 1e12 } });
  const streamed = await ask(says(rawStreamHead, many, stop, done));
  assert.equal(streamed.ends[0]?.usage?.input, 100_000_000);
});

test('a silent engine, or one that talks for ever after [DONE], keeps its slot', async () => {
  engine.script = (): void => {};
  const silent = server.link.open(hello);
  await until(() => engine.active() === 1);
  silent.stream.reset('cancelled');
  await until(() => silent.confirmed.length === 1);
  await engine.idle();
  let timer: NodeJS.Timeout | undefined;
  const answer = await ask((socket: Socket) => {
    socket.write(rawStreamHead + text + stop + done);
    timer = setInterval(() => socket.write(text), 5);
  });
  clearInterval(timer);
  assert.equal(contentOf(answer), 'ä🙂');
  await engine.idle();
});

test('an endless answer fills the agent’s memory', async () => {
  const endless =
    (head: string, piece: string): RawScript =>
    async (socket) => {
      socket.write(head);
      while (!socket.destroyed) {
        if (socket.write(piece)) continue;
        await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
      }
    };
  const error = 'HTTP/1.1 500 Bad\r\ncontent-type: application/json\r\n\r\n';
  assertFailed(await ask(endless(error, 'x'.repeat(10_000))), 'an error');
  assertFailed(await ask(endless(rawStreamHead, 'x'.repeat(10_000))), 'an event');
  await engine.idle();
});
