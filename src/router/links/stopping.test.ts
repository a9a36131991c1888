/** Agents that are suspended or removed at work: what runs, what comes, what the link does. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { stalls, streams, type FakeRequest, type Script } from '../../testing/links/fakeAgent.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { RouterHarness, settle, until } from '../../testing/router/routerHarness.ts';
import { linkSweepMs, longestTokenLifeMs, stopDrainMs } from '../limits.ts';

const made: RouterHarness[] = [];

async function harness(): Promise<RouterHarness & { clock: FakeClock }> {
  const clock = new FakeClock();
  const one = new RouterHarness({ clock });
  made.push(one);
  await one.router.start();
  return one as RouterHarness & { clock: FakeClock };
}

afterEach(async () => {
  for (const { router, clock } of made.splice(0)) {
    await until(() => router.audit().requests === 0 && router.audit().openAttempts === 0);
    assert.equal(router.audit().claims, 0, 'R1: a slot leaked');
    const stopped = router.stop();
    (clock as FakeClock).advance(5_000);
    await stopped;
  }
});

/** Says one word, and the rest when the test lets it. */
function slowly(): { script: Script; finish: () => void } {
  let held: FakeRequest | undefined;
  const script: Script = (request) => {
    held = request;
    request.streamHead();
    request.event('one');
  };
  const finish = (): void => {
    held?.event('two');
    held?.done();
    held?.finish();
  };
  return { script, finish };
}

async function busy() {
  const one = await harness();
  const { script, finish } = slowly();
  const { agent, identity, pair } = await one.agent({ script, slots: 2 });
  const running = one.submit();
  await until(() => running.client.chunks.length === 1);
  return { one, agent, identity, pair, running, finish };
}

for (const state of ['suspended', 'dead'] as const) {
  test(`an agent that becomes ${state} softly loses what runs, or gets more`, async () => {
    const { one, agent, identity, running, finish } = await busy();
    const configs = agent.controls.filter(({ type }) => type === 'config').length;
    one.commitAgent(identity, { state, stopMode: 'drain' });
    await settle();
    one.clock.advance(3 * linkSweepMs);
    await settle();
    assert.equal(agent.closed, undefined);
    const other = await one.agent({ script: streams('elsewhere') });
    assert.equal((await one.submit().result).outcome, 'completed');
    assert.deepEqual([agent.requests.length, other.agent.requests.length], [1, 1]);
    assert.equal(agent.controls.filter(({ type }) => type === 'config').length, configs);
    finish();
    assert.equal((await running.result).outcome, 'completed');
    assert.match(running.client.text, /one.*two.*\[DONE\]/s);
    one.clock.advance(linkSweepMs);
    await until(() => agent.closed !== undefined);
    assert.deepEqual(agent.goaways, [state]);
    assert.deepEqual(agent.acked, [running.requestId]);
  });
}

test('an idle agent that is suspended softly keeps its link', async () => {
  const one = await harness();
  const { agent, identity } = await one.agent();
  one.commitAgent(identity, { state: 'suspended', stopMode: 'drain' });
  await until(() => agent.closed !== undefined);
  assert.deepEqual(agent.goaways, ['suspended']);
});

test('cutting after a drain has no effect', async () => {
  const { one, agent, identity, running } = await busy();
  one.commitAgent(identity, { state: 'suspended', stopMode: 'drain' });
  await settle();
  one.commitAgent(identity, { state: 'suspended', stopMode: 'cut' });
  assert.equal((await running.result).outcome, 'stream_error');
  await until(() => agent.closed?.reason === 'suspended');
});

test('an agent that is resumed while it drains has to link again, or gets nothing', async () => {
  const { one, agent, identity, running, finish } = await busy();
  one.commitAgent(identity, { state: 'suspended', stopMode: 'drain' });
  await settle();
  one.commitAgent(identity, { state: 'enrolled' });
  agent.script = streams('again');
  assert.equal((await one.submit().result).outcome, 'completed');
  finish();
  assert.equal((await running.result).outcome, 'completed');
  one.clock.advance(10 * linkSweepMs);
  await settle();
  assert.equal(agent.closed, undefined);
  assert.deepEqual(agent.goaways, []);
});

test('a token that ends, or crosses the order to stop, cuts what may finish', async () => {
  const { one, agent, identity, running, finish } = await busy();
  one.commitAgent(identity, { state: 'suspended', stopMode: 'drain' });
  await settle();
  const { agentId } = identity;
  agent.peer.send({
    type: 'token',
    accessToken: one.ports.token({ agentId, nowMs: one.clock.now() }),
  });
  await settle();
  for (let passed = 0; passed < 2 * longestTokenLifeMs; passed += 5_000) {
    one.clock.advance(5_000);
    agent.requests[0]?.event('more');
    await settle(2);
  }
  assert.equal(agent.closed, undefined);
  finish();
  assert.equal((await running.result).outcome, 'completed');
});

test('an agent that never finishes keeps its link for ever', async () => {
  const one = await harness();
  const { agent, identity } = await one.agent({ script: stalls('one') });
  const running = one.submit();
  await until(() => running.client.chunks.length === 1);
  one.commitAgent(identity, { state: 'suspended', stopMode: 'drain' });
  await settle();
  for (let passed = 0; passed <= stopDrainMs + linkSweepMs; passed += 5_000) {
    one.clock.advance(5_000);
    agent.requests[0]?.event('more');
    await settle(2);
  }
  await until(() => agent.closed !== undefined);
  assert.equal((await running.result).outcome, 'stream_error');
});
