/** Receipts of requests that waited, failed and went on, of a real router, as projects see them. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { ReceiptAnswer } from '../../api/control/requests.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { continues } from '../../testing/links/continuingAgent.ts';
import {
  diesAfter,
  echoes,
  eventOf,
  streams,
  type FakeRequest,
} from '../../testing/links/fakeAgent.ts';
import { able, bodyOf, dies } from '../../testing/router/resumedRequests.ts';
import {
  RouterHarness,
  settle,
  until,
  type LinkedAgent,
} from '../../testing/router/routerHarness.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import { receiptAnswer } from './receiptAnswer.ts';

const made: { harness: RouterHarness; held: FakeRequest[] }[] = [];
afterEach(async () => {
  for (const { harness, held } of made.splice(0)) {
    // Each may be tried once more.
    for (let left = held.splice(0); left.length > 0; left = held.splice(0)) {
      for (const { stream } of left) stream.reset('engine_failed');
      await settle();
    }
    await harness.router.stop();
  }
});

/** So many agents of the project with one slot each, that hold their requests. */
async function rig(agents: number, hedging = false) {
  const clock = new FakeClock();
  const harness = new RouterHarness({ clock, config: { hedging, tiers: unlimitedTiers() } });
  await harness.router.start();
  const held: FakeRequest[] = [];
  made.push({ harness, held });
  const hold = (request: FakeRequest): void => void held.push(request);
  for (let n = 1; n <= agents; n += 1) {
    await harness.agent({ entry: { name: `desk-${n}`, projectId: 'proj_a' }, script: hold });
  }
  const pass = async (ms: number): Promise<void> => {
    await clock.advanceAsync(ms);
    await settle();
  };
  const answer = async (request: FakeRequest | undefined): Promise<void> => {
    assert.ok(request);
    await echoes(request, undefined as never);
    await settle();
  };
  const fail = async (request: FakeRequest | undefined): Promise<void> => {
    request?.stream.reset('engine_failed');
    await settle();
  };
  const told = async (requestId: string): Promise<ReceiptAnswer> => {
    await settle();
    const found = await harness.router.receiptView.of(requestId);
    assert.ok(found);
    return receiptAnswer(found, null);
  };
  /** One for each agent, and one more. */
  const fill = async () => {
    for (let n = 0; n < agents; n += 1) harness.submit();
    await until(() => held.length === agents);
    return harness.submit();
  };
  return { harness, held, pass, answer, fail, told, fill };
}

test('what is waited after a failure counts as waited before the first agent', async () => {
  const { held, pass, answer, fail, told, fill } = await rig(2);
  const next = await fill();
  await pass(1000);
  await answer(held[0]);
  await pass(300);
  await fail(held[2]);
  await pass(3000);
  await answer(held[1]);
  await answer(held[3]);
  await next.result;
  const { why, queue_ms: queueMs, attempts } = await told(next.requestId);
  const [one, two] = attempts.map(({ agent }) => agent);
  assert.equal(
    why,
    `It waited 1.0 s until ${one} was free for it. It ended before its first byte: ` +
      `engine_failed. It waited 3.0 s more, then ${two} was tried.`,
  );
  assert.equal(queueMs, 4000);
});

test('a request that failed and then waited in vain does not say so', async () => {
  const { held, pass, fail, told, fill } = await rig(2);
  await fill();
  await pass(1000);
  await fail(held[0]);
  await pass(30_000);
  const receipt = await told(held[0]?.message.requestId ?? '');
  assert.deepEqual([receipt.outcome, receipt.state], ['queue_timeout', 'finished']);
  assert.match(receipt.why, / engine_failed\. Nobody else served it: queue_timeout after 29\.0 s/);
  assert.deepEqual(receipt.not_candidates.counts, { busy: 2 });
});

test('who waited for fallback was taken at once', async () => {
  const { harness, pass, told, fill } = await rig(1);
  await fill();
  await harness.agent({ entry: { name: 'pool' }, script: echoes });
  const fallback = { enabled: true, afterMs: 500, tier: null };
  const late = harness.submit({}, { endpoint: { fallback } });
  await pass(500);
  await late.result;
  const { why } = await told(late.requestId);
  assert.equal(why, 'It waited 500 ms. shared-1 was the only one that could take it then.');
});

test('a stream that nobody went on with counts as resumed', async () => {
  const { harness, pass, told } = await rig(0);
  const script = diesAfter(eventOf('Hello'));
  await harness.agent({ entry: { name: 'desk-1', projectId: 'proj_a' }, script });
  const body = Buffer.from('{"stream":true,"messages":[{"role":"user","content":"x"}]}');
  const broken = harness.submit({ body, resume: true });
  await pass(40_000);
  await broken.result;
  const { outcome, resumed, why } = await told(broken.requestId);
  assert.deepEqual([outcome, resumed], ['stream_error', 0]);
  assert.match(
    why,
    /in the middle of its answer: link_closed\. Nobody went on with it: stream_error/,
  );
});

test('nobody went on with an answer that is complete', async () => {
  const { harness, told } = await rig(0);
  // It has had all its tokens and lacks the end alone.
  const script = continues({ size: 1, chunks: 5, next: dies });
  const entry = { name: 'desk-1', projectId: 'proj_a' };
  await harness.agent({ entry, script, abilities: able });
  const body = bodyOf({ max_tokens: 5 }, 'hello world');
  const { result, requestId } = harness.submit({ body, resume: true, maxTokens: 5 });
  assert.equal((await result).outcome, 'completed');
  assert.match(
    (await told(requestId)).why,
    /its answer: link_closed\. Only its end was missing: the router completed it\.$/,
  );
});

test('an agent was told to stop before another one was asked beside it', async () => {
  for (const end of ['hedged', 'engine_failed'] as const) {
    const { harness, held, pass, fail, told } = await rig(0, true);
    const agents: LinkedAgent[] = [];
    for (const name of ['desk-1', 'desk-2']) {
      const entry = { name, projectId: 'proj_a' };
      agents.push(await harness.agent({ entry, script: streams('x'), slots: 4 }));
    }
    // So many that one may be asked twice.
    for (let n = 0; n < 60; n += 1) await harness.submit().result;
    for (const { agent } of agents) agent.script = (request) => void held.push(request);
    const { requestId, result } = harness.submit();
    await until(() => held.length === 1);
    await pass(750);
    const [late, quick] = held.splice(0);
    if (end === 'engine_failed') await fail(late);
    assert.ok(quick !== undefined);
    await streams('yes')(quick, undefined as never);
    await result;
    const { why, attempts } = await told(requestId);
    const [one, two] = attempts.map(({ agent }) => agent);
    const said =
      end === 'hedged'
        ? `${one} was told to stop: the other one was quicker.`
        : `${one} ended before its first byte: engine_failed.`;
    assert.ok(why.endsWith(` The first byte was late, and ${two} was asked, too. ${said}`), why);
  }
});
