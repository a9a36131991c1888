/** Streams whose agents die, stall or fail in the middle, and go on at another one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tierTable } from '../domain/tiers/tiers.ts';
import { continues } from '../testing/links/continuingAgent.ts';
import {
  refuses,
  saysNothing,
  type FakeAgent,
  type FakeRequest,
  type Script,
} from '../testing/links/fakeAgent.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { auditedHarness } from '../testing/router/auditedHarness.ts';
import {
  able,
  agentOf,
  ask,
  bodyOf,
  chunksOf,
  deltas,
  dies,
  fails,
  text,
  textOf,
} from '../testing/router/resumedRequests.ts';
import { settle, until, type LinkedAgent } from '../testing/router/routerHarness.ts';

const harness = auditedHarness();
/** The answer has its reason, and nothing behind it. */
const diesBeforeTheEnd: Script = (request, agent) => diesWith({ request, agent, usage: null });
/** The same, and its count. */
const diesBehindItsCount: Script = (request, agent) => {
  const usage = { prompt_tokens: 1800, completion_tokens: 5, total_tokens: 1805 };
  diesWith({ request, agent, usage });
};

function diesWith(of: { request: FakeRequest; agent: FakeAgent; usage: object | null }): void {
  const { request, agent, usage } = of;
  const { requestId, created, model } = request.message;
  const choices = [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }];
  const frame = { id: `chatcmpl-${requestId}`, object: 'chat.completion.chunk', created, model };
  const chunks = [{ choices, usage: null }, ...(usage === null ? [] : [{ choices: [], usage }])];
  const events = chunks.map((one) => `data: ${JSON.stringify({ ...frame, ...one })}\n\n`);
  request.stream.write(Buffer.from(events.join('')));
  setImmediate(() => setImmediate(() => agent.kill()));
}
test('an answer whose agent dies in the middle ends there though another could go on', async () => {
  const one = await harness();
  const first = await agentOf(one, { chunks: 5, next: dies });
  const { client, result } = ask(one, { includeUsage: true });
  await until(() => first.agent.requests.length === 1);
  const second = await agentOf(one, { size: 2 });
  assert.deepEqual(await result, { outcome: 'completed', answered: true, refusal: null });
  assert.equal(textOf(client), text);
  const chunks = chunksOf(client);
  assert.equal(deltas(chunks).filter(({ delta }) => delta.role !== undefined).length, 1);
  assert.deepEqual(new Set(chunks.map(({ id }) => id)).size, 1);
  assert.equal(chunks.at(-1)?.x_xim_resumed, 1);
  assert.equal(client.ended, 1);
  // Five chunks of three units were delivered, of which the second engine makes one token.
  const rest = chunks.at(-1)?.usage?.['completion_tokens'] ?? 0;
  assert.equal(rest, 5 + (second.agent.requests[0] === undefined ? 0 : restChunks(15, 2)));
  // It counts ten, and eight for the fifteen units that the first made five of.
  assert.equal(chunks.at(-1)?.usage?.['prompt_tokens'], 10 + 8 - 5);
  await until(() => one.ports.usageRecords.length === 1);
  const [record] = one.ports.usageRecords;
  assert.deepEqual(
    [record?.outcome, record?.outputTokens, record?.inputTokens],
    ['completed', rest, 13],
  );
  assert.equal(record?.agentId, second.identity.agentId);
});

/** Chunks of the rest behind so many units, with the white space before it once more. */
function restChunks(at: number, size: number): number {
  const sent = text.slice(0, at).trimEnd();
  return Math.ceil((text.length - sent.length) / size);
}

test('each place in which a stream can break, at every chunk, and twice', async () => {
  const one = await harness();
  const clock = { n: 0 };
  const size = 2;
  const many = Math.ceil(text.length / size);
  for (let chunks = 0; chunks < many; chunks += 3) {
    const first = await agentOf(one, { size, chunks, next: fails });
    const { client, result } = ask(one);
    await until(() => first.agent.requests.length === 1);
    const second = await agentOf(one, { size: 1, chunks: 2, next: dies });
    await until(() => second.agent.requests.length === 1);
    const third = await agentOf(one, { size: 5 });
    assert.equal((await result).outcome, 'completed', `after ${chunks} chunks`);
    assert.equal(textOf(client), text, `after ${chunks} chunks`);
    // The first one is linked still, and may have been asked again before the third one came.
    assert.ok((chunksOf(client).at(-1)?.x_xim_resumed ?? 0) >= 2);
    for (const { agent } of [first, third]) agent.kill();
    await until(() => one.router.stats().linkedAgents === 0);
    clock.n += 1;
  }
  assert.ok(clock.n > 5);
});

