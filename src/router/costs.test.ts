/** What a request costs, as its record says it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tierTable } from '../domain/tiers/tiers.ts';
import { refuses, type Script } from '../testing/links/fakeAgent.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { RouterHarness, until } from '../testing/router/routerHarness.ts';

const counted: Script = (request) => {
  request.streamHead();
  for (let at = 0; at < 40; at += 1) request.event('a few words');
  request.done();
  request.finish({ usage: { input: 900, cached: 800, output: 100 } });
};

test('own agents’ tokens are charged, or those of shared ones at another price', async () => {
  const tiers = tierTable({
    cpu_amd_optimized: { price: { kind: 'per_million_tokens', amount: 7 } },
    free: { price: { kind: 'per_million_tokens', amount: 3 } },
  });
  const one = new RouterHarness({ config: { tiers } });
  await one.router.start();
  const shared = await one.agent({ script: counted });
  await one.submit({ body: Buffer.alloc(2000) }).result;
  const fallback = { enabled: true, afterMs: 0, tier: 'free' as const };
  await one.submit({ body: Buffer.alloc(2000) }, { endpoint: { fallback } }).result;
  shared.agent.script = refuses('internal');
  const failed = one.submit({ body: Buffer.alloc(2000) });
  await failed.result;
  await one.agent({ entry: { projectId: 'proj_a' }, script: counted });
  await one.submit({ body: Buffer.alloc(2000) }).result;
  await one.router.stop();
  await until(() => one.ports.usageRecords.length === 4);
  const records = one.ports.usageRecords.map((record) => [
    record.tier,
    record.shared,
    record.inputTokens,
    record.costMicros,
  ]);
  assert.deepEqual(records, [
    // 100 new, a quarter of 800 cached, 100 out.
    ['cpu_amd_optimized', true, 900, 400 * 7],
    ['free', true, 900, 400 * 3],
    ['cpu_amd_optimized', true, null, 0],
    ['cpu_amd_optimized', false, 900, 0],
  ]);
});

test('a link that ends, a second one or the router’s stop is counted wrong', async () => {
  const clock = new FakeClock();
  const one = new RouterHarness({ clock });
  await one.router.start();
  const seconds = (): number =>
    Math.round(one.ports.uptimes.reduce((sum, up) => sum + up.toMs - up.fromMs, 0) / 1000);
  const { identity, pair } = one.link({ entry: { projectId: 'proj_a' }, slots: 1 });
  const shared = one.link({ slots: 1 });
  await clock.advanceAsync(20_000);
  one.link({ identity, link: 1, slots: 1 });
  await clock.advanceAsync(70_000);
  assert.equal(seconds(), 60, 'told each minute');
  pair.cut();
  await clock.advanceAsync(30_000);
  assert.equal(seconds(), 120, 'the second link holds it');
  for (const agent of one.router.agents()) assert.equal(agent.links, 1);
  assert.notEqual(shared.identity.agentId, identity.agentId);
  await clock.advanceAsync(5_000);
  const stopped = one.router.stop();
  await clock.advanceAsync(2_000);
  await stopped;
  assert.equal(seconds(), 125);
  assert.ok(one.ports.uptimes.every(({ agentId }) => agentId === identity.agentId));
});

test('a client that leaves before the last chunk pays nothing for what it has read', async () => {
  const one = new RouterHarness();
  await one.router.start();
  const written = 40;
  const { agent } = await one.agent({
    script: (request) => {
      request.whenReset(() => request.finish({ outcome: 'cancelled', usage: undefined, written }));
      request.streamHead();
      for (let at = 0; at < written; at += 1) request.event('word ');
    },
  });
  const { client, result } = one.submit({ body: Buffer.alloc(2000) });
  await until(() => client.text !== '');
  client.hangUp();
  assert.equal((await result).outcome, 'client_closed');
  // Nothing was written, or an agent says more than it sent: no more than that is believed.
  const claims = [0, 1e6];
  for (const claim of claims) {
    agent.script = (request) => {
      const end = { outcome: 'cancelled', usage: undefined, written: claim } as const;
      request.whenReset(() => request.finish(end));
      request.streamHead();
      request.event('word ');
    };
    const other = one.submit({ body: Buffer.alloc(2000) });
    await until(() => other.client.text !== '');
    other.client.hangUp();
    await other.result;
  }
  // Stopped by us, because the agent is at fault: nobody pays.
  agent.script = (request) => {
    request.whenReset(() => request.finish({ outcome: 'cancelled', usage: undefined, written: 9 }));
    request.streamHead();
    request.event('word ');
  };
  const stopped = one.submit({ body: Buffer.alloc(2000) });
  await until(() => stopped.client.text !== '');
  await one.router.stop();
  await stopped.result;
  await until(() => one.ports.usageRecords.length === 4);
  assert.equal(one.ports.usageRecords[3]?.costMicros, 0);
  const [read, none, liar] = one.ports.usageRecords;
  assert.equal(read?.outputTokens, written);
  assert.ok((read.inputTokens ?? 0) > 100 && read.costMicros > 0);
  assert.deepEqual([none?.outputTokens, none?.costMicros], [null, 0]);
  assert.ok((liar?.outputTokens ?? 0) < 1000, String(liar?.outputTokens));
});
