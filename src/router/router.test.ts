/** Requests through the real router, the real mux and fake agents. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import {
  answers,
  diesAfter,
  diesAtOnce,
  eventOf,
  eventText,
  refuses,
  saysNothing,
  stalls,
  streams,
  type Script,
} from '../testing/links/fakeAgent.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { apiKeyEntry, endpointEntry } from '../testing/router/directoryEntries.ts';
import { FakeClient, RouterHarness, settle, until } from '../testing/router/routerHarness.ts';
import { unlimitedTiers } from '../testing/router/unlimitedTiers.ts';

const made: RouterHarness[] = [];

async function harness(
  options: ConstructorParameters<typeof RouterHarness>[0] = {},
): Promise<RouterHarness> {
  const one = new RouterHarness(options);
  made.push(one);
  await one.router.start();
  return one;
}

/** R1 and R5 hold after each test, whatever it did. */
afterEach(async () => {
  for (const { router, ports } of made.splice(0)) {
    await until(() => router.audit().requests === 0 && router.audit().openAttempts === 0);
    const { claims, inFlight } = router.audit();
    assert.deepEqual({ claims, inFlight }, { claims: 0, inFlight: 0 }, 'R1: a slot leaked');
    await router.stop();
    const ids = ports.usageRecords.map((one) => one.requestId);
    assert.equal(new Set(ids).size, ids.length, 'R1: two records of one request');
    const ended = Object.values(router.stats().outcomes).reduce((sum, count) => sum + count, 0);
    assert.equal(ids.length, ended, 'R1: a request without its record');
  }
});

const done = 'data: [DONE]\n\n';

function errorOf(text: string): { code: string | null; message: string } {
  const line = text.split('\n\n').findLast((event) => event.includes('"error"')) ?? '';
  const { error } = JSON.parse(line.slice('data: '.length)) as {
    error: { code: string | null; message: string };
  };
  return error;
}

test('a stream arrives byte for byte, with the headers of its agent', async () => {
  const one = await harness();
  const { agent } = await one.agent({ script: streams('Hello', ' world') });
  const { client, result } = one.submit();
  assert.deepEqual(await result, { outcome: 'completed', answered: true, refusal: null });
  assert.equal(client.text, `${eventText('Hello')}${eventText(' world')}${done}`);
  assert.equal(client.status, 200);
  assert.equal(client.headers['x-xim-agent'], 'shared');
  assert.equal(client.headers['x-xim-isolation'], 'none');
  assert.equal(client.ended, 1);
  const [request] = agent.requests;
  assert.equal(request?.body.toString(), '{"messages":[]}');
  assert.equal(request?.message.model, 'main');
  await until(() => agent.acked.length === 1);
});

test('an own agent is named, percent-encoded, and says dedicated', async () => {
  const one = await harness();
  await one.agent({ entry: { projectId: 'proj_a', name: 'büro 1' }, script: streams('x') });
  const { client, result } = one.submit();
  await result;
  assert.equal(client.headers['x-xim-agent'], 'b%C3%BCro%201');
  assert.equal(client.headers['x-xim-isolation'], 'dedicated');
});

test('usage comes from the trailers and is clamped by what was relayed', async () => {
  const one = await harness();
  const lies: Script = (request) => {
    request.streamHead();
    request.event('x');
    request.done();
    request.finish({ usage: { input: 7, cached: 9, output: 50_000_000 } });
  };
  const { agent } = await one.agent({ script: streams('x') });
  await one.submit().result;
  agent.script = lies;
  await one.submit().result;
  await one.router.stop();
  const [honest, lied] = one.ports.usageRecords;
  assert.deepEqual(
    [honest?.inputTokens, honest?.cachedTokens, honest?.outputTokens, honest?.usageClamped],
    [5, 1, 3, false],
  );
  assert.equal(lied?.usageClamped, true);
  assert.equal(lied?.cachedTokens, 7);
  assert.ok((lied?.outputTokens ?? Infinity) < 1000);
});

