/** Agents that are slow, hang or fail: who is tried next, and who is spared. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answers,
  eventText,
  refuses,
  saysNothing,
  streams,
  stalls,
  type FakeAgent,
  type FakeRequest,
  type Script,
} from '../testing/links/fakeAgent.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { auditedHarness } from '../testing/router/auditedHarness.ts';
import {
  settle,
  until,
  type RouterHarness,
  type Submission,
} from '../testing/router/routerHarness.ts';
import type { Outcome } from './ports.ts';

const harness = auditedHarness();
const config = { firstByteMs: 5000 };
const done = 'data: [DONE]\n\n';

test('a stream waits for a hung engine until its request timeout, beside a free one', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock, config });
  const hung = await one.agent({ script: saysNothing });
  const { client, result } = one.submit();
  await until(() => hung.agent.requests.length === 1);
  await one.agent({ script: streams('Hello'), slots: 2 });
  await clock.advanceAsync(4500);
  assert.equal(hung.agent.requests[0]?.reset, undefined);
  await clock.advanceAsync(1000);
  assert.equal((await result).outcome, 'completed');
  assert.equal(client.text, `${eventText('Hello')}${done}`);
  assert.equal(hung.agent.requests[0]?.reset, 'idle');
  // It is spared: the next one goes to the other at once.
  assert.equal((await one.submit().result).outcome, 'completed');
  assert.equal(hung.agent.requests.length, 1);
});

test('a slow engine loses its request to nobody', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock, config });
  let slow: FakeRequest | undefined;
  const { agent } = await one.agent({ script: (request) => void (slow = request) });
  const { client, result } = one.submit();
  await until(() => slow !== undefined);
  await clock.advanceAsync(20_000);
  assert.equal(agent.requests[0]?.reset, undefined);
  assert.ok(slow !== undefined);
  await streams('late')(slow, agent);
  assert.equal((await result).outcome, 'completed');
  assert.equal(client.text, `${eventText('late')}${done}`);
});

test('an answer in one piece is taken for late while it is computed', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock, config });
  let slow: FakeRequest | undefined;
  const { agent } = await one.agent({ script: (request) => void (slow = request) });
  const { result } = one.submit({ stream: false });
  await until(() => slow !== undefined);
  const other = await one.agent({ script: answers('{"other":true}') });
  await clock.advanceAsync(20_000);
  assert.ok(slow !== undefined);
  await answers('{"ok":true}')(slow, agent);
  assert.equal((await result).outcome, 'completed');
  assert.equal(other.agent.requests.length, 0);
});

test('bytes of an agent that was given up reach the client', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock, config });
  let slow: FakeRequest | undefined;
  const first = await one.agent({
    script: (request) => {
      slow = request;
      request.whenReset(() => {
        request.streamHead();
        request.event('never');
        setImmediate(() => request.finish({ outcome: 'cancelled' }));
      });
    },
  });
  const { client, result } = one.submit();
  await until(() => slow !== undefined);
  await one.agent({ script: streams('Hello') });
  await clock.advanceAsync(6000);
  assert.equal((await result).outcome, 'completed');
  await settle();
  assert.equal(client.text, `${eventText('Hello')}${done}`);
  assert.equal(first.agent.requests.length, 1);
});

test('an engine that fails at once gets one request after the other', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const broken = await one.agent({ script: refuses('engine_failed'), slots: 8 });
  await one.agent({ script: streams('x'), slots: 8 });
  for (let n = 0; n < 40; n += 1) {
    assert.equal((await one.submit().result).outcome, 'completed');
    await clock.advanceAsync(100);
  }
  // Of 4 s it was in the box but for moments: after 1 s and after 2 s more it was asked again.
  const asked = broken.agent.requests.length;
  assert.ok(asked >= 1 && asked <= 3, `${asked} requests`);
});

test('an engine that is well again is not asked any more', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const weak = await one.agent({ script: refuses('engine_unreachable'), slots: 8 });
  const other = await one.agent({ script: streams('x'), slots: 8 });
  while (weak.agent.requests.length === 0) await one.submit().result;
  weak.agent.script = streams('y');
  await clock.advanceAsync(1500);
  const before = other.agent.requests.length;
  for (let n = 0; n < 40; n += 1) await one.submit().result;
  assert.ok(weak.agent.requests.length > 5, `${weak.agent.requests.length} requests`);
  assert.ok(other.agent.requests.length > before);
});

test('slow agents are asked one after the other until the request has failed', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock, config });
  const agents = [];
  for (let n = 0; n < 4; n += 1) agents.push(await one.agent({ script: saysNothing }));
  const { client, result } = one.submit();
  for (let s = 0; s < 60; s += 1) await clock.advanceAsync(1000);
  const asked = agents.filter(({ agent }) => agent.requests.length > 0);
  assert.equal(asked.length, 3, 'the first and two more');
  const last = asked.find(({ agent }) => agent.requests[0]?.reset === undefined);
  const [request] = last?.agent.requests ?? [];
  assert.ok(last !== undefined && request !== undefined, 'the last one keeps it');
  await streams('late')(request, last.agent);
  assert.equal((await result).outcome, 'completed');
  assert.equal(client.text, `${eventText('late')}${done}`);
});

test('a late request is taken from its agent to wait in line, or because it is old', async () => {
  for (const firstByteMs of [20_000, 35_000]) {
    const clock = new FakeClock();
    const one = await harness({ clock, config: { firstByteMs } });
    const held: FakeRequest[] = [];
    const holds = (request: FakeRequest): void => void held.push(request);
    await one.agent({ script: holds });
    await one.agent({ script: holds });
    const all = [one.submit(), one.submit()];
    await until(() => held.length === 2);
    for (let s = 0; s < 40; s += 1) await clock.advanceAsync(1000);
    assert.deepEqual([held[0]?.reset, held[1]?.reset], [undefined, undefined]);
    for (const request of held) await streams('late')(request, undefined as never);
    for (const { result } of all) assert.equal((await result).outcome, 'completed');
  }
});

/** Submits as many as are answered by one agent and held by the other until this one has one. */
async function untilAsked(one: RouterHarness, hung: FakeAgent): Promise<Submission> {
  for (let n = 0; n < 50; n += 1) {
    const last = one.submit();
    await settle();
    if (hung.requests.length > 0) return last;
  }
  throw new Error('it was never asked');
}

