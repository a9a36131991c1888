/** Processes that are told to stop, or whose parent is killed, while something holds them. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { oldNode } from '../../src/testing/processes/oldNode.ts';
import {
  childrenOf,
  endLeftovers,
  isAlive,
  repository,
  startProcess,
  until,
} from '../../src/testing/processes/processes.ts';
import type { RunningProcess } from '../../src/testing/processes/processes.ts';
import { spawnServer, temporaryDirectory } from '../../src/testing/processes/serverProcess.ts';
import type { ReadyLine } from '../../src/testing/processes/serverProcess.ts';
import { systemBinary } from '../../src/testing/processes/systemBinary.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;

before(async () => {
  base = await temporaryDirectory('endings');
});
after(async () => {
  endLeftovers();
  await base.remove();
});

/** From the signal to the end, in ms. */
async function endedAfterMs(running: RunningProcess, signal: NodeJS.Signals): Promise<number> {
  const startedAtMs = performance.now();
  await running.end(signal);
  return performance.now() - startedAtMs;
}

/** A name server that takes every question and answers none. */
async function silentNameServer(address: string): Promise<{ socket: Socket; asked: () => number }> {
  const socket = createSocket('udp4');
  let asked = 0;
  socket.on('message', () => (asked += 1));
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(53, address, resolve);
  });
  return { socket, asked: () => asked };
}

test('a look-up of a name that nobody answers holds what was told to stop', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('a name server of its own needs root');
  const unshare = systemBinary({ names: ['unshare'], debianPackage: 'util-linux' });
  if (unshare.kind === 'missing') return t.skip(unshare.reason);
  const address = `127.53.${process.pid % 250}.1`;
  const { socket, asked } = await silentNameServer(address);
  t.after(() => socket.close());
  const resolv = path.join(base.path, 'resolv.conf');
  await writeFile(resolv, `nameserver ${address}\n`);
  const start = (entry: string, args: readonly string[], env = {}): RunningProcess => {
    const mounted = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
    const command = [process.execPath, path.join(repository, 'src', 'main', entry), ...args];
    return startProcess(unshare.path, ['-m', 'sh', '-c', mounted, resolv, ...command], { env });
  };
  const looksUp = async (): Promise<void> => {
    const before = asked();
    await until(() => asked() > before, { what: 'a question to the name server' });
  };

  const stateDir = ['--state-dir', path.join(base.path, 'state')];
  const engine = ['--engine-url', 'http://127.0.0.1:1'];
  const server = ['--server', 'https://xim.example.com:8080'];
  const XIM_JOIN_KEY = `xjk_${'0'.repeat(26)}_${'A'.repeat(43)}`;
  const agent = start('agent.ts', [...server, ...stateDir, ...engine], { XIM_JOIN_KEY });
  await looksUp();
  const agentMs = await endedAfterMs(agent, 'SIGINT');
  assert.ok(agentMs < 4_000, `the agent ended after ${agentMs} ms`);

  const dataDir = ['--data-dir', path.join(base.path, 'lookup'), '--port', '0'];
  const serving = start('serve.ts', [...dataDir, '--engine-url', 'http://engine.example.com']);
  await looksUp();
  const serverMs = await endedAfterMs(serving, 'SIGINT');
  assert.ok(serverMs < 4_000, `the server ended after ${serverMs} ms`);
});

test('an engine that says nothing holds a start that was told to stop', async (t) => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const engine = net.createServer((socket) => socket.once('data', () => resolve()));
  await new Promise<void>((listening) => engine.listen(0, '127.0.0.1', listening));
  t.after(() => engine.close());
  const { port } = engine.address() as AddressInfo;
  const args = ['--engine-url', `http://127.0.0.1:${port}`];
  const running = spawnServer({ dataDir: path.join(base.path, 'engine'), args });
  await asked;
  const startedAtMs = performance.now();
  assert.equal(await running.end('SIGINT'), 0, running.err());
  assert.ok(performance.now() - startedAtMs < 3_000);
  assert.doesNotMatch(running.err(), /names no model yet/);
});

test('a server that outlives the old Node which started it', async (t) => {
  const node = oldNode();
  if (node.kind === 'missing') return t.skip(node.reason);
  const xim = path.join(repository, 'bin', 'xim');
  const where = ['--data-dir', path.join(base.path, 'old'), '--port', '0', '--json'];
  const launcher = startProcess(node.path, [xim, 'serve', '--no-agent', ...where]);
  const [line] = await launcher.seen(/^\{"ready".*\}$/m);
  const { pid } = JSON.parse(line) as ReadyLine;
  assert.deepEqual(childrenOf(launcher.pid), [pid]);
  assert.equal(await launcher.end('SIGKILL'), 'SIGKILL');
  await until(() => !isAlive(pid), { what: 'the server to end', timeoutMs: 10_000 });
});

test('an agent that outlives the old Node which started it', async (t) => {
  const node = oldNode();
  if (node.kind === 'missing') return t.skip(node.reason);
  const xim = path.join(repository, 'bin', 'xim');
  const engine = ['--engine-url', 'http://127.0.0.1:1'];
  const where = ['--server', 'http://127.0.0.1:1', '--state-dir', path.join(base.path, 'lonely')];
  const XIM_JOIN_KEY = `xjk_${'0'.repeat(26)}_${'A'.repeat(43)}`;
  const launcher = startProcess(node.path, [xim, 'agent', ...where, ...engine], {
    env: { XIM_JOIN_KEY },
  });
  await launcher.seen(/not reachable/);
  const [agent = 0] = childrenOf(launcher.pid);
  await launcher.end('SIGKILL');
  await until(() => !isAlive(agent), { what: 'the agent to end', timeoutMs: 10_000 });
});

test('processes whose log nobody reads any more do not end, or not in order', async () => {
  const dataDir = path.join(base.path, 'unread');
  const level = ['--log-level', 'info'];
  const server = spawnServer({ dataDir, args: ['--no-agent', ...level] });
  await server.seen(/^\{"ready".*\}$/m);
  const XIM_JOIN_KEY = `xjk_${'0'.repeat(26)}_${'A'.repeat(43)}`;
  const where = ['--server', 'http://127.0.0.1:1', '--state-dir', path.join(base.path, 'mute')];
  const entry = path.join(repository, 'src', 'main', 'agent.ts');
  const args = [entry, ...where, '--engine-url', 'http://127.0.0.1:1', ...level];
  const agent = startProcess(process.execPath, args, { env: { XIM_JOIN_KEY } });
  await agent.seen(/not reachable/);
  for (const running of [server, agent]) {
    running.child.stderr?.destroy();
    const tookMs = await endedAfterMs(running, 'SIGTERM');
    assert.equal(await running.exited, 0);
    assert.ok(tookMs < 4_000, `${tookMs} ms`);
  }
});
