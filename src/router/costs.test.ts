/** What a request costs, as its record says it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tierTable } from '../domain/tiers.ts';
import { refuses, type Script } from '../testing/fakeAgent.ts';
import { RouterHarness, until } from '../testing/routerHarness.ts';

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
