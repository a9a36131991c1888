import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock, type Clock } from '../lib/clock.ts';
import {
  startFakeEngine,
  type FakeEngine,
  type FakeEngineOptions,
} from '../testing/engines/fakeEngine.ts';
import { FakeServer, type FakeServerOptions } from '../testing/links/fakeServer.ts';
import { answered } from '../testing/links/fakeServerLink.ts';
import { Answer } from '../testing/links/linkPair.ts';
import {
  startAgent,
  stateDirectory,
  type TestAgent,
  type TestAgentOptions,
} from '../testing/links/testAgent.ts';
import { until } from '../testing/until.ts';

interface Setting {
  server: FakeServer;
  engine: FakeEngine;
  stateDir: string;
  start: (options?: Partial<TestAgentOptions>) => TestAgent;
}

async function setting(
  t: TestContext,
  options: { engine?: FakeEngineOptions; server?: FakeServerOptions } = {},
): Promise<Setting> {
  const server = await new FakeServer(options.server).start();
  const engine = await startFakeEngine(options.engine);
  const stateDir = await stateDirectory(t);
  const start = (more: Partial<TestAgentOptions> = {}): TestAgent =>
    startAgent(t, {
      serverUrl: server.url,
      engineUrl: engine.url,
      stateDir,
      joinKey: server.joinKey,
      ...more,
    });
  t.after(async () => {
    await server.stop();
    await engine.close();
  });
  return { server, engine, stateDir, start };
}

/** With one agent that is linked and serves. */
async function serving(
  t: TestContext,
  options: Parameters<typeof setting>[1] & { agent?: Partial<TestAgentOptions> } = {},
): Promise<Setting & { agent: TestAgent }> {
  const made = await setting(t, options);
  const agent = made.start(options.agent);
  await until(() => made.server.links.length === 1);
  await made.server.link.ready();
  return { ...made, agent };
}

const hello = { messages: [{ role: 'user', content: 'hello' }] };
const order = (what: object): object => ({
  messages: [{ role: 'user', content: `fake:${JSON.stringify(what)}` }],
});

