/** Links: who is let in, who is put out, what the directory and the grants do to them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { createWsTransport, linkSubprotocol } from '../../protocol/wsTransport.ts';
import { wsClientOptions, wsServerOptions } from '../../protocol/wsTransport.ts';
import { endpointEntry, modelEntry } from '../../testing/router/directoryEntries.ts';
import { FakeAgent, newIdentity, stalls, streams } from '../../testing/links/fakeAgent.ts';
import { createMemoryPair } from '../../protocol/memoryTransport.ts';
import type { AgentControl } from '../../protocol/messages/agentControl.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { Scheduler } from '../../domain/scheduler/scheduler.ts';
import { maxStrangers } from '../limits.ts';
import { RouterHarness, settle, until } from '../../testing/router/routerHarness.ts';

const made: RouterHarness[] = [];

const nothing = (): void => {};
/** An end that answers nothing. */
const deaf = { onMessage: nothing, onError: nothing, onViolation: nothing, onDrain: nothing };

async function harness(
  options: ConstructorParameters<typeof RouterHarness>[0] = {},
): Promise<RouterHarness> {
  const one = new RouterHarness(options);
  made.push(one);
  await one.router.start();
  return one;
}

afterEach(async () => {
  for (const { router } of made.splice(0)) {
    await until(() => router.audit().requests === 0 && router.audit().openAttempts === 0);
    assert.equal(router.audit().claims, 0, 'R1: a slot leaked');
    await router.stop();
  }
});

test('an agent that proves who it is gets WELCOME and CONFIG', async () => {
  const one = await harness();
  const { agent, identity } = await one.agent();
  assert.deepEqual(agent.config?.models, [
    {
      modelId: 'model_a',
      name: 'small',
      source: 'hf:org/small',
      format: 'gguf',
      task: 'generate',
      sizeBytes: null,
      sha256: null,
      contextLength: null,
    },
  ]);
  const presence = one.router.agent(identity.agentId);
  assert.deepEqual(
    presence?.instances.map(({ instance, slots }) => [instance, slots]),
    [['engine-1', 1]],
  );
  assert.deepEqual(
    one.ports.events.map(({ kind }) => kind),
    ['connected'],
  );
});

test('an agent that links in the moment of its enrolment is looked up, not refused', async () => {
  const one = await harness();
  const agentId = '11111111-1111-4111-8111-111111111111';
  const accessToken = one.ports.token({ agentId, nowMs: one.clock.now() });
  const identity = newIdentity({ agentId, accessToken });
  one.ports.hints.clear();
  one.commitAgent(identity, {});
  const { agent } = one.link({ identity });
  await until(() => agent.isLinked);
});

test('how far an agent is, is told to nobody who chooses, or stays when it has gone', async () => {
  const clock = new FakeClock();
  let scheduler: Scheduler | undefined;
  const one = await harness({
    clock,
    makeScheduler: (options) => (scheduler = new Scheduler(options)),
  });
  const { agent, identity } = await one.agent({ entry: { region: 'rack-2' } });
  const rttMs = (): number | null | undefined =>
    scheduler?.fleet.agents.get(identity.agentId)?.rttMs;
  assert.equal(rttMs(), null);
  await clock.advanceAsync(15_000);
  assert.equal(rttMs(), 0);
  agent.kill();
  await until(() => one.router.agent(identity.agentId) === undefined);
  assert.equal(rttMs(), null);
});

test('a new key of the tokens keeps agents out, or costs a whole snapshot each time', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  await clock.advanceAsync(5000);
  const before = one.enrol();
  one.ports.rotateTokenKey();
  for (const options of [{}, { identity: before }]) {
    const { agent } = one.link(options);
    await until(() => agent.isLinked);
  }
  assert.equal(one.ports.snapshots, 1);
});