const hangs: { how: string; script: Script; seconds: number; outcome: Outcome }[] = [
  { how: 'answers nobody', script: saysNothing, seconds: 300, outcome: 'timeout' },
  { how: 'stops in mid-stream', script: stalls('x'), seconds: 600, outcome: 'stream_error' },
];

for (const { how, script, seconds, outcome } of hangs) {
  test(`by default an engine that ${how} gets request after request`, async () => {
    const clock = new FakeClock();
    const one = await harness({ clock });
    const { agent, identity } = await one.agent({ script, slots: 8 });
    await one.agent({ script: streams('y'), slots: 8 });
    const { result } = await untilAsked(one, agent);
    for (let s = 0; s < seconds; s += 1) await clock.advanceAsync(1000);
    assert.equal((await result).outcome, outcome);
    assert.equal(one.router.agent(identity.agentId)?.penalty?.standing, 'boxed');
    const asked = agent.requests.length;
    for (let n = 0; n < 40; n += 1) assert.equal((await one.submit().result).outcome, 'completed');
    assert.equal(agent.requests.length, asked);
  });
}

test('a request that takes too long boxes an engine that answers everybody else', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const { agent, identity } = await one.agent({ script: saysNothing, slots: 2 });
  const { result } = one.submit();
  await until(() => agent.requests.length === 1);
  agent.script = streams('y');
  await clock.advanceAsync(100_000);
  assert.equal((await one.submit().result).outcome, 'completed');
  for (let s = 0; s < 201; s += 1) await clock.advanceAsync(1000);
  assert.equal((await result).outcome, 'timeout');
  assert.equal(one.router.agent(identity.agentId)?.penalty, null);
});

test('an agent that failed is shown as spared long after it is not', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const script: Script = (request) => request.stream.reset('engine_failed');
  const { identity } = await one.agent({ script });
  assert.equal((await one.submit().result).outcome, 'upstream_error');
  const penalty = () => one.router.agent(identity.agentId)?.penalty;
  const { standing, leftMs = 0 } = penalty() ?? {};
  assert.ok(standing === 'boxed' && leftMs > 0);
  await clock.advanceAsync(leftMs / 2);
  assert.equal(penalty()?.leftMs, leftMs / 2);
  await clock.advanceAsync(leftMs / 2);
  assert.deepEqual(penalty(), { standing: 'proving', leftMs: 0 });
});