test('the end line is on disk before the last byte goes to the client', async () => {
  const one = await harness();
  await one.agent({ script: streams('x') });
  const client = new FakeClient();
  const journalAt: Record<string, boolean> = {};
  client.onWrite = (chunk) => {
    const isLast = chunk.toString('utf8').includes('[DONE]');
    journalAt[isLast ? 'last' : 'first'] = one.files.text().includes('"end"');
  };
  await one.submit({}, { client }).result;
  assert.deepEqual(journalAt, { first: false, last: true });
  assert.match(one.files.text(), /^(\{"begin":.*\n)?\{"end":.*\n$/s);
});

test('an answer in one piece arrives in one write', async () => {
  const one = await harness();
  await one.agent({ script: answers('{"ok":1}') });
  const { client, result } = one.submit({ stream: false });
  assert.equal((await result).outcome, 'completed');
  assert.equal(client.text, '{"ok":1}');
  assert.equal(client.chunks.length, 1);
  assert.equal(client.headers['content-type'], 'application/json');
});

test('a large answer in one piece is passed on whole although it is not held whole', async () => {
  const one = await harness();
  const body = 'x'.repeat(9 * 1024 * 1024);
  const large: Script = async (request) => {
    request.stream.head({ status: 200, contentType: 'application/json' });
    for (let at = 0; at < body.length; at += 65_536) {
      const more = request.stream.write(Buffer.from(body.slice(at, at + 65_536)));
      if (!more) await request.untilWritable();
    }
    request.finish();
  };
  await one.agent({ script: large });
  const { client, result } = one.submit({ stream: false });
  await result;
  assert.equal(client.text.length, body.length);
  assert.equal(client.ended, 1);
});

test('a refusal of the engine is relayed as it is and not tried again', async () => {
  const one = await harness();
  const { agent } = await one.agent({ script: answers('{"error":{}}', 400) });
  const { client, result } = one.submit();
  assert.equal((await result).outcome, 'engine_refused');
  assert.equal(client.status, 400);
  assert.equal(client.text, '{"error":{}}');
  assert.equal(agent.requests.length, 1);
});

test('an agent that dies before the first byte is replaced silently', async () => {
  const one = await harness();
  await one.agent({ script: diesAtOnce });
  const first = one.submit();
  await until(() => one.router.agents().length === 0 || first.client.ended > 0);
  await one.agent({ script: streams('rescued') });
  const second = one.submit();
  assert.equal((await first.result).refusal?.name, 'upstream_error');
  assert.equal((await second.result).outcome, 'completed');
});

test('each way of failing before the first byte is tried elsewhere', async () => {
  for (const script of [diesAtOnce, refuses('engine_failed'), refuses('engine_unreachable')]) {
    const one = await harness();
    const bad = await one.agent({ script });
    const { client, result } = one.submit();
    // The good one joins only when the bad one has the request: the retry has a place to go.
    one.enrol({ id: '11111111-1111-4111-8111-111111111111' });
    await until(() => bad.agent.requests.length === 1);
    await one.agent({ script: streams('rescued') });
    assert.equal((await result).outcome, 'completed');
    assert.equal(client.text, `${eventText('rescued')}${done}`);
  }
});

test('a non-streaming answer that breaks in the middle is tried again, not cut', async () => {
  const one = await harness();
  const breaks: Script = (request, agent) => {
    request.stream.head({ status: 200, contentType: 'application/json' });
    request.stream.write(Buffer.from('{"half":'));
    setImmediate(() => setImmediate(() => agent.kill()));
  };
  await one.agent({ script: breaks });
  one.enrol({ id: '11111111-1111-4111-8111-111111111111' });
  const { client, result } = one.submit({ stream: false });
  await until(() => one.router.agents().length === 0);
  await one.agent({ script: answers('{"whole":1}') });
  assert.equal((await result).outcome, 'completed');
  assert.equal(client.text, '{"whole":1}');
});

test('nobody else enrolled: a clear error at once', async () => {
  const one = await harness();
  await one.agent({ script: refuses('engine_unreachable') });
  const { client, result } = one.submit();
  const { outcome, answered, refusal, agentHeaders } = await result;
  assert.deepEqual([outcome, answered, refusal?.name], ['upstream_error', false, 'upstream_error']);
  assert.deepEqual(agentHeaders, { 'x-xim-agent': 'shared', 'x-xim-isolation': 'none' });
  assert.equal(client.status, undefined);
});

test('an agent that has lowered its grant meanwhile is waited for, not given up', async () => {
  const one = await harness();
  const full: Script = (request, agent) => {
    agent.grantSlots(0);
    request.stream.reset('not_granted');
  };
  const { agent } = await one.agent({ script: full });
  const { result } = one.submit();
  await until(() => agent.requests.length === 1);
  await settle();
  agent.script = streams('x');
  agent.grantSlots(1);
  assert.equal((await result).outcome, 'completed');
  assert.equal(agent.requests.length, 2);
});

test('after two retries the failure is told', async () => {
  const one = await harness();
  const agents = [];
  for (let n = 0; n < 4; n += 1) agents.push(await one.agent({ script: refuses('internal') }));
  const { result } = one.submit();
  const { refusal } = await result;
  assert.equal(refusal?.name, 'upstream_error');
  assert.deepEqual(refusal?.extra, { attempts: 3 });
  const tried = agents.filter(({ agent }) => agent.requests.length > 0);
  assert.equal(tried.length, 3);
});

test('an agent that dies after the first byte: error event, then [DONE]', async () => {
  const one = await harness();
  const half = Buffer.concat([eventOf('one'), Buffer.from('data: {"choices":[{"del')]);
  const { agent } = await one.agent({ script: diesAfter(half) });
  await one.agent({ script: streams('never') });
  agent.script = diesAfter(half);
  const first = one.submit();
  const second = one.submit();
  await Promise.all([first.result, second.result]);
  const broken = agent.requests[0]?.message.requestId === first.requestId ? first : second;
  assert.equal((await broken.result).outcome, 'stream_error');
  const { text } = broken.client;
  assert.ok(text.startsWith(eventText('one')));
  assert.ok(text.endsWith(done));
  assert.equal(errorOf(text).code, 'upstream_error');
  for (const event of text.split('\n\n').slice(0, -1)) {
    assert.doesNotThrow(() => event === 'data: [DONE]' || JSON.parse(event.slice(6)), event);
  }
  assert.equal(broken.client.ended, 1);
});

test('a client that hangs up frees the slot when the engine has stopped, not before', async () => {
  const one = await harness();
  const { agent } = await one.agent({ script: stalls('one') });
  const { client, result } = one.submit();
  await until(() => client.chunks.length === 1);
  let confirm = (): void => {};
  agent.requests[0]?.whenReset(() => {
    confirm = () => agent.requests[0]?.finish({ outcome: 'cancelled' });
  });
  client.hangUp();
  await until(() => agent.requests[0]?.reset === 'cancelled');
  const next = one.submit();
  await settle();
  assert.equal(agent.requests.length, 1, 'the slot was given away while the engine ran');
  agent.script = streams('next');
  confirm();
  assert.equal((await next.result).outcome, 'completed');
  assert.equal((await result).outcome, 'client_closed');
  await one.router.stop();
  const record = one.ports.usageRecords.find((row) => row.outcome === 'client_closed');
  assert.equal(record?.outputTokens, 3, 'what was generated until the cancel is counted');
  assert.equal(record?.status, 499);
});

test('a client that hangs up while it waits leaves at once', async () => {
  const one = await harness();
  const { agent } = await one.agent({ script: stalls('one') });
  const first = one.submit();
  await until(() => agent.requests.length === 1);
  const second = one.submit();
  second.client.hangUp();
  assert.deepEqual(await second.result, {
    outcome: 'client_closed',
    answered: false,
    refusal: null,
  });
  first.client.hangUp();
  await first.result;
  assert.equal(agent.requests.length, 1);
});

test('an agent that never confirms a cancel does not hold its slot for ever', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const { agent } = await one.agent({ script: stalls('one') });
  const { client, result } = one.submit();
  await until(() => client.chunks.length === 1);
  agent.requests[0]?.whenReset(() => {});
  client.hangUp();
  await clock.advanceAsync(1500);
  assert.equal((await result).outcome, 'client_closed');
  assert.equal(one.router.audit().claims, 1);
  await clock.advanceAsync(9000);
  assert.equal(one.router.audit().claims, 0);
});

test('a slow client stalls its own stream only, and memory stays bounded', async () => {
  const one = await harness();
  const floods: Script = async (request) => {
    request.streamHead();
    for (let n = 0; n < 600 && request.reset === undefined; n += 1) {
      if (!request.event('x'.repeat(4096))) await request.untilWritable();
    }
    request.done();
    request.finish();
  };
  const { agent } = await one.agent({ script: floods, slots: 2 });
  const slow = new FakeClient();
  slow.reading = false;
  const stalled = one.submit({}, { client: slow });
  await settle(300);
  assert.ok(slow.unreadBytes <= 300 * 1024, `${slow.unreadBytes} bytes gathered`);
  const quick = one.submit();
  assert.equal((await quick.result).outcome, 'completed');
  assert.equal(agent.requests.length, 2);
  slow.reading = true;
  slow.drain();
  assert.equal((await stalled.result).outcome, 'completed');
  assert.equal(slow.text, quick.client.text);
});

test('a client that takes nothing for too long loses its request', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const { agent } = await one.agent({ script: stalls('one', 'two') });
  const client = new FakeClient();
  client.reading = false;
  const { result } = one.submit({}, { client });
  await until(() => client.chunks.length > 0);
  await clock.advanceAsync(61_000);
  assert.equal((await result).outcome, 'client_too_slow');
  assert.equal(client.destroyed, 1);
  assert.equal(agent.requests[0]?.reset, 'too_slow');
});