test('a stream that nobody can continue ends as if it were complete', async () => {
  const one = await harness();
  const first = await agentOf(one, { chunks: 3, next: fails });
  const { client, result } = ask(one);
  await until(() => first.agent.requests.length === 1);
  assert.equal((await result).outcome, 'stream_error');
  assert.equal(chunksOf(client).at(-1)?.error?.code, 'upstream_error');
});

test('an agent that cannot continue is asked to', async () => {
  const one = await harness();
  const first = await agentOf(one, { chunks: 3, next: fails });
  await one.agent({ script: continues(), abilities: ['chat'] });
  while (first.agent.requests.length === 0) await ask(one).result;
  const { outcomes } = one.router.stats();
  assert.equal(outcomes.stream_error, 1);
});

test('a request that did not ask for it, or has tools, is continued', async () => {
  const one = await harness();
  const script = continues({ chunks: 3, next: fails });
  const abilities = [...able, 'tools'];
  const first = await one.agent({ script, abilities, slots: 2 });
  const plain = ask(one, { resume: false });
  const tools = ask(one, { abilities: ['chat', 'tools'] });
  await until(() => first.agent.requests.length === 2);
  assert.equal((await plain.result).outcome, 'stream_error');
  assert.equal((await tools.result).outcome, 'stream_error');
});

test('a stalled stream waits for its idle timeout beside an agent that could go on', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const first = await agentOf(one, { chunks: 4, next: saysNothing });
  const { client, result } = ask(one);
  await until(() => client.chunks.length > 0);
  await settle();
  await clock.advanceAsync(20_000);
  // Nobody could go on: it is left alone.
  assert.equal(first.agent.requests[0]?.reset, undefined);
  await agentOf(one, {});
  await clock.advanceAsync(500);
  assert.equal((await result).outcome, 'completed');
  assert.equal(textOf(client), text);
  assert.equal(first.agent.requests[0]?.reset, 'idle');
});

test('the receipt of a stalled stream says that whoever continued it had stalled', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  await agentOf(one, { chunks: 4, next: saysNothing });
  const { client, requestId, result } = ask(one);
  await until(() => client.chunks.length > 0);
  await agentOf(one, {});
  await settle();
  await clock.advanceAsync(20_000);
  assert.equal((await result).outcome, 'completed');
  const state = await one.router.receiptView.of(requestId);
  assert.deepEqual(
    state?.receipt.attempts.map(({ end }) => end),
    ['stalled', 'served'],
  );
});

test('a stalled stream that cannot be continued is read again and again', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const thinking: Script = (request) => {
    request.streamHead();
    request.stream.write(Buffer.from('data: {"choices":[{"delta":{"reasoning":"hm"}}]}\n\n'));
  };
  const first = await one.agent({ script: thinking, abilities: able });
  const { client, result } = ask(one);
  await until(() => client.chunks.length > 0);
  await agentOf(one, {});
  await clock.advanceAsync(40_000);
  assert.equal(first.agent.requests[0]?.reset, undefined);
  first.agent.kill();
  assert.equal((await result).outcome, 'stream_error');
});

test('an engine that refuses to continue ends the answer with its refusal', async () => {
  const one = await harness();
  const first = await agentOf(one, { chunks: 4, next: fails });
  const { client, result } = ask(one);
  await until(() => first.agent.requests.length === 1);
  const says400: Script = (request) => {
    request.stream.head({ status: 400, contentType: 'application/json' });
    request.stream.write(Buffer.from('{"error":{"message":"no"}}'));
    request.finish();
  };
  const second = await one.agent({ script: says400, abilities: able });
  await until(() => second.agent.requests.length === 1);
  await agentOf(one, {});
  assert.equal((await result).outcome, 'completed');
  assert.equal(textOf(client), text);
});

test('those who fail to continue are asked without end', async () => {
  const one = await harness();
  const first = await agentOf(one, { chunks: 4, next: fails });
  const { client, result } = ask(one);
  await until(() => first.agent.requests.length === 1);
  const others: LinkedAgent[] = [];
  for (let n = 0; n < 2; n += 1) {
    const other = await one.agent({ script: refuses('engine_failed'), abilities: able });
    await until(() => other.agent.requests.length === 1);
    others.push(other);
  }
  assert.equal((await result).outcome, 'stream_error');
  assert.equal(chunksOf(client).at(-1)?.error?.code, 'upstream_error');
});

test('a client that leaves between two agents is answered on', async () => {
  const one = await harness();
  // Somebody else who may come back: it waits for that one.
  one.enrol();
  await agentOf(one, { chunks: 4, next: dies });
  const { client, result } = ask(one);
  await until(() => client.chunks.length > 0 && one.router.stats().waiting === 1);
  client.hangUp();
  assert.equal((await result).outcome, 'client_closed');
  const other = await agentOf(one, {});
  await settle();
  assert.equal(other.agent.requests.length, 0);
});