test('the way from a join key to an answer is broken', async (t) => {
  const { server, agent } = await serving(t);
  const answer = server.link.open(hello, { includeUsage: true });
  await answered(answer);
  assert.deepEqual(answer.heads, [
    { status: 200, contentType: 'text/event-stream; charset=utf-8' },
  ]);
  assert.match(answer.text, /"content":"w4 "/);
  assert.match(answer.text, /"usage":\{"prompt_tokens":7.*\n\ndata: \[DONE\]\n\n$/);
  const [end] = answer.ends;
  assert.equal(end?.outcome, 'completed');
  assert.deepEqual(end?.usage, { input: 7, cached: 2, output: 5 });
  assert.ok(end !== undefined && (end.timings.firstByteMs ?? Infinity) <= end.timings.totalMs);
  assert.deepEqual(
    agent.events.map(({ kind }) => kind),
    ['enrolled', 'linked', 'loading', 'ready'],
  );
});

test('a whole answer larger than a stream may hold breaks the link', async (t) => {
  const { server } = await serving(t, { engine: { chunks: 60_000, padding: 'x'.repeat(60) } });
  const answer = server.link.open(hello, { stream: false });
  await answered(answer);
  assert.deepEqual(answer.heads, [{ status: 200, contentType: 'application/json' }]);
  const whole = JSON.parse(answer.text) as { choices: { message: { content: string } }[] };
  assert.ok(answer.bytes > 3_000_000);
  assert.match(whole.choices[0]?.message.content ?? '', /w59999 x+$/);
});

test('the key, the tokens or their directory can be read by others', async (t) => {
  const { stateDir } = await serving(t);
  const file = path.join(stateDir, 'agent.json');
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.equal((await stat(stateDir)).mode & 0o777, 0o700);
});

test('a restart enrols again, or reuses its instance', async (t) => {
  const { server, agent, start } = await serving(t);
  await agent.stop();
  start({ joinKey: null });
  await until(() => server.links.length === 2);
  await server.link.ready();
  assert.equal(server.enrolments.length, 1);
  assert.equal(server.refreshes.length, 1);
  const [one, other] = server.links.map((link) => link.all('hello')[0]?.instance);
  assert.notEqual(one, other);
});

test('two agents share a state directory', async (t) => {
  const { start } = await serving(t);
  const second = await start().ended;
  assert.ok(second.kind === 'unusable');
  assert.match(second.message, new RegExp(`process ${process.pid}`));
});

test('an enrolment whose answer was lost uses the join key twice', async (t) => {
  const { server, start } = await setting(t);
  server.faults.set('/v1/enroll', [{ kind: 'lose_answer' }, { kind: 'status', status: 503 }]);
  start();
  await until(() => server.links.length === 1);
  assert.equal(new Set(server.enrolments.map((sent) => sent.public_key)).size, 1);
  assert.equal(server.agents.size, 1);
});

test('a forgotten nonce ends an enrolment', async (t) => {
  const { server, start } = await setting(t);
  server.faults.set('/v1/enroll', [{ kind: 'refuse', name: 'nonce_invalid' }]);
  start();
  await until(() => server.links.length === 1);
});

for (const name of ['join_key_expired', 'join_key_used_up', 'join_key_revoked'] as const) {
  test(`a refusal with ${name} is tried again, or says not what to do`, async (t) => {
    const { server, start } = await setting(t);
    server.faults.set('/v1/enroll', [{ kind: 'refuse', name }]);
    const end = await start().ended;
    assert.ok(end.kind === 'refused');
    assert.match(end.message, /join key/);
    assert.equal(server.enrolments.length, 0);
  });
}

test('a malformed join key is sent to the server', async (t) => {
  const { server, start } = await setting(t);
  const end = await start({ joinKey: 'nonsense' }).ended;
  assert.ok(end.kind === 'refused' && end.message.includes('xjk_'));
  assert.equal(server.enrolments.length, 0);
});

test('a first start without a key, or without a server, waits for ever', async (t) => {
  const { start, engine, stateDir } = await setting(t);
  const end = await start({ joinKey: null }).ended;
  assert.ok(end.kind === 'refused' && end.message.includes('XIM_JOIN_KEY'));
  const nowhere = { serverUrl: null as unknown as string, engineUrl: engine.url };
  const lost = await startAgent(t, { ...nowhere, stateDir: `${stateDir}/other` }).ended;
  assert.ok(lost.kind === 'refused' && lost.message.includes('--server'));
});

test('an answer lost on the way costs the agent its rotation token', async (t) => {
  const { server, agent, start } = await serving(t);
  await agent.stop();
  server.faults.set('/v1/enroll/refresh', [{ kind: 'lose_answer' }]);
  const again = start();
  await until(() => server.links.length === 2);
  const sent = server.refreshes.map((refresh) => refresh.rotation_token.split('.')[1]);
  assert.deepEqual(sent, ['1', '1']);
  await again.stop();
  start();
  await until(() => server.links.length === 3);
  assert.equal(server.refreshes.at(-1)?.rotation_token.split('.')[1], '2');
});

test('a successor is used before it is on disk', async (t) => {
  const { server, stateDir } = await serving(t, { server: { expiresIn: 1 } });
  await until(() => server.link.all('token').length > 0);
  const [message] = server.link.all('token');
  const generation = Number(message?.accessToken.split('.')[1]);
  const saved = JSON.parse(await readFile(path.join(stateDir, 'agent.json'), 'utf8')) as {
    enrolment: { rotationToken: string };
  };
  assert.ok(Number(saved.enrolment.rotationToken.split('.')[1]) >= generation);
});

test('an answer that takes longer than its token lives loses its link', async (t) => {
  const { server } = await serving(t, { server: { expiresIn: 2 } });
  const answer = server.link.open(order({ chunks: 60, tickMs: 50 }));
  await answered(answer);
  assert.equal(answer.ends[0]?.outcome, 'completed');
  assert.equal(answer.text.match(/"content":"w/g)?.length, 60);
  assert.ok(server.link.all('token').length >= 2, 'no fresh token came meanwhile');
  assert.equal(server.links.length, 1);
});

test('a clock that is hours off makes tokens look old', async (t) => {
  const skewed: Clock = {
    now: () => systemClock.now() - 3 * 3_600_000,
    monotonic: () => systemClock.monotonic(),
    setTimer: (delayMs, fire, more) => systemClock.setTimer(delayMs, fire, more),
  };
  const { server } = await serving(t, { agent: { clock: skewed } });
  assert.equal(server.refreshes.length, 0);
  assert.equal(server.links.length, 1);
});

test('a clock that jumps by hours on a live agent ends its link, or its refreshes', async (t) => {
  let skewMs = 0;
  const jumping: Clock = { ...systemClock, now: () => systemClock.now() + skewMs };
  const { server } = await serving(t, { server: { expiresIn: 3 }, agent: { clock: jumping } });
  for (const hours of [5, -5]) {
    skewMs = hours * 3_600_000;
    const before = server.link.all('token').length;
    await until(() => server.link.all('token').length > before);
    const answer = server.link.open(hello);
    await answered(answer);
    assert.equal(answer.ends[0]?.outcome, 'completed');
  }
  assert.equal(server.links.length, 1);
});

test('a lost link is not opened again, or its unacknowledged trailers are lost', async (t) => {
  const { server } = await serving(t);
  const first = server.link.open(hello);
  const second = server.link.open(hello);
  await answered(first);
  await answered(second);
  server.link.send({ type: 'ack', requestIds: [first.message.requestId] });
  // The ACK has been read once the agent has answered something that was sent after it.
  await answered(server.link.open(hello, { instance: 'unknown' }));
  server.link.cut();
  await until(() => server.links.length === 2);
  await until(() => server.link.repeated.length > 0);
  assert.deepEqual(
    server.link.repeated.map(({ requestId, outcome }) => ({ requestId, outcome })),
    [{ requestId: second.message.requestId, outcome: 'completed' }],
  );
  await server.link.ready();
  await answered(server.link.open(hello));
});

test('a link that dies in mid-stream leaves the engine working', async (t) => {
  const { server, engine } = await serving(t, { engine: { tickMs: 10, chunks: 10_000 } });
  server.link.open(hello);
  await until(() => engine.stats().active === 1);
  server.link.cut();
  await until(() => engine.stats().active === 0);
  assert.equal(engine.stats().aborted, 1);
  await until(() => server.links.length === 2 && server.link.repeated.length === 1);
  assert.equal(server.link.repeated[0]?.outcome, 'cancelled');
});

test('a cancel does not reach the engine, or is not confirmed afterwards', async (t) => {
  const { server, engine } = await serving(t, { engine: { tickMs: 10, chunks: 10_000 } });
  for (const options of [{ stream: true }, { stream: false }]) {
    const answer = server.link.open(hello, options);
    await until(() => engine.stats().active === 1);
    if (options.stream) await until(() => answer.text.split('"content"').length > 5);
    answer.stream.reset('cancelled');
    await until(() => answer.confirmed.length === 1);
    const [end] = answer.confirmed;
    assert.equal(end?.outcome, 'cancelled');
    // It counts what it sent, where its engine was stopped before it counted.
    assert.ok((end.usage?.output ?? end.written ?? 0) >= (options.stream ? 4 : 0));
    assert.equal(end.written === undefined, !options.stream);
    await until(() => engine.stats().active === 0);
  }
});

test('an OPEN beyond the grant is taken', async (t) => {
  const { server, engine } = await serving(t, {
    engine: { tickMs: 10, chunks: 10_000 },
    agent: { slots: 2 },
  });
  const running = [server.link.open(hello), server.link.open(hello)];
  await until(() => engine.stats().active === 2);
  const beyond = server.link.open(hello);
  await answered(beyond);
  assert.equal(beyond.resets[0]?.code, 'not_granted');
  const unknown = server.link.open(hello, { instance: 'inst_other' });
  await answered(unknown);
  assert.equal(unknown.resets[0]?.code, 'unknown_instance');
  assert.equal(engine.stats().mostActive, 2);
  // The slot of a cancelled request is given on, also to who comes right behind the cancel.
  running[0]?.stream.reset('cancelled');
  const next = server.link.open(order({ chunks: 1, tickMs: 1 }));
  await answered(next);
  assert.equal(next.ends[0]?.outcome, 'completed');
});

test('the owner’s bound on concurrent requests is not granted', async (t) => {
  const { server } = await serving(t, {
    server: { maxConcurrentRequests: 3 },
    agent: { slots: 8 },
  });
  await until(() => server.link.granted[0]?.slots === 3);
});

test('a reader that takes nothing fills the agent’s memory', async (t) => {
  const { server, engine } = await serving(t, {
    engine: { chunks: 100_000, padding: 'x'.repeat(200) },
  });
  const slow = new Answer();
  slow.reading = false;
  server.link.open(hello, {}, slow);
  await until(() => slow.bytes === 256 * 1024 && engine.stats().blocked === 1);
  const written = engine.stats().chunksWritten;
  // Another stream of the same link goes on meanwhile.
  const quick = server.link.open(order({ chunks: 100, padding: '' }));
  await answered(quick);
  assert.equal(quick.ends[0]?.outcome, 'completed');
  // Role, text, reason, usage, [DONE].
  assert.equal(engine.stats().chunksWritten - written, 104);
  slow.stream?.reset('cancelled');
  await until(() => slow.confirmed.length === 1 && engine.stats().active === 0);
});

test('an engine killed before its first byte is answered with a status', async (t) => {
  const { server } = await serving(t);
  for (const fault of ['die', 'status']) {
    const answer = server.link.open(order({ fault }));
    await answered(answer);
    assert.equal(answer.resets[0]?.code, 'engine_failed');
    assert.deepEqual(answer.heads, []);
  }
});

test('an engine killed after its first byte ends the answer cleanly', async (t) => {
  const { server } = await serving(t);
  for (const fault of ['die', 'malformed', 'truncate']) {
    const answer = server.link.open(order({ fault, after: 2 }));
    await answered(answer);
    assert.equal(answer.resets[0]?.code, 'engine_failed', fault);
    assert.equal(answer.heads.length, 1);
    assert.doesNotMatch(answer.text, /DONE/);
  }
});

test('a bug in the engine’s adapter ends the agent and every stream on it', async (t) => {
  const run = (): Promise<never> => Promise.reject(new RangeError('Maximum call stack'));
  const { server } = await serving(t, { agent: { run } });
  for (const attempt of [1, 2]) {
    const answer = server.link.open(hello);
    await answered(answer);
    assert.equal(answer.resets[0]?.code, 'engine_failed', `attempt ${attempt}`);
  }
});

test('an engine that is gone keeps its grant', async (t) => {
  const { server, engine } = await serving(t);
  const { instance } = server.link.granted[0] ?? {};
  const port = Number(new URL(engine.url).port);
  await engine.close();
  const answer = server.link.open(hello);
  await answered(answer);
  assert.match(answer.resets[0]?.code ?? '', /^engine_/);
  await until(() => server.link.granted.length === 0);
  await until(() => server.link.all('heartbeat').at(-1)?.models[0]?.state === 'failed');
  const again = await startFakeEngine({ port });
  t.after(() => again.close());
  await server.link.ready();
  assert.notEqual(server.link.granted[0]?.instance, instance);
});

test('an engine’s refusal loses its status or keeps its shape', async (t) => {
  const { server } = await serving(t);
  const body = { error: { message: 'no such /x/y thing', type: 'BadRequestError', code: 400 } };
  const answer = server.link.open(order({ fault: 'status', status: 400, body }));
  await answered(answer);
  assert.deepEqual(answer.heads, [{ status: 400, contentType: 'application/json' }]);
  assert.deepEqual(JSON.parse(answer.text), {
    error: {
      message: 'no such [path] thing',
      type: 'invalid_request_error',
      param: null,
      code: 'invalid_value',
    },
  });
  const late = server.link.open(order({ fault: 'error_event', after: 2, body }));
  await answered(late);
  assert.match(late.text, /data: \{"error":\{.*\n\ndata: \[DONE\]\n\n$/);
  assert.equal(late.ends[0]?.outcome, 'engine_error');
});

test('a body that is no JSON, or not what was announced, reaches the engine', async (t) => {
  const { server, engine } = await serving(t);
  const nonsense = server.link.open('{"messages":');
  await answered(nonsense);
  assert.equal(nonsense.heads[0]?.status, 400);
  const list = server.link.open('[{"messages":[]}]');
  await answered(list);
  assert.equal(list.heads[0]?.status, 400);
  const large = server.link.open(`{"messages":["${'x'.repeat(100_000)}\n"]}`);
  await answered(large);
  assert.equal(large.heads[0]?.status, 400);
  const route = server.link.open(hello, { path: '/v1/models' });
  await answered(route);
  assert.equal(route.resets[0]?.code, 'refused');
  const less = server.link.open(hello, { bodyBytes: 10_000 });
  await answered(less);
  assert.equal(less.resets[0]?.code, 'refused');
  const huge = server.link.open(hello, { bodyBytes: 90_000_000 });
  await answered(huge);
  assert.equal(huge.resets[0]?.code, 'body_too_large');
  assert.equal(engine.stats().started, 0);
});

test('a drain cuts what runs, or takes what is new', async (t) => {
  const { server, engine, agent } = await serving(t, { engine: { tickMs: 10, chunks: 30 } });
  const running = server.link.open(hello);
  await until(() => engine.stats().active === 1);
  agent.agent.drain();
  await until(() => server.link.all('goaway').length === 1);
  const late = server.link.open(hello);
  await answered(late);
  assert.equal(late.resets[0]?.code, 'not_granted');
  assert.deepEqual(await agent.ended, { kind: 'stopped' });
  assert.equal(running.ends[0]?.outcome, 'completed');
  // The agent has ended before its last words have been read at this end.
  await until(() => server.link.closed !== undefined);
  assert.equal(server.link.closed?.reason, 'going_away');
});

test('a router that drains is left before what runs has ended, or not at all', async (t) => {
  const { server, engine } = await serving(t, { engine: { tickMs: 10, chunks: 30 } });
  const running = server.link.open(hello);
  await until(() => engine.stats().active === 1);
  server.link.send({ type: 'goaway', reason: 'drain' });
  await until(() => server.links.length === 2);
  assert.equal(running.ends[0]?.outcome, 'completed');
});

test('a token that the router refuses is offered again and again', async (t) => {
  const { server } = await serving(t);
  for (const known of server.agents.values()) known.generation += 1;
  server.link.cut();
  await until(() => server.links.length === 2);
  await server.link.ready();
  server.link.peer.close('token_expired');
  await until(() => server.links.length === 3);
  assert.equal(server.refreshes.length, 1);
});

test('a suspended agent gives up, or a removed one goes on', async (t) => {
  const { server, agent, start } = await serving(t);
  await agent.stop();
  server.faults.set('/v1/enroll/refresh', [{ kind: 'refuse', name: 'agent_suspended' }]);
  const suspended = start();
  await until(() => suspended.events.some(({ kind }) => kind === 'unlinked'));
  await suspended.stop();
  server.faults.set('/v1/enroll/refresh', [{ kind: 'refuse', name: 'agent_dead' }]);
  const dead = await start().ended;
  assert.ok(dead.kind === 'refused');
  assert.equal(server.enrolments.length, 1, 'enrolled again with the same join key');
});

test('a removed agent cannot join again with a new key', async (t) => {
  const { server, agent, start } = await serving(t);
  await agent.stop();
  const [old] = server.agents.keys();
  const first = server.enrolments[0]?.public_key;
  server.agents.delete(old ?? '');
  Object.assign(server, { joinKey: 'xjk_zzzzzzzzzzzzzzzzzzzzzzzzzz_other' });
  start({ joinKey: server.joinKey });
  await until(() => server.links.length === 2);
  assert.notEqual(server.enrolments.at(-1)?.public_key, first);
});

test('a copy of the agent elsewhere and the agent throw each other out for ever', async (t) => {
  const { server, agent } = await serving(t);
  server.link.peer.close('fenced');
  const end = await agent.ended;
  assert.ok(end.kind === 'refused' && end.message.includes('credentials'));
});

test('what the agent logs does not reach its owner', async (t) => {
  const { server } = await serving(t);
  await until(() => server.link.all('log').length > 0);
  const lines = server.link.all('log').flatMap((message) => message.lines);
  assert.ok(lines.some(({ text }) => text.startsWith('linked')));
  assert.ok(lines.every(({ text }) => !text.includes('xjk_') && !text.includes('rotation.')));
});