test('the request timeout of the tier runs from dispatch to the first byte', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const { agent } = await one.agent({ script: saysNothing });
  const free = endpointEntry({ tier: 'free' });
  const { result } = one.submit({ endpoint: free });
  await clock.advanceAsync(29_000);
  assert.equal(agent.requests[0]?.reset, undefined);
  await clock.advanceAsync(3000);
  const { outcome, refusal } = await result;
  assert.deepEqual([outcome, refusal?.name], ['timeout', 'timeout']);
  assert.match(refusal?.message ?? '', /'free', 30 s/);
});

test('the idle stream timeout ends a stream that begins and never goes on', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  await one.agent({ script: stalls('one') });
  const free = endpointEntry({ tier: 'free' });
  const { client, result } = one.submit({ endpoint: free });
  await until(() => client.chunks.length === 1);
  await clock.advanceAsync(119_000);
  assert.equal(client.ended, 0);
  await clock.advanceAsync(3000);
  assert.equal((await result).outcome, 'stream_error');
  assert.equal(errorOf(client.text).code, 'timeout');
  assert.ok(client.text.endsWith(done));
});

test('a revoked key ends waiting and running requests', async () => {
  const one = await harness();
  await one.agent({ script: stalls('one') });
  const running = one.submit();
  await until(() => running.client.chunks.length === 1);
  const waiting = one.submit();
  const other = one.submit({ apiKey: apiKeyEntry({ id: 'key_b' }) });
  one.ports.commit({ kind: 'api_key', id: 'key_a', entry: apiKeyEntry({ revoked: true }) });
  assert.equal((await waiting.result).refusal?.name, 'invalid_api_key');
  assert.equal((await running.result).outcome, 'revoked');
  assert.equal(errorOf(running.client.text).code, 'invalid_api_key');
  await until(() => other.client.chunks.length === 1);
  other.client.hangUp();
});