const wrong: [string, Parameters<RouterHarness['link']>[0], string][] = [
  [
    'another agent’s signature',
    { tamper: (hello) => ({ ...hello, signature: 'A'.repeat(86) }) },
    'unauthorized',
  ],
  [
    'a signature over another instance',
    { tamper: (hello) => ({ ...hello, instance: 'other-one' }) },
    'unauthorized',
  ],
  ['a made-up token', { tamper: (hello) => ({ ...hello, accessToken: 'a.b.c' }) }, 'unauthorized'],
  [
    'an unknown version',
    { tamper: (hello) => ({ ...hello, versions: [99] }) },
    'version_unsupported',
  ],
  ['a suspended agent', { entry: { state: 'suspended' } }, 'suspended'],
  ['a dead agent', { entry: { state: 'dead' } }, 'unauthorized'],
  ['a token two generations old', { entry: { generation: 3 } }, 'unauthorized'],
];

for (const [what, options, reason] of wrong) {
  test(`kept out: ${what}`, async () => {
    const one = await harness();
    const { agent } = one.link({ ...options, slots: 1 });
    await until(() => agent.closed !== undefined);
    assert.equal(agent.closed?.reason, reason);
    assert.equal(agent.isLinked, false);
    assert.deepEqual(one.router.agents(), []);
  });
}

test('a token of the generation before is right, and so is a newer one', async () => {
  const one = await harness();
  for (const generation of [0, 1, 2]) {
    const { agent } = one.link({ entry: { generation } });
    await until(() => agent.isLinked);
  }
});

test('an expired token is told so, that the agent can refresh it', async () => {
  const one = await harness();
  const agentId = '11111111-1111-4111-8111-111111111111';
  const nowMs = one.clock.now();
  const accessToken = one.ports.token({ agentId, nowMs, lifeMs: -5000 });
  const identity = newIdentity({ agentId, accessToken });
  one.commitAgent(identity, {});
  await settle();
  const { agent } = one.link({ identity });
  await until(() => agent.closed !== undefined);
  assert.equal(agent.closed?.reason, 'token_expired');
  assert.deepEqual(agent.goaways, ['token_expired']);
});

test('a link outlives its token by a minute of grace, a renewed one by more', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const stays = await one.agent();
  const goes = await one.agent();
  await clock.advanceAsync(540_000);
  const { agentId } = stays.identity;
  const accessToken = one.ports.token({ agentId, nowMs: clock.now() });
  stays.agent.peer.send({ type: 'token', accessToken });
  await clock.advanceAsync(118_000);
  assert.equal(goes.agent.isLinked, true);
  await clock.advanceAsync(5000);
  assert.equal(goes.agent.closed?.reason, 'token_expired');
  assert.deepEqual(goes.agent.goaways, ['token_expired']);
  assert.equal(stays.agent.closed, undefined);
});

test('a clock that is set back lets a token hold its link for hours', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const identity = one.enrol();
  clock.jumpWall(-3 * 3_600_000);
  const { agent } = await one.agent({ identity });
  await clock.advanceAsync(600_000 + 59_000);
  assert.equal(agent.isLinked, true);
  await clock.advanceAsync(3000);
  assert.equal(agent.closed?.reason, 'token_expired');
});

test('a clock that is set forward cuts the links that are up', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const { agent, identity } = await one.agent({ script: streams('x') });
  clock.jumpWall(5 * 3_600_000);
  await clock.advanceAsync(300_000);
  assert.equal((await one.submit().result).outcome, 'completed');
  // The agent has counted the life of its token from receipt: the next one comes in time.
  const accessToken = one.ports.token({ agentId: identity.agentId, nowMs: clock.now() });
  agent.peer.send({ type: 'token', accessToken });
  await clock.advanceAsync(500_000);
  assert.equal(agent.closed, undefined);
  // Its old one is an old one for a new link, and it is told so.
  const { agent: second } = one.link({ identity, link: 1 });
  await until(() => second.closed !== undefined);
  assert.equal(second.closed?.reason, 'token_expired');
});

