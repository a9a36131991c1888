/** Where prompts with a common beginning go, through the real router and links. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { streams } from '../testing/links/fakeAgent.ts';
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