test('what waits too long is told why, and when to come back', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  await one.agent({ script: saysNothing });
  const running = one.submit();
  const endpoint = endpointEntry({ queueTimeoutMs: 5000 });
  const waiting = one.submit({ endpoint });
  await clock.advanceAsync(5001);
  const { outcome, refusal } = await waiting.result;
  assert.equal(outcome, 'queue_timeout');
  assert.match(refusal?.message ?? '', /queue_timeout_ms = 5000.*1 busy/);
  assert.ok((refusal?.retryAfterMs ?? 0) > 0);
  running.client.hangUp();
  await settle();
  await clock.advanceAsync(1500);
  await running.result;
});

test('a waiting request starts the moment an agent joins', async () => {
  const one = await harness();
  const identity = one.enrol();
  await settle();
  const { client, result } = one.submit();
  await settle();
  assert.equal(client.status, undefined);
  await one.agent({ identity, script: streams('hello') });
  assert.equal((await result).outcome, 'completed');
});

test('drain refuses what waits, lets what runs go on, and ends it at the deadline', async () => {
  const one = await harness();
  const { agent } = await one.agent({ script: stalls('one') });
  const running = one.submit();
  await until(() => running.client.chunks.length === 1);
  const waiting = one.submit();
  const drained = one.router.drain(10_000);
  assert.equal((await waiting.result).refusal?.name, 'shutting_down');
  assert.equal((await one.submit().result).refusal?.name, 'shutting_down');
  agent.requests[0]?.done();
  agent.requests[0]?.finish();
  await drained;
  assert.equal((await running.result).outcome, 'completed');
});

