/** Where prompts with a common beginning go, through the real router and links. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { streams, type Script } from '../testing/links/fakeAgent.ts';
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