test('a recorded HELLO is played again', async () => {
  const one = await harness();
  let recorded: AgentControl | undefined;
  const { identity } = await one.agent({ tamper: (hello) => (recorded = hello) });
  const { agent } = one.link({ identity, tamper: () => recorded as AgentControl, slots: 1 });
  await until(() => agent.closed !== undefined);
  assert.equal(agent.closed?.reason, 'unauthorized');
  assert.equal(one.router.agent(identity.agentId)?.links, 1, 'the right one stays');
});

test('strangers that say nothing take the places of agents for ever', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const closed: number[] = [];
  for (let n = 0; n < maxStrangers + 5; n += 1) {
    const { agent, router } = createMemoryPair({ clock });
    agent.handlers = { ...deaf, onClose: () => closed.push(n) };
    one.router.acceptLink(router, { address: '192.0.2.1' });
  }
  await until(() => closed.length === 5);
  assert.deepEqual(
    closed,
    [0, 1, 2, 3, 4].map((n) => maxStrangers + n),
  );
  await clock.advanceAsync(12_000);
  await until(() => closed.length === maxStrangers + 5);
  const { agent } = await one.agent();
  assert.equal(agent.isLinked, true);
});

test('a link that is deaf towards its agent keeps its requests for ever', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const { agent, pair } = await one.agent({ script: () => {} });
  pair.towardsAgent.swallow();
  const { client, result } = one.submit();
  await settle();
  assert.equal(agent.requests.length, 0);
  // The agent hears nothing and gives its link up; its word of that still arrives.
  const rescuer = await one.agent({ script: streams('rescued') });
  await clock.advanceAsync(36_000);
  assert.equal(agent.closed?.reason, 'silent');
  assert.equal((await result).outcome, 'completed');
  assert.match(client.text, /rescued/);
  assert.equal(rescuer.agent.requests.length, 1);
});

test('an agent that sends token after token takes the time of all others', async () => {
  const one = await harness();
  const { agent, identity } = await one.agent();
  const { accessToken } = identity;
  for (let n = 0; n < 4000; n += 1) agent.peer.send({ type: 'token', accessToken });
  await until(() => agent.closed !== undefined);
  assert.deepEqual(
    [agent.closed?.reason, agent.closed?.detail],
    ['protocol_error', 'flood of tokens'],
  );
});

test('a renewed token of another agent ends the link', async () => {
  const one = await harness();
  const { agent } = await one.agent();
  const agentId = '11111111-1111-4111-8111-111111111111';
  const accessToken = one.ports.token({ agentId, nowMs: one.clock.now() });
  agent.peer.send({ type: 'token', accessToken });
  await until(() => agent.closed !== undefined);
  assert.equal(agent.closed?.reason, 'unauthorized');
});

test('a suspended agent is cut off at once, and its request tried elsewhere', async () => {
  const one = await harness();
  const { agent, identity } = await one.agent({ script: () => {} });
  const { client, result } = one.submit();
  await until(() => agent.requests.length === 1);
  await one.agent({ script: streams('rescued') });
  one.commitAgent(identity, { state: 'suspended' });
  assert.equal((await result).outcome, 'completed');
  assert.match(client.text, /rescued/);
  assert.deepEqual(agent.goaways, ['suspended']);
  await until(() => agent.closed?.reason === 'suspended');
  assert.equal(one.router.agents().length, 1);
});

test('two agents with one identity: the newer fences the older', async () => {
  const one = await harness();
  const old = await one.agent({ script: stalls('one') });
  const { client, result } = one.submit();
  await until(() => client.chunks.length === 1);
  const { identity } = old;
  const twin = one.link({ identity, nonce: 'process-2', slots: 1, script: streams('two') });
  await until(() => old.agent.closed !== undefined);
  assert.equal(old.agent.closed?.reason, 'fenced');
  assert.equal((await result).outcome, 'stream_error');
  await until(() => one.router.agent(identity.agentId)?.slots === 1);
  assert.equal((await one.submit().result).outcome, 'completed');
  assert.equal(twin.agent.requests.length, 1);
  assert.deepEqual(
    one.ports.events.map(({ kind }) => kind),
    ['connected', 'connected', 'fenced'],
  );
});

