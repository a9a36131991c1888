/** Links while the store cannot be read: what is not known yet is no reason to refuse anybody. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { newIdentity } from '../../testing/links/fakeAgent.ts';
import { RouterHarness, settle, until } from '../../testing/router/routerHarness.ts';
import { tokenKeysReadEveryMs } from '../limits.ts';

const made: RouterHarness[] = [];

async function harness(clock?: FakeClock): Promise<RouterHarness> {
  const one = new RouterHarness(clock === undefined ? {} : { clock });
  made.push(one);
  await one.router.start();
  return one;
}

afterEach(async () => {
  for (const { router } of made.splice(0)) await router.stop();
});

test('a refresh of the directory that could not read looks like one that did', async () => {
  const one = await harness();
  const { directory } = one.router;
  assert.equal(await directory.refresh(), 'read');
  one.ports.storeAway = true;
  const both = [directory.refresh(), directory.refresh()];
  assert.deepEqual(await Promise.all(both), ['failed', 'failed']);
  one.ports.storeAway = false;
  assert.equal(await directory.refresh(), 'read');
});

test('an agent is told that it is not enrolled while its enrolment cannot be read', async () => {
  const one = await harness();
  const agentId = '11111111-1111-4111-8111-111111111111';
  const accessToken = one.ports.token({ agentId, nowMs: one.clock.now() });
  const identity = newIdentity({ agentId, accessToken });
  one.ports.hints.clear();
  one.commitAgent(identity, {});
  one.ports.storeAway = true;
  const { agent } = one.link({ identity });
  await until(() => agent.closed !== undefined);
  assert.deepEqual(
    [agent.closed?.reason, agent.closed?.detail],
    ['closed_by_peer', 'the directory cannot be read now'],
  );
  one.ports.storeAway = false;
  const again = one.link({ identity }).agent;
  await until(() => again.isLinked);
});

test('a token whose key cannot be read ends a link that is good', async () => {
  const clock = new FakeClock();
  const one = await harness(clock);
  const { agent, identity } = await one.agent();
  await clock.advanceAsync(2 * tokenKeysReadEveryMs);
  one.ports.rotateTokenKey();
  one.ports.storeAway = true;
  const { agentId } = identity;
  // The second one comes while the keys are not read again.
  for (let n = 0; n < 2; n += 1) {
    const accessToken = one.ports.token({ agentId, nowMs: clock.now() });
    agent.peer.send({ type: 'token', accessToken });
    await settle();
  }
  assert.equal(agent.closed, undefined);
});

test('of two agents with a new key’s tokens the second is refused while it is read', async () => {
  const clock = new FakeClock();
  const one = await harness(clock);
  await clock.advanceAsync(2 * tokenKeysReadEveryMs);
  one.ports.rotateTokenKey();
  const { tokenKeys } = one.ports.directory;
  one.ports.directory.tokenKeys = async () => {
    await settle();
    return tokenKeys();
  };
  const agents = [one.link(), one.link()].map(({ agent }) => agent);
  await until(() => agents.every(({ isLinked, closed }) => isLinked || closed !== undefined));
  assert.deepEqual(
    agents.map(({ closed }) => closed),
    [undefined, undefined],
  );
});
