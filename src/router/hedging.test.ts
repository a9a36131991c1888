/** Streams with a second agent because their first byte is late. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventText, refuses, streams, type FakeRequest } from '../testing/links/fakeAgent.ts';
import type { Span } from '../lib/tracing/span.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { auditedHarness } from '../testing/router/auditedHarness.ts';
import { readMetrics, valueOf } from '../testing/router/readMetrics.ts';
import { settle, until, type LinkedAgent } from '../testing/router/routerHarness.ts';
import { unlimitedTiers } from '../testing/router/unlimitedTiers.ts';
import type { InferenceRequest } from './ports.ts';

const harness = auditedHarness();
const done = 'data: [DONE]\n\n';

/** Two agents of known speed, enough requests behind them, and one request that both hold back. */
async function twoHolding(hedging = true, traced: Partial<InferenceRequest> = {}) {
  const clock = new FakeClock();
  const spans: Span[] = [];
  const tracing = { record: (more: readonly Span[]) => void spans.push(...more) };
  const one = await harness({ clock, tracing, config: { hedging, tiers: unlimitedTiers() } });
  const agents: LinkedAgent[] = [];
  for (let n = 0; n < 2; n += 1) agents.push(await one.agent({ script: streams('x'), slots: 4 }));
  for (let n = 0; n < 60; n += 1) await one.submit().result;
  const held: FakeRequest[] = [];
  for (const { agent } of agents) agent.script = (request) => void held.push(request);
  const submission = one.submit(traced);
  await until(() => held.length === 1);
  await clock.advanceAsync(750);
  await settle();
  return { one, clock, held, agents, spans, ...submission };
}

const [yes, no] = ['yes', 'no'].map((text) => streams(text));

/** Lets a held request be answered. */
async function answer(request: FakeRequest | undefined, script = yes): Promise<void> {
  assert.ok(request !== undefined && script !== undefined);
  // Scripts of streams do not look at the agent.
  await script(request, undefined as never);
}

test('a late stream waits for its only agent beside one that is free', async () => {
  const { held, client, result } = await twoHolding();
  assert.equal(held.length, 2);
  await answer(held[1]);
  assert.equal((await result).outcome, 'completed');
  assert.equal(client.text, `${eventText('yes')}${done}`);
  await until(() => held[0]?.reset === 'cancelled');
});

const ids = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: 'aaaaaaaaaaaaaaaa' };
const trace = { ...ids, parentSpanId: null, sampled: true, recorded: true };

test('a hedge that is counted as a retry, or has the span of whom it is to beat', async () => {
  const { one, agents, held, result } = await twoHolding(true, { trace });
  await answer(held[1]);
  await result;
  const told = agents.map(({ agent }) => agent.requests.at(-1)?.message.traceparent);
  assert.equal(new Set(told).size, 2, 'two attempts are one span');
  const families = readMetrics(one.router.metrics());
  const tries = { stage: 'shared', try: 'hedge' };
  assert.equal(valueOf(families, 'xim_attempts_total', tries), 1);
});

test('both answers of a stream with two agents reach the client', async () => {
  const { held, client, result } = await twoHolding();
  await Promise.all([answer(held[0]), answer(held[1], no)]);
  assert.equal((await result).outcome, 'completed');
  await settle();
  assert.ok([`${eventText('yes')}${done}`, `${eventText('no')}${done}`].includes(client.text));
  assert.equal(client.ended, 1);
});

test('the second agent goes on though the first was quicker after all', async () => {
  const { held, client, result } = await twoHolding();
  await answer(held[0]);
  assert.equal((await result).outcome, 'completed');
  assert.equal(client.text, `${eventText('yes')}${done}`);
  await until(() => held[1]?.reset === 'cancelled');
});

test('a stream with two agents ends when one of them fails', async () => {
  for (const at of [0, 1]) {
    const { held, client, result } = await twoHolding();
    await answer(held[at], refuses('engine_failed'));
    await settle();
    await answer(held[1 - at]);
    assert.equal((await result).outcome, 'completed');
    assert.equal(client.text, `${eventText('yes')}${done}`);
  }
});

