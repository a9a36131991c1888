/** Where prompts with a common beginning go, through the real router and links. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import {
  refuses,
  streams,
  type FakeAgentOptions,
  type FakeRequest,
  type Script,
} from '../testing/links/fakeAgent.ts';
import { readMetrics } from '../testing/router/readMetrics.ts';
import { RouterHarness, until } from '../testing/router/routerHarness.ts';

let one: RouterHarness;
afterEach(async () => {
  await until(() => one.router.audit().requests === 0);
  await one.router.stop();
});

test('a conversation wanders from machine to machine, away from what is cached', async () => {
  one = new RouterHarness();
  await one.router.start();
  for (const name of ['a', 'b', 'c', 'd']) {
    await one.agent({ entry: { projectId: 'proj_a', name }, script: streams('hello') });
  }
  const servedBy = async (turns: number, by: string): Promise<string> => {
    const content = Array.from({ length: turns * 400 }, (_none, at) => `${by}${at} `).join('');
    const body = Buffer.from(JSON.stringify({ messages: [{ role: 'user', content }] }));
    const { client, result } = one.submit({ body });
    assert.equal((await result).outcome, 'completed');
    return String(client.headers['x-xim-agent']);
  };
  // What computes nothing is as fast everywhere, as soon as that is known: a few requests only.
  const first = await servedBy(2, 'x');
  for (const turns of [3, 4, 5]) assert.equal(await servedBy(turns, 'x'), first);
});

test('an engine is given more than its memory takes, although it said what that is', async () => {
  one = new RouterHarness();
  await one.router.start();
  const open: (() => void)[] = [];
  const script: Script = async (request, agent) => {
    await new Promise<void>((resolve) => open.push(resolve));
    await streams('hello')(request, agent);
  };
  const { agent } = await one.agent({ slots: 8, script });
  const abilities = ['chat'];
  const instance = { instance: 'small', modelId: 'model_a', slots: 8, engine: 'fake', abilities };
  agent.grant([{ ...instance, holdsTokens: 4000 }]);
  await until(() => one.router.agents()[0]?.instances[0]?.instance === 'small');
  // Two thousand tokens each, with their answers.
  const body = Buffer.from(
    JSON.stringify({ messages: [{ role: 'user', content: 'a'.repeat(7000) }] }),
  );
  const all = [1, 2, 3].map(() => one.submit({ body }));
  await until(() => open.length === 1);
  assert.equal(one.router.stats().waiting, 2);
  for (const [at, { result }] of all.entries()) {
    await until(() => open.length > at);
    open[at]?.();
    assert.equal((await result).outcome, 'completed');
  }
});

type Behaviour = Pick<FakeAgentOptions, 'script' | 'onRequest'>;

/**
 * Blocks that somebody is taken to hold after one request that this agent alone may serve. `leave`:
 * the client hangs up.
 */
async function blocksAfter(
  agent: Behaviour | ((leave: () => void) => Behaviour),
  bodyBytes: number,
): Promise<number> {
  one = new RouterHarness();
  await one.router.start();
  const own = { projectId: 'proj_a' };
  const behaviour = typeof agent === 'function' ? agent(() => client.hangUp()) : agent;
  const linked = await one.agent({ entry: own, ...behaviour });
  const content = 'a'.repeat(bodyBytes);
  const body = Buffer.from(JSON.stringify({ messages: [{ role: 'user', content }] }));
  const { client, result } = one.submit({ body });
  // Where another one may still come, it waits for that.
  await until(() => linked.agent.requests.length > 0 && one.router.audit().claims === 0);
  client.onClientClosed?.();
  await result;
  const family = readMetrics(one.router.metrics()).get('xim_prefix_blocks');
  await one.router.stop();
  return family?.samples[0]?.value ?? NaN;
}

test('an agent that turned a prompt away is taken to hold it', async () => {
  for (const code of ['not_granted', 'unknown_instance', 'body_too_large', 'refused'] as const) {
    assert.deepEqual([code, await blocksAfter({ script: refuses(code) }, 40_000)], [code, 0]);
  }
  // The link breaks while the body is on its way: no engine begins without the end of it.
  const breaks: FakeAgentOptions['onRequest'] = (_request, agent) => agent.kill();
  assert.equal(await blocksAfter({ onRequest: breaks }, 4 * 1024 * 1024), 0);
});

test('a prompt that an engine may have computed is taken for gone with its answer', async () => {
  const broken: Script[] = [
    refuses('engine_failed'),
    refuses('internal'),
    // It had the whole of it.
    (_request, agent) => agent.kill(),
    (request) => {
      request.streamHead();
      request.stream.reset('refused');
    },
  ];
  for (const script of broken) assert.ok((await blocksAfter({ script }, 40_000)) > 0);
});

/** Its client leaves when it has the whole prompt, and it confirms the order to stop like this. */
const stopped =
  (confirm: (request: FakeRequest) => void, begin: (request: FakeRequest) => void = () => {}) =>
  (leave: () => void): Behaviour => ({
    script: (request) => {
      request.whenReset(() => confirm(request));
      begin(request);
      leave();
    },
  });
const confirmsByEnd = (request: FakeRequest): void =>
  request.finish({ outcome: 'cancelled', usage: undefined });

test('an agent that was stopped before an engine had the prompt is taken to hold it', async () => {
  // What it says where no engine had it, and what may cross the order to stop.
  for (const code of ['cancelled', 'not_granted', 'unknown_instance', 'refused'] as const) {
    const behaviour = stopped(({ stream }) => stream.reset(code));
    assert.deepEqual([code, await blocksAfter(behaviour, 40_000)], [code, 0]);
  }
  // The rest of the body never leaves.
  const onItsWay = (leave: () => void): Behaviour => ({
    onRequest: (request) => {
      request.whenReset(() => confirmsByEnd(request));
      leave();
    },
  });
  assert.equal(await blocksAfter(onItsWay, 4 * 1024 * 1024), 0);
});

test('a prompt is taken for gone that an engine may have had when it was stopped', async () => {
  const behaviours = [
    stopped(confirmsByEnd),
    stopped(({ stream }) => stream.reset('engine_failed')),
    stopped(
      ({ stream }) => stream.reset('cancelled'),
      (request) => request.streamHead(),
    ),
  ];
  for (const behaviour of behaviours) assert.ok((await blocksAfter(behaviour, 40_000)) > 0);
});
