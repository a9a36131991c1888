/** `X-XIM-Progress`: a stream that opens at once, with the real router and a fake agent. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import OpenAI from 'openai';
import type { Router } from '../../router/router.ts';
import { openPlatformHarness, type HttpHarness } from '../../testing/http/httpHarness.ts';
import {
  answers,
  diesAfter,
  echoes,
  eventOf,
  stalls,
  type FakeAgent,
} from '../../testing/links/fakeAgent.ts';
import { joinOverHttp } from '../../testing/links/joinOverHttp.ts';
import { FakeClient, RouterHarness, until } from '../../testing/router/routerHarness.ts';
import type { ResponseSink } from '../listening/responseSink.ts';
import { ProgressSink } from './progressSink.ts';
import { placeEveryMs } from '../../router/limits.ts';

let harness: HttpHarness<Router>;
let agent: FakeAgent;
const stalled: FakeAgent['requests'] = [];

before(async () => {
  harness = await openPlatformHarness();
  agent = await joinOverHttp(harness);
});
after(() => harness.close());
afterEach(async () => {
  agent.script = echoes;
  await until(() => harness.router.audit().requests === 0);
});

const path = '/default/own/v1/chat/completions';
const messages = [{ role: 'user' as const, content: 'hi' }];

interface Opened {
  response: Response;
  /** What has come. */
  text(): string;
  over: Promise<void>;
}