test('a key that is revoked between two agents is not told', async () => {
  const one = await harness();
  // Somebody else who may come back: it waits for that one.
  one.enrol();
  await agentOf(one, { chunks: 4, next: dies });
  const { client, result } = ask(one);
  await until(() => client.chunks.length > 0 && one.router.stats().waiting === 1);
  one.ports.commit({ kind: 'api_key', id: 'key_a', entry: null });
  assert.equal((await result).outcome, 'revoked');
  assert.equal(chunksOf(client).at(-1)?.error?.code, 'invalid_api_key');
});

test('an answer of which only the end was lost is asked for again, or broken', async () => {
  const one = await harness();
  const chunks = Math.ceil(text.length / 3);
  const next: Script = (request, agent) => {
    const choices = [{ index: 0, delta: {}, finish_reason: 'stop' }];
    request.stream.write(Buffer.from(`data: ${JSON.stringify({ choices })}\n\n`));
    request.done();
    setImmediate(() => setImmediate(() => agent.kill()));
  };
  await agentOf(one, { chunks, next });
  const { client, result } = ask(one);
  assert.equal((await result).outcome, 'completed');
  assert.equal(textOf(client), text);
});

test('a stop string across the seam is written out', async () => {
  const one = await harness();
  // The first engine does not hold back what may become a stop string.
  const first = await agentOf(one, { size: 1, chunks: 6, next: fails, showsStops: true });
  const body = bodyOf({ stop: ['cdEFG'] }, 'abcdEFGHIJ');
  const { client, result } = ask(one, { body, includeUsage: true });
  await until(() => first.agent.requests.length === 1);
  const second = await one.agent({
    script: continues({ size: 1, chunks: 3, next: saysNothing }),
    abilities: able,
  });
  assert.equal((await result).outcome, 'completed');
  assert.equal(textOf(client), 'abcdEF');
  assert.equal(deltas(chunksOf(client)).at(-1)?.finish_reason, 'stop');
  assert.equal(second.agent.requests[0]?.reset, 'cancelled');
});

test('an answer counts as not resumed that ends in the first chunk of who goes on', async () => {
  const one = await harness();
  const first = await agentOf(one, { size: 1, chunks: 6, next: fails, showsStops: true });
  const body = bodyOf({ stop: ['cdEFG'] }, 'abcdEFGHIJ');
  const { client, result, requestId } = ask(one, { body });
  await until(() => first.agent.requests.length === 1);
  await agentOf(one, { size: 8, showsStops: true });
  assert.equal((await result).outcome, 'completed');
  assert.equal(deltas(chunksOf(client)).at(-1)?.finish_reason, 'stop');
  const told = await one.router.receiptView.of(requestId);
  assert.equal(told?.receipt.resumed, 1);
  assert.notEqual(told.receipt.attempts.at(-1)?.firstByteMs, null);
});

test('a complete answer costs nothing, because its agent died before it could count', async () => {
  const one = await harness();
  // The first says how it ended and dies, the second dies when all tokens are used.
  await agentOf(one, { size: 1, next: diesBeforeTheEnd });
  const whole = ask(one, { includeUsage: true, body: bodyOf({}, 'hello') });
  await until(() => one.ports.usageRecords.length === 1);
  await agentOf(one, { size: 1, chunks: 5, next: dies });
  const body = bodyOf({ max_tokens: 5 }, 'hello world');
  const spent = ask(one, { includeUsage: true, body });
  await until(() => one.ports.usageRecords.length === 2);
  for (const [at, { client, result }] of [whole, spent].entries()) {
    assert.equal((await result).outcome, 'completed');
    assert.equal(textOf(client), 'hello');
    const record = one.ports.usageRecords[at];
    const usage = chunksOf(client).at(-1)?.usage;
    assert.equal(usage?.['completion_tokens'], 5);
    assert.ok((usage['prompt_tokens'] ?? 0) > 0);
    assert.deepEqual([usage['prompt_tokens'], 5], [record?.inputTokens, record?.outputTokens]);
    assert.ok((record?.costMicros ?? 0) > 0);
  }
});

test('the count of an image is taken for a lie when its agent dies behind it', async () => {
  const one = await harness();
  const abilities = [...able, 'image'];
  await one.agent({ script: continues({ size: 1, next: diesBehindItsCount }), abilities });
  const { result } = ask(one, { abilities: ['chat', 'image'], body: bodyOf({}, 'hello') });
  assert.equal((await result).outcome, 'completed');
  await until(() => one.ports.usageRecords.length === 1);
  const [record] = one.ports.usageRecords;
  assert.deepEqual(
    [record?.inputTokens, record?.outputTokens, record?.usageClamped],
    [1800, 5, false],
  );
});

