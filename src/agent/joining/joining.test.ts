import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { systemRandom } from '../../lib/random.ts';
import { testCertificate } from '../../testing/http/certificate.ts';
import { startFakeEngine } from '../../testing/engines/fakeEngine.ts';
import { FakeServer } from '../../testing/links/fakeServer.ts';
import { startAgent, stateDirectory } from '../../testing/links/testAgent.ts';
import { until } from '../../testing/until.ts';
import { processIdentity } from '../models/processIdentity.ts';
import { newIdentity } from './identity.ts';
import { findMembership } from './membership.ts';
import { parseLinkUrl, parseServerAddress } from './serverAddress.ts';
import { openState, type AgentState, type StateStore } from './stateFile.ts';

const means = { clock: systemClock, random: systemRandom };
const state = (): AgentState => ({
  version: 1,
  privateKey: newIdentity().secretPem(),
  server: null,
  enrolment: null,
});

test('an agent that was killed with -9 leaves its state locked', async (t) => {
  const directory = await stateDirectory(t);
  const program =
    `import { openState } from ${JSON.stringify(path.join(import.meta.dirname, 'stateFile.ts'))};` +
    `import { systemClock } from ${JSON.stringify(path.resolve('src/lib/clock.ts'))};` +
    `import { systemRandom } from ${JSON.stringify(path.resolve('src/lib/random.ts'))};` +
    'const means = { clock: systemClock, random: systemRandom };' +
    `const opened = await openState({ directory: ${JSON.stringify(directory)}, ...means });` +
    'console.log(opened.kind); setInterval(() => {}, 1000);';
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: path.resolve(import.meta.dirname, '../../..'),
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  assert.equal(line.toString().trim(), 'open');
  const busy = await openState({ directory, ...means });
  assert.ok(busy.kind === 'unusable');
  assert.match(busy.message, new RegExp(`process ${child.pid}\\b.*--state-dir`));
  child.kill('SIGKILL');
  await once(child, 'exit');
  const free = await openState({ directory, ...means });
  assert.equal(free.kind, 'open');
  if (free.kind === 'open') await free.store.close();
});

test('a state that a killed agent was about to write stays for ever', async (t) => {
  const directory = await stateDirectory(t);
  const { name } = processIdentity(systemRandom);
  const dead = name.replace(/^(\w+)\.\d+\./, '$1.4194305.');
  await writeFile(path.join(directory, `agent.json.${dead}.tmp`), 'secret');
  await writeFile(path.join(directory, `agent.json.${name}.tmp`), 'a living process’s');
  await mkdir(path.join(directory, `agent.lock.${dead}`));
  const opened = await openState({ directory, ...means });
  assert.ok(opened.kind === 'open');
  await opened.store.close();
  const left = (await readdir(directory)).toSorted();
  assert.deepEqual(left, [`agent.json.${name}.tmp`, 'agent.lock']);
});

test('a saved state cannot be read back, or a damaged one is taken for none', async (t) => {
  const directory = path.join(await stateDirectory(t), 'new');
  const opened = await openState({ directory, ...means });
  assert.ok(opened.kind === 'open');
  assert.equal(opened.store.current(), undefined);
  const saved = state();
  await Promise.all([opened.store.save(state()), opened.store.save(saved)]);
  await opened.store.close();
  const again = await openState({ directory, ...means });
  assert.ok(again.kind === 'open');
  assert.deepEqual(again.store.current(), saved);
  await again.store.close();
  const file = path.join(directory, 'agent.json');
  await writeFile(file, (await readFile(file, 'utf8')).slice(0, -20));
  const damaged = await openState({ directory, ...means });
  assert.ok(damaged.kind === 'unusable' && damaged.message.includes('damaged'));
});

test('secrets are put into a directory that others read', async (t) => {
  const directory = path.join(await stateDirectory(t), 'shared');
  await mkdir(directory);
  await writeFile(path.join(directory, 'something'), '');
  await chmod(directory, 0o755);
  const refused = await openState({ directory, ...means });
  assert.ok(refused.kind === 'unusable' && refused.message.includes('--state-dir'));
  const file = path.join(directory, 'something', 'below');
  const impossible = await openState({ directory: file, ...means });
  assert.ok(impossible.kind === 'unusable');
  assert.match(impossible.message, /a part of the path is a file\. Give another with --state-dir/);
  const nowhere = await openState({ directory: '/proc/x', ...means });
  assert.ok(nowhere.kind === 'unusable' && nowhere.message.includes('nothing can be made there'));
});

test('a full disk costs the join key, or ends in a stack trace', async () => {
  const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
  const store: StateStore = {
    directory: '/state',
    current: () => undefined,
    save: () => Promise.reject(full),
    close: () => Promise.resolve(),
  };
  const outcome = await findMembership({
    config: {
      serverUrl: 'http://127.0.0.1:9',
      pin: null,
      joinKey: 'xjk_a_b',
      stateDir: '/state',
      name: null,
      agentVersion: '0',
      storageLimitBytes: null,
    },
    store,
    facts: () => assert.fail('the server would have been asked'),
    ...means,
    signal: new AbortController().signal,
    onRetry: () => assert.fail('tried again'),
  });
  assert.ok(outcome.kind === 'refused' && outcome.message.includes('the disk is full'));
});

