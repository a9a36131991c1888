/** Limits of projects through the real router, the real mux and fake agents. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import fc from 'fast-check';
import { tierTable, type TierOverride } from '../domain/tiers/tiers.ts';
import { answers, saysNothing, stalls, streams, type Script } from '../testing/links/fakeAgent.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { RouterHarness, settle, until } from '../testing/router/routerHarness.ts';

const made: RouterHarness[] = [];

async function harness(limits: TierOverride, clock?: FakeClock): Promise<RouterHarness> {
  const tiers = tierTable({ cpu_amd_optimized: limits });
  const one = new RouterHarness({ config: { tiers }, ...(clock === undefined ? {} : { clock }) });
  made.push(one);
  await one.router.start();
  return one;
}

afterEach(async () => {
  for (const { router, ports } of made.splice(0)) {
    await until(() => router.audit().requests === 0 && router.audit().openAttempts === 0);
    const { claims, inFlight, reserved } = router.audit();
    assert.deepEqual({ claims, inFlight, reserved }, { claims: 0, inFlight: 0, reserved: 0 });
    await router.stop();
    const ended = Object.values(router.stats().outcomes).reduce((sum, count) => sum + count, 0);
    assert.equal(ports.usageRecords.length, ended, 'a request without its record');
  }
});

test('a stream leaves without what is left of the limits', async () => {
  const one = await harness({ requestsPerMinute: 10, tokensPerMinute: 1000 }, new FakeClock());
  const linking = one.agent({ script: streams('x') });
  const clock = one.clock as FakeClock;
  await clock.advanceAsync(10);
  await linking;
  const { client, result } = one.submit({ maxTokens: 96 });
  await clock.advanceAsync(10);
  await result;
  const rates = Object.entries(client.headers).filter(([name]) => name.startsWith('x-ratelimit'));
  assert.deepEqual(Object.fromEntries(rates), {
    'x-ratelimit-limit-requests': '10',
    'x-ratelimit-remaining-requests': '14',
    'x-ratelimit-reset-requests': '6s',
    'x-ratelimit-limit-tokens': '1000',
    'x-ratelimit-remaining-tokens': '1400',
    'x-ratelimit-reset-tokens': '6s',
  });
});

test('a burst of 64 gets past a limit, or its refusals say nothing', async () => {
  const clock = new FakeClock();
  const one = await harness({ requestsPerMinute: 8, concurrentPerProject: 64 }, clock);
  const linking = one.agent({ script: saysNothing, slots: 64 });
  await clock.advanceAsync(10);
  const { agent } = await linking;
  const calls = Array.from({ length: 64 }, () => one.submit());
  await clock.advanceAsync(10);
  assert.equal(agent.requests.length, 12);
  for (const { client } of calls.slice(0, 12)) client.hangUp();
  const refusals = [];
  for (const { result } of calls.slice(12)) refusals.push(await result);
  for (const { outcome, answered, refusal, rateHeaders } of refusals) {
    assert.deepEqual([outcome, answered], ['rate_limit_exceeded', false]);
    assert.equal(refusal?.name, 'rate_limited_requests');
    assert.equal(refusal?.retryAfterMs, 7500);
    assert.deepEqual(refusal?.extra, {
      expected_wait_ms: 7500,
      limit: {
        name: 'requests_per_minute',
        value: 8,
        used: 8,
        resets: new Date(clock.now() - 10 + 7500).toISOString(),
      },
    });
    assert.equal(rateHeaders?.['x-ratelimit-remaining-requests'], '0');
    assert.equal(rateHeaders?.['x-ratelimit-reset-requests'], '1m30s');
  }
  await clock.advanceAsync(11_000);
});

test('a request over the whole bucket is told to try again', async () => {
  const one = await harness({ tokensPerMinute: 100 });
  await one.agent({ script: answers('{}') });
  const { refusal, outcome } = await one.submit({ body: Buffer.alloc(4_000) }).result;
  assert.equal(outcome, 'rate_limit_exceeded');
  assert.deepEqual([refusal?.name, refusal?.shouldRetry], ['rate_limited_tokens', false]);
  assert.equal(refusal?.retryAfterMs, undefined);
  assert.match(refusal?.message ?? '', /needs about 1001 tokens.*tokens_per_minute = 100.* 150\./);
});

test('what the engine counted is not what the limit counts', async () => {
  const one = await harness({ tokensPerMinute: 100_000 });
  const { agent } = await one.agent({ script: answers('{}') });
  const refuses = answers('{"error":{}}', 400);
  const remaining = (headers: Record<string, string>): number =>
    Number(headers['x-ratelimit-remaining-tokens']);
  await one.submit({ maxTokens: 100 }).result;
  const first = one.submit({ maxTokens: 100 });
  await first.result;
  // 104 are set aside for the second, 8 were used by the first; a little is earned meanwhile.
  assert.ok(remaining(first.client.headers) >= 150_000 - 8 - 104);
  agent.script = refuses;
  for (let at = 0; at < 5; at += 1) await one.submit({ maxTokens: 10_000 }).result;
  const last = one.submit({ maxTokens: 1 });
  await last.result;
  assert.ok(remaining(last.client.headers) > 140_000, 'a refusal by the engine has used none');
});

test('a request that is over the concurrency of its project takes a slot', async () => {
  const one = await harness({ concurrentPerProject: 2 });
  const { agent } = await one.agent({ script: saysNothing, slots: 10 });
  const calls = [one.submit(), one.submit(), one.submit()];
  const { outcome, refusal } = (await calls[2]?.result) ?? {};
  assert.equal(outcome, 'concurrency_exceeded');
  assert.equal(refusal?.name, 'concurrency_exceeded');
  assert.deepEqual(refusal?.extra, {
    // Nothing has ended yet, so nobody knows how long they take.
    expected_wait_ms: null,
    limit: { name: 'concurrent_requests', value: 2, used: 2, resets: null },
  });
  await until(() => agent.requests.length === 2);
  for (const { client } of calls) client.hangUp();
});

/** How a request is broken off: in which phase, and whether its engine says what it used. */
const abort = fc.record({
  phase: fc.constantFrom('queued', 'first_byte', 'streaming', 'piece', 'ended', 'agent_dies'),
  usage: fc.boolean(),
});

