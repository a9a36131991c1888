/** Log lines on a real link: in order, counted, and never in the way of requests. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import type { LogMessage } from '../../protocol/messages/agentControl.ts';
import { startFakeEngine } from '../../testing/engines/fakeEngine.ts';
import { FakeServer } from '../../testing/links/fakeServer.ts';
import { answered } from '../../testing/links/fakeServerLink.ts';
import { startAgent, stateDirectory, type TestAgent } from '../../testing/links/testAgent.ts';
import { until } from '../../testing/until.ts';
import { logFlushIntervalMs, logRate, maxKeptLogLines } from '../limits.ts';

/** A network between agent and server that can stop. */
async function openNetwork(t: TestContext, port: number) {
  const sockets = new Set<net.Socket>();
  const network = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {}).setNoDelay(true);
    }
    near.pipe(far).pipe(near);
  });
  network.listen(0, '127.0.0.1');
  await once(network, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    network.close();
  });
  return {
    url: `http://127.0.0.1:${(network.address() as AddressInfo).port}`,
    stop: () => sockets.forEach((socket) => socket.pause()),
    go: () => sockets.forEach((socket) => socket.resume()),
  };
}

async function serving(t: TestContext) {
  const server = await new FakeServer().start();
  const engine = await startFakeEngine({ padding: 'x'.repeat(200) });
  const network = await openNetwork(t, server.port);
  const { joinKey } = server;
  const stateDir = await stateDirectory(t);
  const urls = { serverUrl: network.url, engineUrl: engine.url };
  const agent: TestAgent = startAgent(t, { ...urls, stateDir, joinKey, slots: 64 });
  t.after(async () => {
    await server.stop();
    await engine.close();
  });
  await until(() => server.links.length === 1);
  await server.link.ready();
  const engineLines = (): LogMessage['lines'] =>
    server.link
      .all('log')
      .flatMap(({ lines }) => lines)
      .filter(({ source }) => source === 'engine');
  return { server, engine, network, agent, engineLines };
}

const order = (what: object): object => ({
  messages: [{ role: 'user', content: `fake:${JSON.stringify(what)}` }],
});
const passed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('an engine’s lines come late or out of order', async (t) => {
  const { agent, engineLines } = await serving(t);
  const startedAtMs = performance.now();
  for (let n = 0; n < 500; n += 1) agent.engineLine('info', `line ${n}`);
  await until(() => engineLines().length === 500);
  assert.ok(performance.now() - startedAtMs < 3_000);
  assert.deepEqual(
    engineLines().map(({ text }) => text),
    Array.from({ length: 500 }, (_none, n) => `line ${n}`),
  );
});

test('log lines go before the answers that wait for a slow network', async (t) => {
  const { server, engine, network, agent, engineLines } = await serving(t);
  network.stop();
  // Each fits into its stream's credit; together they are more than the buffers on the way hold.
  const answers = Array.from({ length: 64 }, () => server.link.open(order({ chunks: 400 })));
  network.go();
  await until(() => engine.stats().started === 64);
  network.stop();
  await until(() => engine.stats().completed === 64);
  for (let n = 0; n < 50; n += 1) agent.engineLine('info', `line ${n}`);
  await passed(5 * logFlushIntervalMs);
  assert.equal(engineLines().length, 0);
  const ended = (): number => answers.filter(({ ends }) => ends.length === 1).length;
  assert.ok(ended() < 64, 'nothing waited');
  let endedBefore: number | undefined;
  const { said } = server.link;
  const note = said.push.bind(said);
  said.push = (...messages) => {
    if (messages.some(({ type }) => type === 'log')) endedBefore ??= ended();
    return note(...messages);
  };
  network.go();
  await until(() => engineLines().length > 0);
  assert.equal(endedBefore, 64);
});

test('an engine that writes a million lines takes the link, or hides how many', async (t) => {
  const { server, agent, engineLines } = await serving(t);
  const startedAtMs = performance.now();
  const written = 1_000_000;
  for (let n = 0; n < written; n += 1) agent.engineLine('warn', `line ${n}`);
  const answer = server.link.open(order({ chunks: 3 }));
  await answered(answer);
  assert.equal(answer.ends[0]?.outcome, 'completed');
  await until(() => engineLines().at(-1)?.text === `line ${written - 1}`);
  const seconds = (performance.now() - startedAtMs) / 1000;
  const messages = server.link.all('log');
  const dropped = messages.reduce((sum, message) => sum + message.dropped, 0);
  assert.equal(dropped + engineLines().length, written + agentsOwn(messages));
  assert.ok(engineLines().length <= maxKeptLogLines);
  const bytes = messages.reduce((sum, message) => sum + JSON.stringify(message).length, 0);
  assert.ok(bytes <= logRate.burst + logRate.perSecond * seconds + 64 * 1024);
});

/** Lines of the agent itself that were dropped with those of the engine. */
function agentsOwn(messages: readonly LogMessage[]): number {
  const first = messages.findIndex(({ dropped }) => dropped > 0);
  const seen = messages.slice(0, first).flatMap(({ lines }) => lines);
  return seen.length === 0 ? ownLinesAtStart : 0;
}

/** `linked`, `engine attached`: what an agent says before it serves. */
const ownLinesAtStart = 2;