test('a second connection with the same number replaces the first, without a gap', async () => {
  const one = await harness();
  const first = await one.agent();
  const { identity } = first;
  const second = one.link({ identity, slots: 1, script: streams('x') });
  await until(() => first.agent.closed !== undefined);
  assert.equal(first.agent.closed?.reason, 'replaced');
  await until(() => one.router.agent(identity.agentId)?.slots === 1);
  assert.equal((await one.submit().result).outcome, 'completed');
  assert.equal(second.agent.requests.length, 1);
  assert.deepEqual(
    one.ports.events.map(({ kind }) => kind),
    ['connected'],
  );
});

test('grants of all links are summed and cut to the agent’s maximum', async () => {
  const one = await harness();
  const first = await one.agent({ slots: 3, entry: { maxConcurrentRequests: 4 } });
  const { identity } = first;
  one.link({ identity, link: 1, slots: 3 });
  const slots = (): number | undefined => one.router.agent(identity.agentId)?.slots;
  await until(() => slots() === 4);
  first.agent.kill();
  await until(() => slots() === 3);
});

test('an agent that says GOAWAY gets nothing new and finishes what runs', async () => {
  const one = await harness();
  const { agent, identity } = await one.agent({ script: stalls('one') });
  const running = one.submit();
  await until(() => running.client.chunks.length === 1);
  agent.peer.send({ type: 'goaway', reason: 'draining' });
  await until(() => one.router.agent(identity.agentId)?.slots === 0);
  const waiting = one.submit();
  await settle();
  assert.equal(agent.requests.length, 1);
  agent.requests[0]?.done();
  agent.requests[0]?.finish();
  assert.equal((await running.result).outcome, 'completed');
  waiting.client.hangUp();
  await waiting.result;
});

test('CONFIG follows the endpoints that the agent may serve', async () => {
  const one = await harness();
  const { agent } = await one.agent();
  const before = agent.controls.length;
  const entry = modelEntry({ id: 'model_b', name: 'other' });
  one.ports.commit({ kind: 'model', id: 'model_b', entry });
  const endpoint = endpointEntry({ id: 'ep_b', slug: 'two', modelId: 'model_b', createdAtMs: 5 });
  one.ports.commit({ kind: 'endpoint', id: 'ep_b', entry: endpoint });
  await until(() => agent.config?.models.length === 2);
  assert.deepEqual(
    agent.config?.models.map(({ modelId }) => modelId),
    ['model_b', 'model_a'],
  );
  assert.equal(agent.controls.length, before + 1, 'one CONFIG for both changes');
  one.ports.commit({ kind: 'endpoint', id: 'ep_b', entry: { ...endpoint, active: false } });
  await until(() => agent.config?.models.length === 1);
});

test('a model that no link can carry cuts the links of all its agents', async () => {
  const one = await harness();
  const { agent } = await one.agent({ script: streams('x') });
  const source = `file:/${'d/'.repeat(2000)}`;
  const entry = modelEntry({ id: 'model_b', name: 'other', source });
  one.ports.commit({ kind: 'model', id: 'model_b', entry });
  const endpoint = endpointEntry({ id: 'ep_b', slug: 'two', modelId: 'model_b' });
  one.ports.commit({ kind: 'endpoint', id: 'ep_b', entry: endpoint });
  const small = modelEntry({ name: 'renamed' });
  one.ports.commit({ kind: 'model', id: small.id, entry: small });
  await until(() => agent.config?.models[0]?.name === 'renamed');
  assert.equal(agent.config?.models.length, 1);
  assert.equal(agent.isLinked, true);
});

