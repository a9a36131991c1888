/** The ways in: npm scripts and `bin/xim`, from whatever Node is at hand. */
import assert from 'node:assert/strict';
import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createJoinKey } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import {
  childrenOf,
  endLeftovers,
  isAlive,
  repository,
  startProcess,
  until,
} from '../../src/testing/processes/processes.ts';
import { oldNode } from '../../src/testing/processes/oldNode.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ReadyLine } from '../../src/testing/processes/serverProcess.ts';

const xim = path.join(repository, 'bin', 'xim');
let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;

before(async () => {
  base = await temporaryDirectory('launch');
  engine = await startFakeEngine();
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

const flags = (name: string): string[] => {
  const dataDir = path.join(base.path, name);
  return ['--port', '0', '--json', '--data-dir', dataDir, '--engine-url', engine.url];
};

/** Every process below one, itself included. */
function tree(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(tree)];
}

test('npm start that prints more than its line, or leaves processes behind', async () => {
  const args = ['start', '--silent', '--', ...flags('npm')];
  const running = startProcess('npm', args, { group: true });
  await running.seen(/^\{"ready".*\}$/m);
  const lines = running.out().trim().split('\n');
  assert.equal(lines.length, 1);
  const { pid } = JSON.parse(lines[0] ?? '') as ReadyLine;
  const all = tree(running.pid);
  assert.ok(all.includes(pid));
  const startedAtMs = performance.now();
  // As a terminal does it: to the whole group, and npm passes it on once more.
  await running.end('SIGINT');
  assert.ok(performance.now() - startedAtMs < 5_000);
  await until(() => !all.some(isAlive), { what: 'every process to end', timeoutMs: 5_000 });
});

test('SIGTERM to npm that reaches nobody, or cuts a stream without a last word', async () => {
  engine.set({ chunks: 10_000, tickMs: 10 });
  const args = ['start', '--silent', '--', ...flags('term')];
  const running = startProcess('npm', args, { group: true });
  const [line] = await running.seen(/^\{"ready".*\}$/m);
  const ready = JSON.parse(line) as ReadyLine;
  const all = tree(running.pid);
  const response = await fetch(`${ready.base_url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ready.api_key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ stream: true, messages: [{ role: 'user', content: 'hello' }] }),
  });
  assert.equal(response.status, 200);
  const startedAtMs = performance.now();
  running.child.kill('SIGTERM');
  const events = (await response.text()).trim().split('\n\n');
  assert.equal(events.at(-1), 'data: [DONE]');
  assert.match(events.at(-2) ?? '', /^data: \{"error":/);
  await until(() => !all.some(isAlive), { what: 'every process to end', timeoutMs: 5_000 });
  assert.ok(performance.now() - startedAtMs < 5_000);
});

test('an old Node that cannot start a checkout, or keeps its signals to itself', async (t) => {
  const node = oldNode();
  if (node.kind === 'missing') return t.skip(node.reason);
  const version = startProcess(node.path, [xim, 'version']);
  assert.equal(await version.exited, 0, version.err());
  assert.match(version.out(), /^\d+\.\d+\.\d+\n$/);
  // As a program of its own, also through the link that npm makes: the shell reads its first line.
  const link = path.join(base.path, 'xim');
  await symlink(xim, link);
  const itself = startProcess(link, ['version']);
  assert.equal(await itself.exited, 0, itself.err());
  assert.equal(itself.out(), version.out());
  const usage = startProcess(node.path, [xim, 'frobnicate']);
  assert.equal(await usage.exited, 2);
  const serving = startProcess(node.path, [xim, 'serve', ...flags('old')]);
  const [line] = await serving.seen(/^\{"ready".*\}$/m);
  const { pid } = JSON.parse(line) as ReadyLine;
  assert.notEqual(pid, serving.pid);
  serving.child.kill('SIGTERM');
  assert.equal(await serving.exited, 0, serving.err());
  assert.ok(!isAlive(pid));
});

test('a packed agent that the oldest Node cannot run', async (t) => {
  const node = oldNode();
  if (node.kind === 'missing') return t.skip(node.reason);
  engine.set({ chunks: 3, tickMs: 0, firstByteMs: 0 });
  const bin = path.join(base.path, 'bin');
  await mkdir(bin);
  await symlink('/bin/sh', path.join(bin, 'sh'));
  await symlink(node.path, path.join(bin, 'node'));
  const dataDir = path.join(base.path, 'packed');
  const server = await startServerProcess({
    dataDir,
    args: ['--no-agent', '--engine-url', engine.url],
  });
  const key = await createJoinKey(server, ['--name', 'oldest']);
  const line = `${key.join_command_node} -s -- --engine-url ${engine.url}`;
  const env = { PATH: bin, XIM_HOME: path.join(base.path, 'home') };
  const agent = startProcess('/bin/sh', ['-c', line], { env, group: true });
  await agent.seen(/fake-model is ready$/m);
  const answer = await fetch(
    server.ready.base_url.replace('/default/v1', '/own/v1/chat/completions'),
    {
      method: 'POST',
      headers: {
        authorization: `Bearer ${server.ready.api_key}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ model: 'own', messages: [{ role: 'user', content: 'hello' }] }),
    },
  );
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('x-xim-agent'), 'oldest');
  await agent.end();
  await server.end();
});

test('a variable that is misspelt and passes unseen', async () => {
  const env = { XIM_PROT: '1' };
  const running = startProcess(process.execPath, [xim, 'serve', '--port', 'x'], { env });
  assert.equal(await running.exited, 2);
  const known = { XIM_PROT: '1', XIM_TEST_CACHE: 'x', XIM_SLOTS: '2' };
  const args = [xim, 'agent', '--state-dir', path.join(base.path, 'none')];
  const agent = startProcess(process.execPath, [...args, '--engine-url', engine.url], {
    env: known,
  });
  assert.equal(await agent.exited, 7, agent.err());
  assert.match(agent.err(), /XIM_PROT is set, but is not a setting/);
  assert.doesNotMatch(agent.err(), /XIM_TEST_CACHE|XIM_SLOTS/);
  assert.match(agent.err(), /--server/);
});
