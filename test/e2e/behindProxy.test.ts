/** The guide on proxies, tried as written: its nginx.conf in a real nginx, all calls through it. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { CreatedJoinKeyAnswer } from '../../src/api/control/joinKeys.ts';
import { testCertificate } from '../../src/testing/http/certificate.ts';
import { startFakeEngine, type FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { freePort } from '../../src/testing/processes/freePort.ts';
import { guideBlocks } from '../../src/testing/processes/guide.ts';
import {
  endLeftovers,
  repository,
  startProcess,
  until,
} from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../../src/testing/processes/serverProcess.ts';
import { systemBinary } from '../../src/testing/processes/systemBinary.ts';

const model = 'SmolLM2-135M-Instruct';
const nginx = systemBinary({ names: ['nginx'], debianPackage: 'nginx-light' });
/** Not the proxy's, as a caller from elsewhere has another one than it. */
const clientAddress = '127.0.0.2';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine | undefined;
let server: ServerProcess;
let certificate: string;
let publicUrl: string;

before(async () => {
  base = await temporaryDirectory('proxy');
  if (nginx.kind === 'missing') return;
  engine = await startFakeEngine({ models: [model] });
  const ports = { proxy: await freePort(), plain: await freePort(), server: await freePort() };
  publicUrl = `https://127.0.0.1:${ports.proxy}`;
  const flags = ['--behind-proxy', '--public-url', publicUrl, '--trusted-proxies', '127.0.0.1'];
  const args = ['--no-agent', '--port', String(ports.server), ...flags];
  const configuration = await writeConfiguration(ports);
  const where = ['-p', base.path, '-c', configuration, '-e', path.join(base.path, 'error.log')];
  startProcess(nginx.path, where, { group: true });
  server = await startServerProcess({ dataDir: path.join(base.path, 'data'), args });
});
after(async () => {
  endLeftovers();
  await engine?.close();
  await base.remove();
});

type Ports = Record<'proxy' | 'plain' | 'server', number>;

/** What the guide shows, with this machine's ports and files in it. */
async function writeConfiguration(ports: Ports): Promise<string> {
  const blocks = guideBlocks(path.join(repository, 'docs', 'operating', 'behind-a-proxy.md'));
  const shown = blocks.find(({ info }) => info === 'nginx')?.text ?? '';
  const { cert, key } = await testCertificate();
  certificate = cert;
  const files = { cert: path.join(base.path, 'cert.pem'), key: path.join(base.path, 'key.pem') };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);
  const filled = shown
    .replace('127.0.0.1:8080', `127.0.0.1:${ports.server}`)
    .replace('listen 443 ssl', `listen 127.0.0.1:${ports.proxy} ssl`)
    .replace('listen 80', `listen 127.0.0.1:${ports.plain}`)
    .replaceAll('/etc/ssl/xim.example.org.pem', files.cert)
    .replaceAll('/etc/ssl/xim.example.org.key', files.key)
    .replaceAll('xim.example.org', '127.0.0.1');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${path.join(base.path, name)};`,
  );
  mkdirSync(path.join(base.path, 'logs'), { recursive: true });
  const file = path.join(base.path, 'nginx.conf');
  const head = `daemon off;\n${process.getuid?.() === 0 ? 'user root;\n' : ''}pid nginx.pid;\n`;
  const http = `http {\naccess_log off;\n${temporary.join('\n')}\n${filled}}\n`;
  writeFileSync(file, `${head}events {}\n${http}`);
  return file;
}

function call(options: {
  path: string;
  key: string;
  body?: unknown;
  headers?: Record<string, string>;
}): Promise<IncomingMessage> {
  const { key, body, headers } = options;
  return new Promise((resolve, reject) => {
    const request = https.request(`${publicUrl}${options.path}`, {
      method: body === undefined ? 'GET' : 'POST',
      ca: certificate,
      agent: false,
      localAddress: clientAddress,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    });
    request.on('error', reject);
    request.on('response', resolve);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const keys = (): string => server.credentials().management_key;
const joinKeys = '/api/v1/projects/default/join-keys';

function ask(content: string, stream: boolean): Promise<IncomingMessage> {
  const body = { stream, messages: [{ role: 'user', content }] };
  const { api_key: key } = server.credentials();
  return call({ path: '/default/own/v1/chat/completions', key, body });
}

test('a machine that cannot join through the proxy', async (t) => {
  if (nginx.kind === 'missing') return t.skip(nginx.reason);
  const made = await call({ path: joinKeys, key: keys(), body: { name: 'rack-7' } });
  const key = JSON.parse(await text(made)) as CreatedJoinKeyAnswer;
  assert.ok(key.join_command.startsWith(`curl -fsS ${publicUrl}/install.sh | `));
  const line = `${key.join_command_node} -s -- --engine-url ${engine?.url}`;
  const agent = startProcess('sh', ['-c', line], {
    env: {
      XIM_HOME: path.join(base.path, 'agent'),
      NODE_EXTRA_CA_CERTS: path.join(base.path, 'cert.pem'),
    },
    group: true,
  });
  await agent.seen(/ is ready$/m);
  const answer = await ask('hello', false);
  assert.equal(answer.headers['x-xim-agent'], 'rack-7');
  assert.match(await text(answer), /"content":"w0 w1 /);
});

test('a stream that comes all at once, or goes on when nobody reads it any more', async (t) => {
  if (nginx.kind === 'missing') return t.skip(nginx.reason);
  const answer = await ask('fake:{"fault":"stall","after":2}', true);
  let seen = '';
  for await (const chunk of answer.setEncoding('utf8')) {
    seen += String(chunk);
    if (seen.includes('"content":"w0 "')) break;
  }
  // The engine says nothing more, and is still asked.
  answer.destroy();
  await until(() => engine?.stats().aborted === 1, { what: 'the engine to stop' });
});

test('a prompt of several megabytes that the proxy refuses', async (t) => {
  if (nginx.kind === 'missing') return t.skip(nginx.reason);
  const answer = await ask('word '.repeat(600_000), false);
  assert.equal(answer.statusCode, 200, await text(answer));
});

test('a caller who is taken for the proxy, or for whom he pretends to be', async (t) => {
  if (nginx.kind === 'missing') return t.skip(nginx.reason);
  const headers = { 'x-forwarded-for': '203.0.113.9' };
  const body = { name: 'from afar' };
  const made = await call({ path: joinKeys, key: keys(), body, headers });
  assert.equal(made.statusCode, 201, await text(made));
  const notes = await call({ path: '/api/v1/projects/default/audit?limit=1', key: keys() });
  const { data } = JSON.parse(await text(notes)) as { data: { address: string }[] };
  assert.equal(data[0]?.address, clientAddress);
});
