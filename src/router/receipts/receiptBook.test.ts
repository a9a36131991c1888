/** Receipts of a real router with fake agents, through bytes and back. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { diesAfter, echoes, eventOf, refuses, saysNothing } from '../../testing/links/fakeAgent.ts';
import { RouterHarness, until } from '../../testing/router/routerHarness.ts';
import type { Receipt } from './receipt.ts';

async function started(
  options: ConstructorParameters<typeof RouterHarness>[0] = {},
): Promise<RouterHarness> {
  const harness = new RouterHarness(options);
  await harness.router.start();
  return harness;
}

async function receiptOf(harness: RouterHarness, requestId: string): Promise<Receipt> {
  const receipt = await harness.router.receipts.find(requestId);
  assert.ok(receipt, requestId);
  return receipt;
}

/** An agent of the project, and what its entry says beside that. */
const own = (name: string) => ({ name, projectId: 'proj_a' });

test('a receipt forgets who served, who could have, or what it came to', async () => {
  const harness = await started();
  const entry = { ...own('desk-1'), region: 'attic' };
  const { identity } = await harness.agent({ entry, slots: 2, script: echoes });
  await harness.agent({ entry: { name: 'pool-1' }, slots: 2, script: echoes });
  const body = Buffer.from(JSON.stringify({ messages: [{ content: 'x'.repeat(9000) }] }));
  const { requestId, result } = harness.submit({ body, maxTokens: 70, region: 'cellar' });
  assert.equal((await result).outcome, 'completed');
  await until(() => harness.ports.usageRecords.length === 1);
  const receipt = await receiptOf(harness, requestId);
  const [usage] = harness.ports.usageRecords;
  assert.ok(usage);
  const { projectId, endpointSlug, apiKeyId, tier, outcome, status, startedAtMs } = usage;
  const { inputTokens, cachedTokens, outputTokens, costMicros } = usage;
  const words = { projectId, endpointSlug, apiKeyId, tier, outcome, status };
  const numbers = { startedAtMs, inputTokens, cachedTokens, outputTokens, costMicros };
  assert.partialDeepStrictEqual(receipt, { ...words, ...numbers });
  assert.ok(Math.abs((receipt.ttftMs ?? 0) - (usage.ttftMs ?? 0)) <= 0.1);
  assert.ok(Math.abs(receipt.latencyMs - usage.latencyMs) <= 0.1);
  assert.deepEqual([receipt.bodyBytes, receipt.maxTokens], [body.length, 70]);
  assert.equal(receipt.region, 'cellar');
  // 9 KB are eight whole blocks of 1 KiB: four pairs.
  assert.deepEqual([receipt.blocks.length, receipt.blockBytes], [4, 2048]);
  assert.equal(receipt.wait, null);
  const [attempt, ...more] = receipt.attempts;
  assert.ok(attempt);
  assert.equal(more.length, 0);
  assert.deepEqual([attempt.how, attempt.counted, attempt.end], ['scored', 1, 'served']);
  assert.deepEqual([attempt.agent.id, attempt.agent.name], [identity.agentId, 'desk-1']);
  assert.equal(attempt.agent.region, 'attic');
  assert.ok((attempt.firstByteMs ?? -1) >= 0);
  assert.deepEqual(receipt.out.counts, { not_asked: 1 });
  await harness.router.stop();
});

test('what is predicted, and of which parts, is lost on the way into bytes', async () => {
  const harness = await started();
  await harness.agent({ entry: own('desk-1'), slots: 4, script: echoes });
  await harness.agent({ entry: own('desk-2'), slots: 4, script: echoes });
  let last = '';
  for (let n = 0; n < 40; n += 1) {
    const { requestId, result } = harness.submit({ body: Buffer.alloc(400 + n, 'x') });
    await result;
    last = requestId;
  }
  const { attempts } = await receiptOf(harness, last);
  const [attempt] = attempts;
  assert.ok(attempt?.predicted);
  assert.ok(attempt.predicted.p90Ms >= attempt.predicted.ttftMs);
  assert.equal(attempt.candidates.length, 2);
  for (const candidate of attempt.candidates) {
    const { costMs, otherMs, aheadMs, ownMs, decodeMs, regionMs } = candidate;
    assert.ok(costMs !== null && otherMs !== null && aheadMs !== null && ownMs !== null);
    const sum = otherMs + aheadMs + ownMs + decodeMs + regionMs;
    assert.ok(Math.abs(sum - costMs) < 0.6, `${sum} for ${costMs}`);
    assert.ok(candidate.samples > 0);
  }
  await harness.router.stop();
});

test('an attempt that failed, or why it did, is missing', async () => {
  const harness = await started();
  const bad = await harness.agent({ entry: own('bad'), script: refuses('engine_failed') });
  const { requestId, result } = harness.submit();
  harness.enrol({ ...own('good'), id: '11111111-1111-4111-8111-111111111111' });
  await until(() => bad.agent.requests.length === 1);
  await harness.agent({ entry: own('better'), script: echoes });
  assert.equal((await result).outcome, 'completed');
  const { attempts } = await receiptOf(harness, requestId);
  const told = attempts.map(({ agent, end, how }) => [agent.name, end, how]);
  assert.deepEqual(told, [
    ['bad', 'engine_failed', 'scored'],
    ['better', 'served', 'turn'],
  ]);
  await harness.router.stop();
});

test('a stream that broke looks as if it had been served', async () => {
  const harness = await started();
  await harness.agent({ entry: own('bad'), script: diesAfter(eventOf('one')) });
  const { requestId, result } = harness.submit();
  assert.equal((await result).outcome, 'stream_error');
  const { attempts, outcome } = await receiptOf(harness, requestId);
  assert.equal(outcome, 'stream_error');
  assert.deepEqual(
    attempts.map(({ end, firstByteMs }) => [end, firstByteMs === null]),
    [['link_closed', false]],
  );
  await harness.router.stop();
});

test('who was out is missing in the receipt of a request that waited in vain', async () => {
  const clock = new FakeClock();
  const harness = await started({ clock });
  await harness.agent({ entry: own('busy'), script: saysNothing });
  harness.enrol({ ...own('away'), id: '22222222-2222-4222-8222-222222222222' });
  const stopped = { ...own('stopped'), state: 'suspended' } as const;
  harness.enrol({ ...stopped, id: '33333333-3333-4333-8333-333333333333' });
  const running = harness.submit();
  const waiting = harness.submit({}, { endpoint: { queueTimeoutMs: 2000 } });
  await until(() => harness.router.stats().waiting === 1);
  await clock.advanceAsync(2000);
  const ended = await waiting.result;
  assert.equal(ended.outcome, 'queue_timeout');
  assert.match(JSON.stringify(ended), / Agents: (?=.*1 suspended)(?=.*1 not active)(?=.*1 busy)/);
  const { out, attempts, queueMs } = await receiptOf(harness, waiting.requestId);
  assert.deepEqual([attempts.length, queueMs], [0, 2000]);
  assert.deepEqual(out.counts, { busy: 1, suspended: 1, not_active: 1 });
  assert.deepEqual(
    out.nearest.map(({ agent, reason }) => [agent.name, reason]),
    [
      ['busy', 'busy'],
      ['stopped', 'suspended'],
      ['away', 'not_active'],
    ],
  );
  running.client.hangUp();
  await clock.advanceAsync(20_000);
  await running.result;
  await harness.router.stop();
});
