/**
 * A storage limit from the API to the files and back: a real server, a real agent with a real model
 * cache, a hub and an engine on loopback.
 */
import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { openModelCache } from '../../src/agent/models/modelCache.ts';
import type { AgentAnswer, ChangedAgentAnswer } from '../../src/api/control/agents.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { seededRandom, systemRandom } from '../../src/lib/random.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { startFakeHub } from '../../src/testing/engines/fakeHub.ts';
import { openPlatformHarness } from '../../src/testing/http/httpHarness.ts';
import { startAgent, stateDirectory } from '../../src/testing/links/testAgent.ts';
import { until } from '../../src/testing/until.ts';

const sizes = { small: 1_500_000, large: 2_500_000 };

/** A project with two models from a hub, each with an endpoint, and an agent that serves both. */
async function openPlatform(t: TestContext) {
  const harness = await openPlatformHarness();
  const files = Object.entries(sizes).map(([name, size], at) => {
    const bytes = Buffer.concat([Buffer.from('GGUF'), seededRandom(at).bytes(size - 4)]);
    return { repo: 'acme/many', file: `${name}.gguf`, bytes };
  });
  const hub = await startFakeHub(files);
  const engine = await startFakeEngine({ models: Object.keys(sizes) });
  const dir = await stateDirectory(t);
  const opened = await openModelCache({
    dir,
    hubUrl: hub.url,
    allowedPaths: [],
    allowPrivateAddresses: false,
    python: null,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  });
  assert.ok(opened.kind === 'open');
  const call = async <Answer>(method: string, what: string, body?: object): Promise<Answer> => {
    const target = `/api/v1/projects/default/${what}`;
    const { managementKey: key } = harness.credentials;
    const reply = await harness.call(method, target, { key, body });
    assert.ok(reply.status < 300, reply.text);
    return reply.json as Answer;
  };
  for (const name of Object.keys(sizes)) {
    const source = `hf:acme/many:${name}.gguf`;
    const model = await call<{ id: string }>('POST', 'models', { name, source });
    const tier = 'self_hosted';
    await call('POST', 'endpoints', { slug: name, tier, model_id: model.id });
  }
  // What the first start made is not on this hub.
  await call('PATCH', 'endpoints/own', { active: false });
  const joinKey = await harness.joinKey();
  const stateDir = await stateDirectory(t);
  const urls = { serverUrl: harness.base, engineUrl: engine.url };
  const agent = startAgent(t, { ...urls, stateDir, joinKey, models: opened.cache });
  t.after(async () => {
    await agent.stop();
    await opened.cache.close();
    await harness.close();
    await engine.close();
    await hub.close();
  });
  return { harness, call, dir };
}

/** Sizes of the models' files. */
async function filesIn(dir: string): Promise<number[]> {
  const blobs = path.join(dir, 'blobs');
  const names = await readdir(blobs);
  return Promise.all(names.map(async (name) => (await stat(path.join(blobs, name))).size));
}

test('a limit is acknowledged, and the files stay; or what is in use goes', async (t) => {
  const { call, dir } = await openPlatform(t);
  const only = async (): Promise<AgentAnswer> => {
    const { data } = await call<{ data: AgentAnswer[] }>('GET', 'agents');
    assert.ok(data[0] !== undefined);
    return data[0];
  };
  const ready = async (...names: string[]): Promise<void> => {
    await until(async () => {
      const { models } = await only();
      const loaded = models.filter(({ state }) => state === 'ready').map(({ name }) => name);
      return names.every((name) => loaded.includes(name));
    });
  };
  await until(async () => (await call<{ data: unknown[] }>('GET', 'agents')).data.length === 1);
  await ready('small', 'large');
  assert.deepEqual(
    (await filesIn(dir)).toSorted((one, other) => one - other),
    [sizes.small, sizes.large],
  );
  await call('DELETE', 'endpoints/large');
  await until(async () => (await only()).models.every(({ name }) => name !== 'large'));
  assert.equal((await filesIn(dir)).length, 2, 'an idle file stays while there is room');

  const { id } = await only();
  const limit = 1_000_000;
  const wish = { storage_limit_bytes: limit };
  const changed = await call<ChangedAgentAnswer>('PATCH', `agents/${id}`, wish);
  assert.deepEqual(await filesIn(dir), [sizes.small]);
  const { storage, warnings } = changed;
  assert.deepEqual(
    [storage?.up_to_date, storage?.limit_bytes, storage?.evicted_bytes, storage?.used_bytes],
    [true, limit, sizes.large, sizes.small],
  );
  assert.equal(storage?.over_bytes, sizes.small - limit);
  assert.deepEqual(
    storage?.in_use.map(({ model, bytes }) => [model, bytes]),
    [['small', sizes.small]],
  );
  assert.match(warnings.join(), /500000 more than 1000000: in use.*small/);

  // Without another word of anybody's, once nothing uses it.
  await call('DELETE', 'endpoints/small');
  await until(async () => (await only()).storage?.used_bytes === 0);
  assert.deepEqual(await filesIn(dir), []);
});