test('L1 some abort, in some phase, leaves something set aside', async () => {
  const scripts: Record<string, Script> = {
    first_byte: saysNothing,
    streaming: stalls('one'),
    piece: saysNothing,
    ended: streams('x'),
    agent_dies: (_request, agent) => agent.kill(),
  };
  await fc.assert(
    fc.asyncProperty(fc.array(abort, { minLength: 1, maxLength: 8 }), async (aborts) => {
      const one = await harness({ tokensPerMinute: 100_000, concurrentPerProject: 5 });
      const linked = await one.agent({ slots: 3, script: saysNothing });
      const script: Script = (request, agent) => {
        const { phase, usage } = aborts[Number(request.message.requestId.slice(4)) - 1] ?? {};
        if (usage === true) {
          request.whenReset(() => {
            request.finish({ usage: { input: 3, cached: 0, output: 1 } });
          });
        }
        return scripts[phase ?? 'ended']?.(request, agent);
      };
      linked.agent.script = script;
      const calls = aborts.map(({ phase }) => one.submit({ stream: phase !== 'piece' }));
      await settle();
      for (const { client } of calls) client.hangUp();
      if (one.router.agents().length === 0) await one.agent({ slots: 3, script });
      await Promise.all(calls.map(({ result }) => result));
      await until(() => one.router.audit().openAttempts === 0);
      assert.deepEqual(one.router.audit().reserved, 0);
    }),
    { numRuns: 40 },
  );
});