test('what an own agent wrote is charged at the price of the shared one that went on', async () => {
  const price = 7;
  const paid = { price: { kind: 'per_million_tokens', amount: price } } as const;
  const tiers = tierTable({ cpu_amd_optimized: paid });
  const costs: number[] = [];
  for (const order of [
    ['own', 'shared'],
    ['shared', 'own'],
    ['shared', 'shared'],
  ] as const) {
    const one = await harness({ config: { tiers } });
    const entryOf = (whose: 'own' | 'shared') => ({ projectId: whose === 'own' ? 'proj_a' : null });
    const fallback = { enabled: true, afterMs: 0, tier: null };
    const first = { size: 1, chunks: 90, next: dies };
    const { agent } = await one.agent({
      entry: entryOf(order[0]),
      script: continues(first),
      abilities: able,
    });
    const asked = { resume: true, includeUsage: true, body: bodyOf({}, 'x'.repeat(100)) };
    const { result } = one.submit(asked, { endpoint: { fallback } });
    await until(() => agent.requests.length === 1);
    const script = continues({ size: 1 });
    await one.agent({ entry: entryOf(order[1]), script, abilities: able });
    assert.equal((await result).outcome, 'completed');
    await until(() => one.ports.usageRecords.length === 1);
    const [record] = one.ports.usageRecords;
    assert.equal(record?.outputTokens, 100);
    costs.push((record.costMicros - price * (record.inputTokens ?? 0)) / price);
  }
  // The prompt once, and what shared agents wrote.
  assert.deepEqual(costs, [10, 90, 100]);
});

test('a slow stream is taken from its agent while every other is busy', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const pauses: Script = (request) => {
    request.streamHead();
    request.event('one ');
    clock.setTimer(25_000, () => {
      request.event('two');
      request.done();
      request.finish();
    });
  };
  const slow = await one.agent({ script: pauses, abilities: able });
  const { client, result } = ask(one);
  await until(() => slow.agent.requests.length === 1);
  const busy = await one.agent({ script: saysNothing, abilities: able });
  const other = one.submit();
  await until(() => busy.agent.requests.length === 1);
  for (let s = 0; s < 26; s += 1) await clock.advanceAsync(1000);
  assert.equal((await result).outcome, 'completed');
  assert.match(client.text, /two/);
  other.client.hangUp();
  await clock.advanceAsync(15_000);
});

test('a limit stops an answer that has begun', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  let kill = (): void => {};
  const holds: Script = (_request, agent) => void (kill = () => agent.kill());
  await agentOf(one, { size: 1, chunks: 5, next: holds });
  const { client, result } = ask(one);
  await settle();
  const other = await agentOf(one, {});
  const debt: Script = (request) => {
    request.streamHead();
    request.event('x');
    request.done();
    request.finish({ usage: { input: 290_000, cached: 0, output: 1 } });
  };
  other.agent.script = debt;
  assert.equal(
    (await one.submit({ body: bodyOf({}, 'y'.repeat(3e5)) }).result).outcome,
    'completed',
  );
  other.agent.script = continues();
  kill();
  assert.equal((await result).outcome, 'completed');
  assert.equal(textOf(client), text);
});

test('a shared agent goes on beyond a limit with what an own one began', async () => {
  const clock = new FakeClock();
  const tiers = tierTable({ cpu_amd_optimized: { tokensPerMinute: 60 } });
  const one = await harness({ clock, config: { tiers } });
  let kill = (): void => {};
  const holds: Script = (_request, agent) => void (kill = () => agent.kill());
  const script = continues({ size: 1, chunks: 5, next: holds });
  await one.agent({ entry: { projectId: 'proj_a' }, script, abilities: able });
  const endpoint = { fallback: { enabled: true, afterMs: 0, tier: null } };
  const body = bodyOf({ max_tokens: 300 });
  const { client, result } = one.submit({ resume: true, body, maxTokens: 300 }, { endpoint });
  await settle();
  const shared = await one.agent({ script: continues(), abilities: able });
  kill();
  await settle();
  assert.equal(shared.agent.requests.length, 0);
  for (let s = 0; s < 31; s += 1) await clock.advanceAsync(1000);
  assert.equal((await result).outcome, 'stream_error');
  assert.match(client.text, /"error":.*tokens per minute \(tokens_per_minute = 60/);
  assert.match(client.text, /data: \[DONE\]\n\n$/);
});
