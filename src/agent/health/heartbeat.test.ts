/** What a real agent with a real engine adapter says of itself over a real link. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { HeartbeatMessage } from '../../protocol/messages/agentControl.ts';
import { startFakeEngine, type FakeEngineOptions } from '../../testing/engines/fakeEngine.ts';
import { FakeServer } from '../../testing/links/fakeServer.ts';
import { answered } from '../../testing/links/fakeServerLink.ts';
import { startAgent, stateDirectory } from '../../testing/links/testAgent.ts';
import { until } from '../../testing/until.ts';

const hello = { messages: [{ role: 'user', content: 'hello' }] };

async function serving(t: TestContext, engineOptions: FakeEngineOptions) {
  const server = await new FakeServer().start();
  const engine = await startFakeEngine(engineOptions);
  const stateDir = await stateDirectory(t);
  const { joinKey } = server;
  startAgent(t, { serverUrl: server.url, engineUrl: engine.url, stateDir, joinKey });
  t.after(async () => {
    await server.stop();
    await engine.close();
  });
  await until(() => server.links.length === 1);
  await server.link.ready();
  /** The first heartbeat for which it holds. */
  const heartbeat = async (
    holds: (message: HeartbeatMessage) => boolean,
  ): Promise<HeartbeatMessage> => {
    const fitting = (): HeartbeatMessage | undefined => server.link.all('heartbeat').find(holds);
    await until(() => fitting() !== undefined, { timeoutMs: 20_000 });
    return fitting() as HeartbeatMessage;
  };
  return { server, engine, heartbeat };
}

for (const dialect of ['vllm', 'llama'] as const) {
  test(`what ${dialect} says of itself does not reach the server`, async (t) => {
    const { server, heartbeat } = await serving(t, { dialect, tickMs: 20, chunks: 100_000 });
    server.link.open(hello);
    const { load, engines } = await heartbeat(
      (message) => message.load?.running === 1 && (message.engines[0]?.tokensPerSecond ?? 0) > 0,
    );
    assert.deepEqual(load, { slots: 4, running: 1, waiting: 0 });
    const [engine] = engines;
    assert.deepEqual([engine?.running, engine?.queued, engine?.kvCacheUse], [1, 3, 0.25]);
    // One token every 20 ms, as the engine counts them.
    const { tokensPerSecond = 0 } = engine ?? {};
    assert.ok(tokensPerSecond > 10 && tokensPerSecond < 70, String(tokensPerSecond));
    assert.ok(Object.keys(engine?.metrics ?? {}).some((name) => name.includes(':')));
  });
}

test('an engine without numbers has none, or those of the machine are missing', async (t) => {
  const { server, heartbeat } = await serving(t, { dialect: 'ollama', chunks: 600 });
  await answered(server.link.open(hello));
  const message = await heartbeat(({ engines }) => engines[0]?.tokensPerSecond !== undefined);
  const [engine] = message.engines;
  assert.equal(engine?.tokensPerSecond, 10, 'the tokens of the last minute’s answers');
  assert.deepEqual([engine?.queued, engine?.kvCacheUse, engine?.metrics], Array(3).fill(undefined));
  const { diskFreeBytes = 0, diskTotalBytes = 0, memoryTotalBytes = 0 } = message;
  assert.ok(diskFreeBytes > 0 && diskTotalBytes >= diskFreeBytes);
  assert.ok(memoryTotalBytes > (message.memoryAvailableBytes ?? Infinity));
  assert.equal(message.storage, undefined, 'there is no cache whose limit could be over');
});

test('numbers of an engine that is gone are said again and again', async (t) => {
  const { engine, heartbeat } = await serving(t, {});
  await heartbeat(({ engines }) => engines[0]?.queued === 3);
  await engine.close();
  await heartbeat(({ engines }) => engines.length === 0);
});