test('a plain address of another machine is used', () => {
  for (const url of ['http://10.0.0.1:8080', 'http://example.org', 'ws://localhost', 'nonsense']) {
    assert.equal(parseServerAddress({ url, pin: null }).kind, 'invalid', url);
  }
  for (const url of ['http://127.0.0.1:8080', 'http://[::1]:1', 'http://localhost', 'https://x']) {
    assert.equal(parseServerAddress({ url, pin: null }).kind, 'ok', url);
  }
  const remote = { base: 'https://example.org', host: 'example.org', pin: null };
  assert.equal(parseLinkUrl(remote, 'ws://example.org/link').kind, 'invalid');
  const linked = parseLinkUrl(remote, '/v1/agents/link');
  assert.equal(linked.kind === 'ok' && linked.url.href, 'wss://example.org/v1/agents/link');
  const below = { ...remote, base: 'https://example.org/xim' };
  const prefixed = parseLinkUrl(below, 'v1/agents/link');
  assert.equal(prefixed.kind === 'ok' && prefixed.url.pathname, '/xim/v1/agents/link');
});

test('a pin is taken that cannot be one, or for a connection that has none', () => {
  const pin = `sha256//${'A'.repeat(43)}=`;
  assert.equal(parseServerAddress({ url: 'https://x', pin }).kind, 'ok');
  assert.equal(parseServerAddress({ url: 'https://x', pin: 'abc' }).kind, 'invalid');
  assert.equal(parseServerAddress({ url: 'http://127.0.0.1', pin }).kind, 'invalid');
});

test('a private certificate is trusted without its pin, or not with it', async (t) => {
  const { pin, ...tls } = await testCertificate();
  const other = await testCertificate();
  const server = await new FakeServer({ tls }).start();
  const engine = await startFakeEngine();
  t.after(async () => {
    await server.stop();
    await engine.close();
  });
  const base = { serverUrl: server.url, engineUrl: engine.url, joinKey: server.joinKey };
  const wrong = startAgent(t, { ...base, stateDir: await stateDirectory(t), pin: other.pin });
  const mismatch = await wrong.ended;
  assert.ok(mismatch.kind === 'refused' && mismatch.message.includes('another certificate'));
  const bare = await startAgent(t, { ...base, stateDir: await stateDirectory(t) }).ended;
  assert.ok(bare.kind === 'refused' && bare.message.includes('not trusted'));
  assert.equal(server.enrolments.length, 0);
  const stateDir = await stateDirectory(t);
  const agent = startAgent(t, { ...base, stateDir, pin });
  await until(() => server.links.length === 1);
  await server.link.ready();
  await agent.stop();
  // The state file remembers server and pin.
  const later = { engineUrl: engine.url, stateDir, serverUrl: null as unknown as string };
  startAgent(t, later);
  await until(() => server.links.length === 2);
});

test('a server whose certificate changes is linked to, or never tried again', async (t) => {
  const { pin, ...tls } = await testCertificate();
  const server = await new FakeServer({ tls }).start();
  const engine = await startFakeEngine();
  const stateDir = await stateDirectory(t);
  const { joinKey } = server;
  const agent = startAgent(t, {
    serverUrl: server.url,
    engineUrl: engine.url,
    joinKey,
    stateDir,
    pin,
  });
  await until(() => server.links.length === 1);
  const { port } = server;
  await server.stop();
  const { pin: _otherPin, ...otherTls } = await testCertificate();
  const impostor = await new FakeServer({ tls: otherTls, port }).start();
  t.after(async () => {
    await impostor.stop();
    await engine.close();
  });
  await until(() =>
    agent.events.some((e) => e.kind === 'unlinked' && e.message.includes('another certificate')),
  );
  assert.equal(impostor.links.length, 0);
  assert.equal(impostor.refreshes.length, 0);
});

test('a wrong address is hammered, or given up', async (t) => {
  const server = await new FakeServer().start();
  const { url: serverUrl, joinKey } = server;
  await server.stop();
  const stateDir = await stateDirectory(t);
  const engineUrl = 'http://127.0.0.1:9';
  const agent = startAgent(t, { serverUrl, engineUrl, joinKey, stateDir });
  await until(() =>
    agent.events.some((e) => e.kind === 'unlinked' && e.message.includes('nothing listens')),
  );
  assert.deepEqual(await agent.stop(), { kind: 'stopped' });
  // Something else listens there: it is no server of ours, and the join key does not go to it.
  const engine = await startFakeEngine();
  t.after(() => engine.close());
  const other = await startAgent(t, {
    serverUrl: engine.url,
    engineUrl: engine.url,
    joinKey,
    stateDir: await stateDirectory(t),
  }).ended;
  assert.ok(other.kind === 'refused' && other.message.includes('address'));
});