async function open(
  headers: Record<string, string> = { 'x-xim-progress': 'on' },
  body: Record<string, unknown> = { messages, stream: true },
): Promise<Opened> {
  const response = await fetch(harness.base + path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${harness.credentials.apiKey}`,
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(body),
  });
  let text = '';
  const decoder = new TextDecoder();
  const read = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
    }
  };
  const over = read().catch(() => {});
  return { response, text: () => text, over };
}

/** Ends so many of those that stall, or all. */
function finish(most = 2): void {
  for (const request of stalled.splice(0, most)) {
    request.done();
    request.finish();
  }
}

/** Takes both slots of the agent. */
async function fillAgent(): Promise<Opened[]> {
  agent.script = (request, of) => {
    stalled.push(request);
    return stalls('a')(request, of);
  };
  const running = [await open(), await open()];
  await until(() => harness.router.stats().running === 2);
  return running;
}

test('a stream that waits opens late, or does not tell its place', async () => {
  const running = await fillAgent();
  const first = await open();
  const second = await open();
  assert.equal(first.response.status, 200);
  assert.match(first.response.headers.get('content-type') ?? '', /^text\/event-stream/);
  assert.ok(first.response.headers.get('x-request-id')?.startsWith('req_'));
  await until(() => first.text() !== '' && second.text() !== '');
  assert.match(first.text(), /^(: queued position=1( eta=\d+s)?\n\n)+$/);
  assert.match(second.text(), /^(: queued position=2( eta=\d+s)?\n\n)+$/);
  agent.script = echoes;
  finish(1);
  await first.over;
  await second.over;
  const comments = first
    .text()
    .split('\n\n')
    .filter((event) => event.startsWith(':'));
  assert.equal(comments.at(-1), ': serving agent=desk isolation=dedicated');
  const answer = first.text().slice(first.text().indexOf('data:'));
  const plain = await open({});
  await plain.over;
  const without = (text: string): string => text.replaceAll(/"(id|created)":("[^"]*"|\d+)/g, '');
  assert.equal(without(answer), without(plain.text()));
  assert.ok(!`\n${plain.text()}`.includes('\n:'));
  finish();
  await Promise.all(running.map((each) => each.over));
});

test('a place that has changed is told to nobody, or too often', async () => {
  const running = await fillAgent();
  const one = await open();
  await until(() => one.text() !== '');
  const began = performance.now();
  const lines = (): number => one.text().split('position=').length - 1;
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (lines() >= 3) resolve();
      else setImmediate(look);
    };
    look();
  });
  assert.ok(performance.now() - began > placeEveryMs * 0.9);
  agent.script = echoes;
  finish();
  await Promise.all([one, ...running].map((each) => each.over));
});

test('what fails after the stream has opened closes it like an answer', async () => {
  const running = await fillAgent();
  const waiting = await open();
  await until(() => waiting.text() !== '');
  agent.script = answers(
    '{"error":{"message":"too long","type":"x","param":null,"code":"c"}}',
    400,
  );
  finish(1);
  await waiting.over;
  const events = waiting
    .text()
    .split('\n\n')
    .filter((event) => event.startsWith('data:'));
  assert.deepEqual(events, [
    'data: {"error":{"message":"too long","type":"x","param":null,"code":"c"}}',
    'data: [DONE]',
  ]);
  finish();
  await Promise.all(running.map((each) => each.over));
});

test('a stream that breaks says so twice, or not at all', async () => {
  agent.script = diesAfter(eventOf('one'));
  const one = await open();
  await one.over;
  const errors = one.text().split('"upstream_error"').length - 1;
  assert.equal(errors, 1);
  assert.ok(one.text().endsWith('data: [DONE]\n\n'));
  agent = await joinOverHttp(harness);
});

test('what is refused at once, is no stream, or is asked for wrongly opens one', async () => {
  const wrong = await open({ 'x-xim-progress': 'yes' });
  assert.equal(wrong.response.status, 400);
  await wrong.over;
  assert.match(wrong.text(), /"param":"X-XIM-Progress"/);
  const whole = await open({ 'x-xim-progress': 'on' }, { messages });
  await whole.over;
  assert.equal(whole.text(), '{"ok":true}');
});

test('a client library stumbles over the comments', async () => {
  const client = new OpenAI({
    apiKey: harness.credentials.apiKey,
    baseURL: `${harness.base}/default/own/v1`,
    maxRetries: 0,
    defaultHeaders: { 'X-XIM-Progress': 'on' },
  });
  const stream = await client.chat.completions.create({ model: 'x', messages, stream: true });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  assert.equal(text, 'Hello world');
});

/** What a sink that is open already says of a refusal. */
function refusedText(opened: boolean): { told: boolean; text: string; ended: number } {
  const client = new FakeClient();
  const sink = new ProgressSink(client as unknown as ResponseSink);
  if (opened) sink.onPlace({ position: 3, etaMs: 3200 });
  const told = sink.refuse({
    name: 'queue_timeout',
    message: 'No agent became free.',
    retryAfterMs: 4000,
    extra: { expected_wait_ms: 4000 },
  });
  return { told, text: client.text, ended: client.ended };
}

test('a refusal while it waits leaves the stream open, or says less than its status would', () => {
  const { told, text, ended } = refusedText(true);
  assert.deepEqual([told, ended], [true, 1]);
  const [place, error = '', done] = text.split('\n\n');
  assert.deepEqual([place, done], [': queued position=3 eta=4s', 'data: [DONE]']);
  assert.deepEqual(JSON.parse(error.slice('data: '.length)), {
    error: {
      message: 'No agent became free.',
      type: 'server_error',
      param: null,
      code: 'queue_timeout',
      expected_wait_ms: 4000,
      retry_after: 4,
    },
  });
  // What is refused before it was accepted keeps its status.
  assert.deepEqual(refusedText(false), { told: false, text: '', ended: 0 });
});

test('a stream that opens early says nothing of limits', async () => {
  const one = new RouterHarness();
  await one.router.start();
  const ask = (sink: FakeClient) => {
    const client = new ProgressSink(sink as unknown as ResponseSink) as unknown as FakeClient;
    return one.submit({}, { client });
  };
  const held: FakeAgent['requests'] = [];
  const { agent: busy } = await one.agent({ script: (request) => void held.push(request) });
  const first = one.submit();
  await until(() => held.length === 1);
  const early = new FakeClient();
  const waits = ask(early);
  busy.script = echoes;
  for (const request of held) await echoes(request, busy);
  await first.result;
  await waits.result;
  const limit = /: serving agent=shared isolation=\S+ x-ratelimit-limit-requests=\d+ /;
  assert.match(early.text, limit);
  const served = new FakeClient();
  await ask(served).result;
  assert.ok(Number(served.headers?.['x-ratelimit-remaining-requests']) > 0, 'known at once');
  assert.match(served.text, limit);
  await one.router.stop();
});