test('a directory that changes all the time floods its agents with CONFIG', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const { agent } = await one.agent();
  const configs = (): number => agent.controls.filter(({ type }) => type === 'config').length;
  const before = configs();
  for (let n = 0; n < 500; n += 1) {
    const entry = modelEntry({ name: `model ${n}` });
    one.ports.commit({ kind: 'model', id: entry.id, entry });
    await clock.advanceAsync(10);
  }
  assert.ok(configs() - before <= 21, String(configs() - before));
  await clock.advanceAsync(1000);
  assert.equal(agent.config?.models[0]?.name, 'model 499');
});

test('a change whose hint was lost is seen by the poll', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  one.ports.commit({ kind: 'project', id: 'proj_a', entry: null }, { hint: false });
  assert.ok(one.router.directory.project('a') !== undefined);
  await clock.advanceAsync(1100);
  assert.equal(one.router.directory.project('a'), undefined);
});

test('a store that is away makes nothing look gone', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const { identity } = await one.agent({ script: streams('x') });
  one.ports.storeAway = true;
  await clock.advanceAsync(20_000);
  assert.ok(one.router.agent(identity.agentId) !== undefined);
  assert.equal((await one.submit().result).outcome, 'completed');
});

test('the repeated trailers of an earlier link are acknowledged', async () => {
  const one = await harness();
  const { agent } = await one.agent();
  const ends = [{ requestId: 'req_old', timings: { totalMs: 1 }, outcome: 'completed' as const }];
  agent.peer.send({ type: 'trailers', ends });
  await until(() => agent.acked.includes('req_old'));
});

test('a malformed frame closes that link and no other', async () => {
  const one = await harness();
  const hostile = await one.agent();
  const { agent } = await one.agent({ script: streams('x') });
  hostile.pair.agent.send(Buffer.from('this is no frame'));
  await until(() => hostile.agent.closed !== undefined);
  assert.equal(hostile.agent.closed?.reason, 'protocol_error');
  assert.equal((await one.submit().result).outcome, 'completed');
  assert.equal(agent.requests.length, 1);
});

test('a half-open link is dead after thirty silent seconds, on our clock', async () => {
  const clock = new FakeClock();
  const one = await harness({ clock });
  const { pair, identity } = await one.agent({ script: () => {} });
  pair.towardsRouter.swallow();
  await clock.advanceAsync(25_000);
  assert.ok(one.router.agent(identity.agentId) !== undefined);
  await clock.advanceAsync(12_000);
  assert.equal(one.router.agent(identity.agentId), undefined);
});

test('over a real WebSocket: link, stream, cancel', async (t) => {
  const one = await harness();
  const server = createServer();
  const sockets = new WebSocketServer({ ...wsServerOptions, server });
  sockets.on('connection', (socket) =>
    one.router.acceptWebSocket(socket, { address: '127.0.0.1' }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.after(() => {
    client.terminate();
    sockets.close();
    server.close();
  });
  const identity = one.enrol();
  const client = new WebSocket(`ws://127.0.0.1:${port}`, linkSubprotocol, wsClientOptions);
  // In the turn in which it opens: the first message may be right behind.
  const agent = await new Promise<FakeAgent>((resolve) => {
    client.once('open', () => {
      const transport = createWsTransport(client);
      resolve(new FakeAgent({ identity, transport, slots: 2, script: streams('over', 'ws') }));
    });
  });
  await until(() => one.router.agent(identity.agentId)?.slots === 2);
  const done = one.submit();
  assert.equal((await done.result).outcome, 'completed');
  assert.match(done.client.text, /over.*ws.*\[DONE\]/s);
  agent.script = stalls('one');
  const cancelled = one.submit();
  await until(() => cancelled.client.chunks.length === 1);
  cancelled.client.hangUp();
  assert.equal((await cancelled.result).outcome, 'client_closed');
  assert.equal(agent.requests[1]?.reset, 'cancelled');
  client.terminate();
  await until(() => one.router.agents().length === 0);
});
