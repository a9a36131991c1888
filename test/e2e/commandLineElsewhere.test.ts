/** The command line on another machine: over TLS with the server's own key, on the oldest Node. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { packAgent } from '../../scripts/packAgent.ts';
import { testCertificate, type TestCertificate } from '../../src/testing/http/certificate.ts';
import { startFakeEngine, type FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { oldNode } from '../../src/testing/processes/oldNode.ts';
import { endLeftovers, startProcess } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../../src/testing/processes/serverProcess.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let server: ServerProcess;
let certificate: TestCertificate;
let program: string;
let node = process.execPath;

before(async () => {
  base = await temporaryDirectory('elsewhere');
  engine = await startFakeEngine();
  certificate = await testCertificate();
  const [cert, key] = [path.join(base.path, 'cert.pem'), path.join(base.path, 'key.pem')];
  writeFileSync(cert, certificate.cert);
  writeFileSync(key, certificate.key, { mode: 0o600 });
  server = await startServerProcess({
    dataDir: path.join(base.path, 'server'),
    args: ['--engine-url', engine.url, '--tls-cert', cert, '--tls-key', key],
  });
  await packAgent(base.path);
  execFileSync('tar', ['-xzf', 'xim.tgz'], { cwd: base.path });
  program = path.join(base.path, 'package', 'dist', 'xim.mjs');
  const old = oldNode();
  if (old.kind === 'found') node = old.path;
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

async function xim(
  args: readonly string[],
  input = '',
): Promise<{ code: number | string; out: string; err: string }> {
  const env = {
    XDG_CONFIG_HOME: path.join(base.path, 'config'),
    XDG_DATA_HOME: path.join(base.path, 'share'),
  };
  const running = startProcess(node, [program, ...args], { env });
  running.child.stdin?.end(input);
  // Shorter than any time that a command waits for a server: none waits when it has its answer.
  const late = setTimeout(() => running.child.kill(), 30_000);
  const code = await running.exited;
  clearTimeout(late);
  return { code, out: running.out(), err: running.err() };
}

test('a password that goes to a server whose key nobody compared', async () => {
  const { origin } = new URL(server.ready.base_url);
  assert.match(origin, /^https:/);
  const { email, password } = server.ready.admin;
  const answers = `${email}\n${password}\na password of my own\n`;
  const unknown = await xim(['login', origin], answers);
  assert.equal(unknown.code, 7);
  assert.ok(unknown.err.includes(`--pin ${certificate.pin}`), unknown.err);
  const wrong = await xim(['login', origin, '--pin', `sha256//${'A'.repeat(43)}=`], answers);
  assert.equal(wrong.code, 8);
  assert.match(wrong.err, /another key/);
  // Neither has used up the one-time password.
  const known = await xim(['login', origin, '--pin', certificate.pin], answers);
  assert.equal(known.code, 0, known.err);
  assert.match((await xim(['status'])).out, /journal ok/);
});

test('commands that the oldest Node cannot run', async () => {
  assert.match((await xim(['--help'])).out, /^XIM: /);
  const bash = await xim(['completion', 'bash']);
  assert.match(bash.out, /complete -o default -F _xim xim/);
  const asked = await xim(['chat', 'hello']);
  assert.deepEqual([asked.code, asked.out], [0, 'w0 w1 w2 w3 w4 \n'], asked.err);
  const { out } = await xim(['doctor', '-o', 'json']);
  const { findings } = JSON.parse(out) as { findings: { check: string; found: string }[] };
  const found = (check: string): string | undefined =>
    findings.find((one) => one.check === check)?.found;
  assert.equal(found('TLS'), 'its key is the one that was pinned');
  assert.match(found('Node') ?? '', node === process.execPath ? /^v/ : /^v20\.18\.1$/);
});