test('stop ends a running stream with an error and its record', async () => {
  const one = await harness();
  await one.agent({ script: stalls('one') });
  const running = one.submit();
  await until(() => running.client.chunks.length === 1);
  await one.router.stop();
  assert.equal((await running.result).outcome, 'shutting_down');
  assert.equal(errorOf(running.client.text).code, 'shutting_down');
  assert.equal(one.ports.usageRecords[0]?.outcome, 'shutting_down');
});

test('R3 a hundred interleaved streams keep their bytes apart', async () => {
  const one = await harness({ config: { tiers: unlimitedTiers({ concurrentPerProject: 100 }) } });
  const script: Script = async (request) => {
    const { requestId } = request.message;
    request.streamHead();
    for (let n = 0; n < 50; n += 1) {
      request.event(`${requestId}:${n}`);
      if (n % 7 === 0) await settle(1);
    }
    request.done();
    request.finish();
  };
  await one.agent({ script, slots: 100 });
  const all = Array.from({ length: 100 }, () => one.submit());
  for (const { client, result, requestId } of all) {
    assert.equal((await result).outcome, 'completed');
    const expected = Array.from({ length: 50 }, (_, n) => eventText(`${requestId}:${n}`));
    assert.equal(client.text, expected.join('') + done);
  }
});

test('a request is dispatched to the link that has room', async () => {
  const one = await harness();
  const first = await one.agent({ script: stalls('one') });
  const { identity } = first;
  const second = one.link({ identity, link: 1, slots: 1, script: stalls('one') });
  await until(() => one.router.agent(identity.agentId)?.slots === 2);
  const both = [one.submit(), one.submit()];
  await until(() => both.every(({ client }) => client.chunks.length === 1));
  assert.equal(first.agent.requests.length, 1);
  assert.equal(second.agent.requests.length, 1);
  for (const { client } of both) client.hangUp();
  await Promise.all(both.map(({ result }) => result));
});