test('a client that leaves stops one of two engines', async () => {
  const { held, client, result } = await twoHolding();
  client.hangUp();
  assert.equal((await result).outcome, 'client_closed');
  await until(() => held.every(({ reset }) => reset === 'cancelled'));
});

test('streams have two agents though nobody asked for it', async () => {
  const { held, result } = await twoHolding(false);
  assert.equal(held.length, 1);
  await answer(held[0]);
  assert.equal((await result).outcome, 'completed');
});

test('the receipt of two agents names the one that failed as the one that served', async () => {
  const { one, held, agents, requestId, result } = await twoHolding();
  held[0]?.stream.reset('engine_failed');
  await settle();
  await answer(held[1]);
  assert.equal((await result).outcome, 'completed');
  await settle();
  const found = await one.router.receiptView.of(requestId);
  const attempts = found?.receipt.attempts.map(({ agent, end }) => [agent?.id, end]);
  const ids = [held[0], held[1]].map(
    (request) =>
      agents.find(({ agent }) => request !== undefined && agent.requests.includes(request))
        ?.identity.agentId,
  );
  assert.deepEqual(attempts, [
    [ids[0], 'engine_failed'],
    [ids[1], 'served'],
  ]);
  const families = readMetrics(one.router.metrics());
  assert.equal(valueOf(families, 'xim_attempt_failures_total', {}), 1);
});

test('a trace waits below zero for a second agent, or leaves one out', async () => {
  for (const at of [0, 1]) {
    const { held, result, spans } = await twoHolding(true, { trace });
    await answer(held[at]);
    await result;
    const told = spans.map(({ kind, name, startMs, endMs, error }) => {
      assert.ok(endMs >= startMs, `${name} ends before it begins`);
      return `${kind} ${name} ${error ?? 'well'}`;
    });
    const asked = 'client chat small well';
    assert.deepEqual(told, ['server chat main well', 'internal queue well', asked, asked]);
  }
});

/** What the receipt says of each agent that was asked; the one that the request depends on last. */
async function toldOf({ one, held, agents, requestId }: Awaited<ReturnType<typeof twoHolding>>) {
  const found = await one.router.receiptView.of(requestId);
  const nameOf = (id: string): string => {
    const asked = agents.find(({ identity }) => identity.agentId === id);
    const request = asked?.agent.requests.at(-1);
    return request === held[0] ? 'first' : 'second';
  };
  return found?.receipt.attempts.map(({ agent, hedge, atMs, end }) =>
    [nameOf(agent.id), hedge ? 'hedge' : 'main', Math.round(atMs), end].join(' '),
  );
}

test('of two agents the one that lost is on no receipt, or stands for who served', async () => {
  const first = await twoHolding();
  const begun = await toldOf(first);
  assert.deepEqual(begun, ['second hedge 250 ', 'first main 0 '], 'while both run');
  await answer(first.held[0]);
  await first.result;
  assert.deepEqual(await toldOf(first), ['second hedge 250 hedged', 'first main 0 served']);
  const second = await twoHolding();
  await answer(second.held[1]);
  await second.result;
  assert.deepEqual(await toldOf(second), ['first main 0 hedged', 'second hedge 250 served']);
});

test('a second agent is on no receipt where it failed, or its client left', async () => {
  const failed = await twoHolding();
  failed.held[1]?.stream.reset('engine_failed');
  await settle();
  await answer(failed.held[0]);
  await failed.result;
  const one = ['second hedge 250 engine_failed', 'first main 0 served'];
  assert.deepEqual(await toldOf(failed), one);
  const left = await twoHolding();
  left.client.hangUp();
  await left.result;
  const both = ['second hedge 250 client_closed', 'first main 0 client_closed'];
  assert.deepEqual(await toldOf(left), both);
});
