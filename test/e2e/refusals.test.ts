/** Starts that cannot work: each with its own sentence and exit code, and nothing left running. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createJoinKey } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { endLeftovers, repository, startProcess } from '../../src/testing/processes/processes.ts';
import {
  spawnServer,
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;

before(async () => {
  base = await temporaryDirectory('refusals');
  engine = await startFakeEngine();
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

const quick = { timeoutMs: 60_000 };

async function refusal(
  name: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number | string; said: string; out: string }> {
  const running = spawnServer({ dataDir: path.join(base.path, name), args, env });
  const code = await running.exited;
  return { code, said: running.err(), out: running.out() };
}

test('a taken port without a word on which, by what and how to choose another', async () => {
  const holder = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.once('listening', resolve));
  const { port } = holder.address() as AddressInfo;
  const { code, said, out } = await refusal('port', ['--no-agent', '--port', String(port)]);
  holder.close();
  assert.equal(code, 1);
  assert.match(said, new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is taken.*--port N`));
  assert.equal(out, '');
});

test('an address of another machine', async () => {
  const { code, said } = await refusal('host', ['--no-agent', '--host', '192.0.2.1']);
  assert.equal(code, 1);
  assert.match(said, /192\.0\.2\.1 is not an address of this machine/);
});

test('flags that are wrong, reported one at a time', async () => {
  const { code, said } = await refusal('flags', ['--tls-cert', 'x', '--engine', 'url']);
  assert.equal(code, 2);
  assert.match(said, /--tls-cert and --tls-key belong together/);
  assert.match(said, /--engine url needs --engine-url/);
  const unknown = await refusal('flags', ['--frob', '--log-level', 'loud']);
  assert.match(unknown.said, /--frob is not a flag/);
  assert.match(unknown.said, /--log-level.*give one of debug/);
  const tiers = await refusal('flags', ['--tiers', '{"free":{"tokensPerMinute":-1}}']);
  assert.match(tiers.said, /--tiers: free\.tokensPerMinute/);
});

test('a second server on the data directory of the first', async () => {
  const dataDir = path.join(base.path, 'shared');
  const args = ['--engine-url', engine.url];
  const first = await startServerProcess({ dataDir, args, ...quick });
  const { code, said } = await refusal('shared', args);
  assert.equal(code, 3);
  assert.match(said, /Another server already uses the data directory/);
  assert.equal(await first.end(), 0);
});

test('a data directory that is a file', async () => {
  await writeFile(path.join(base.path, 'file'), '');
  const { code, said } = await refusal('file', ['--no-agent']);
  assert.equal(code, 3);
  assert.match(said, /cannot be used: it is a file.*--data-dir/);
});

test('a data directory that this user may not write', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root to become another user');
  const directory = path.join(base.path, 'closed');
  await mkdir(directory, { mode: 0o755 });
  const entry = path.join(repository, 'src', 'main', 'serve.ts');
  const program =
    `process.setgid(65534);process.setuid(65534);` +
    `process.argv=['node','serve','--no-agent','--data-dir',${JSON.stringify(directory)}];` +
    `await import(${JSON.stringify(entry)})`;
  const running = startProcess(process.execPath, ['--input-type=module', '-e', program]);
  const code = await running.exited;
  if (/EACCES.*serve\.ts/.test(running.err())) return t.skip('the sources are not readable');
  assert.equal(code, 3, running.err());
  assert.match(running.err(), /this user may not write there.*--data-dir/);
});

test('a damaged database that is served, or destroyed', async () => {
  const dataDir = path.join(base.path, 'damaged');
  const file = path.join(dataDir, 'xim.db');
  const first = await startServerProcess({ dataDir, args: ['--no-agent'], ...quick });
  assert.equal(await first.end(), 0);
  const sound = await readFile(file);
  const pageBytes = 4096;
  const torn = Buffer.from(sound);
  torn.fill(0x5a, 10 * pageBytes, 11 * pageBytes);
  const cutOff = sound.subarray(0, Math.floor(sound.length / pageBytes / 2) * pageBytes);
  for (const damaged of [Buffer.alloc(8192, 'not a database '), torn, cutOff]) {
    await writeFile(file, damaged);
    const { code, said } = await refusal('damaged', ['--no-agent']);
    assert.equal(code, 4, said);
    assert.match(said, /xim\.db; restore a backup or move it away \(in \/.*damaged\)/);
    assert.deepEqual(await readFile(file), damaged, 'somebody may still save what is in it');
  }
  await writeFile(file, sound);
  const again = await startServerProcess({ dataDir, args: ['--no-agent'], ...quick });
  assert.equal(again.ready.api_key, first.ready.api_key);
  assert.equal(await again.end(), 0);
});

test('a key of another database, taken for the right one', async () => {
  const dataDir = path.join(base.path, 'rekeyed');
  const first = await startServerProcess({ dataDir, args: ['--no-agent'], ...quick });
  assert.equal(await first.end(), 0);
  await writeFile(path.join(dataDir, 'secrets.key'), Buffer.alloc(32, 7).toString('base64'));
  const { code, said } = await refusal('rekeyed', ['--no-agent']);
  assert.equal(code, 3);
  assert.match(said, /is not the key of this database/);
});

test('a certificate that does not fit its key', async () => {
  const where = path.join(base.path, 'tls');
  await mkdir(where);
  await writeFile(path.join(where, 'a.pem'), 'nothing');
  const pem = path.join(where, 'a.pem');
  const args = ['--no-agent', '--tls-cert', pem, '--tls-key', pem];
  const { code, said } = await refusal('certificate', args);
  assert.equal(code, 5);
  assert.match(said, /holds no certificate in PEM/);
});

test('a key of our own certificate that is damaged', async () => {
  const tls = path.join(base.path, 'own-tls', 'tls');
  await mkdir(tls, { recursive: true, mode: 0o700 });
  await chmod(path.dirname(tls), 0o700);
  await writeFile(path.join(tls, 'key.pem'), 'nothing');
  const { code, said } = await refusal('own-tls', ['--no-agent', '--host', '0.0.0.0']);
  assert.equal(code, 5, said);
  assert.match(said, /key\.pem holds no private key\. Put it back from a backup/);
});

test('a journal that cannot be written, and a server that neither serves nor ends', async () => {
  const dataDir = path.join(base.path, 'journal');
  const first = await startServerProcess({ dataDir, args: ['--no-agent'], ...quick });
  assert.equal(await first.end(), 0);
  await rm(path.join(dataDir, 'journal'), { recursive: true });
  await writeFile(path.join(dataDir, 'journal'), '');
  const { code, said } = await refusal('journal', ['--no-agent']);
  assert.equal(code, 6, said);
  assert.match(said, /The journal .* cannot be used: it is a file/);
});

test('a hub’s address that is none, told by an agent that starts again and again', async () => {
  const { code, said } = await refusal('hub', [], { HF_ENDPOINT: 'hub.example.com' });
  assert.equal(code, 2);
  assert.match(said, /HF_ENDPOINT: "hub\.example\.com" is no address of a hub/);
});

test('a model cache that cannot be used, and a start that waits for minutes', async () => {
  const dataDir = path.join(base.path, 'cacheless');
  const file = path.join(base.path, 'cache');
  await writeFile(file, '');
  const server = await startServerProcess({ dataDir, args: ['--model-cache', file], ...quick });
  assert.equal(server.ready.model, null);
  assert.match(server.ready.model_error ?? '', /The model cache .* cannot be used: it is a file/);
  assert.equal(await server.end(), 0);
});

test('a model file that is none, or damaged, told as an engine’s error or not at all', async () => {
  for (const [name, bytes, why] of [
    ['empty', Buffer.alloc(0), /empty\.gguf is not a GGUF file/],
    ['altered', Buffer.alloc(1e6, 'GGUF and no model'), /cannot load altered.*cut off, damaged/s],
  ] as const) {
    const file = path.join(base.path, `${name}.gguf`);
    await writeFile(file, bytes);
    const dataDir = path.join(base.path, `with-${name}`);
    const server = await startServerProcess({ dataDir, args: ['--model', file], ...quick });
    assert.equal(server.ready.model, null);
    assert.match(server.ready.model_error ?? '', why);
    assert.match(server.ready.model_error ?? '', /--model FILE.*--engine-url URL/s);
    assert.deepEqual(await readFile(file), bytes, 'it is not ours to delete');
    assert.equal(await server.end(), 0, server.err());
  }
});

test('credentials that were lost, and a server that hides it or does not come up', async () => {
  const dataDir = path.join(base.path, 'lost');
  const first = await startServerProcess({ dataDir, args: ['--no-agent'], ...quick });
  const { api_key: key } = first.ready;
  assert.equal(await first.end(), 0);
  await writeFile(path.join(dataDir, 'credentials.json'), '{"version":');
  const second = await startServerProcess({ dataDir, args: ['--no-agent'], ...quick });
  assert.equal(second.ready.api_key, null);
  assert.match(second.err(), /credentials\.json is damaged\. Clients keep their keys/);
  const headers = { authorization: `Bearer ${key}` };
  const models = await fetch(`${second.ready.base_url}/models`, { headers });
  assert.equal(models.status, 200, 'a client’s key works on');
  assert.match(second.err(), /start once with --new-credentials/);
  assert.equal(await second.end(), 0);
});

test('lost credentials that leave no way back to the command line, or to the sign-in', async () => {
  const dataDir = path.join(base.path, 'renewed');
  const first = await startServerProcess({ dataDir, args: ['--no-agent'], ...quick });
  const { api_key: lost, admin } = first.ready;
  assert.equal(await first.end(), 0);
  await rm(path.join(dataDir, 'credentials.json'));
  const args = ['--no-agent', '--new-credentials'];
  const second = await startServerProcess({ dataDir, args, ...quick });
  const { ready } = second;
  assert.ok(ready.api_key !== null && ready.api_key !== lost);
  for (const key of [ready.api_key, lost]) {
    const headers = { authorization: `Bearer ${key}` };
    const models = await fetch(`${ready.base_url}/models`, { headers });
    assert.equal(models.status, 200, 'a client has a day to change its key');
  }
  assert.ok((await createJoinKey(second)).key.startsWith('xjk_'), 'the command line is let in');
  assert.ok(ready.admin.password !== null && ready.admin.password !== admin.password);
  const { server: origin } = second.credentials();
  const signIn = await fetch(`${origin}/api/v1/sign-in`, {
    method: 'POST',
    headers: { origin, 'content-type': 'application/json' },
    body: JSON.stringify(ready.admin),
  });
  assert.equal(signIn.status, 200, await signIn.text());
  assert.equal(await second.end(), 0);
  const third = await startServerProcess({ dataDir, args, ...quick });
  assert.equal(third.ready.api_key, ready.api_key, 'a unit file that says it at each start');
  assert.equal(third.ready.admin.password, null);
  assert.equal(await third.end(), 0);
});

test('a server that hides why it has no model, or does not come up at all', async () => {
  const dataDir = path.join(base.path, 'modelless');
  const nowhere = 'http://127.0.0.1:1';
  const env = {
    HF_ENDPOINT: nowhere,
    // pip finds nothing either.
    PIP_INDEX_URL: nowhere,
    PIP_FIND_LINKS: path.join(base.path, 'none'),
    PIP_NO_INDEX: '1',
  };
  const server = await startServerProcess({ dataDir, env, timeoutMs: 120_000 });
  const { ready } = server;
  assert.equal(ready.model, null);
  assert.match(ready.model_error ?? '', /hub http:\/\/127\.0\.0\.1:1/);
  assert.match(ready.model_error ?? '', /--model FILE.*--engine-url URL/s);
  assert.match(ready.admin.password ?? '', /^\w{5}-\w{5}-\w{5}-\w{5}$/);
  assert.equal(await server.end(), 0);
});
