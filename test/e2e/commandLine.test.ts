/** A stranger's first hour on the command line: a real server, a real terminal, real processes. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { shellQuote } from '../../src/api/joinCommand.ts';
import { startFakeEngine, type FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import {
  endLeftovers,
  repository,
  startProcess,
  until,
  type RunningProcess,
} from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../../src/testing/processes/serverProcess.ts';
import { systemBinary } from '../../src/testing/processes/systemBinary.ts';

const chosen = 'a password of my own';
const entry = path.join(repository, 'src', 'main', 'cli.ts');

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let server: ServerProcess;

before(async () => {
  base = await temporaryDirectory('command-line');
  engine = await startFakeEngine();
  const dataDir = path.join(base.path, 'server');
  server = await startServerProcess({
    dataDir,
    args: ['--engine-url', engine.url, '--allow-unsandboxed'],
  });
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

/** The prompt of a conversation, and the cursor behind it. */
const prompt = new RegExp(`> ${String.fromCodePoint(0x1b)}\\[3G$`);

/** The stranger's machine has nothing of the server's. */
const home = (): Record<string, string> => ({
  XDG_CONFIG_HOME: path.join(base.path, 'config'),
  XDG_DATA_HOME: path.join(base.path, 'share'),
});

async function xim(
  args: readonly string[],
  input?: string,
): Promise<{ code: number | string; out: string; err: string }> {
  const running = startProcess(process.execPath, [entry, ...args], { env: home() });
  running.child.stdin?.end(input ?? '');
  const code = await running.exited;
  return { code, out: running.out(), err: running.err() };
}

async function ximJson<Answer>(...args: string[]): Promise<Answer> {
  const { code, out, err } = await xim([...args, '-o', 'json']);
  assert.equal(code, 0, err);
  return JSON.parse(out) as Answer;
}

/** On a terminal of its own, whose keys are what is written to it. */
function ximOnTerminal(args: readonly string[], script: string): RunningProcess {
  const line = [process.execPath, entry, ...args].map(shellQuote).join(' ');
  return startProcess(script, ['-qfec', line, '/dev/null'], { env: home() });
}

test('a password that shows on the terminal, or cannot be typed there', async (t) => {
  const script = systemBinary({ names: ['script'], debianPackage: 'bsdutils' });
  if (script.kind === 'missing') return t.skip(script.reason);
  const { origin } = new URL(server.ready.base_url);
  const { email, password } = server.ready.admin;
  const terminal = ximOnTerminal(['login', origin, '--email', email], script.path);
  const type = (text: string): void => void terminal.child.stdin?.write(text);
  await terminal.seen(/Password: $/);
  type(`${password}\r`);
  await terminal.seen(/New password: $/);
  type('not this\u0015');
  type(`${chosen}x\u007f\r`);
  await terminal.seen(/Once more: $/);
  type(`${chosen}\r`);
  await terminal.seen(/Project: default/);
  assert.equal(await terminal.exited, 0, terminal.out());
  for (const secret of [password ?? '', chosen, 'not this']) {
    assert.ok(!terminal.out().includes(secret), terminal.out());
  }
  type('');
});

test('a sign-in that hangs at the end of a pipe', async () => {
  const { origin } = new URL(server.ready.base_url);
  const { email } = server.ready.admin;
  const running = startProcess(process.execPath, [entry, 'login', origin], { env: home() });
  // Left open, as by a program that may have more to say.
  running.child.stdin?.write(`${email}\n${chosen}\n`);
  assert.equal(await running.exited, 0, running.err());
  const [context] = (await ximJson<{ data: { email: string }[] }>('context', 'list')).data;
  assert.equal(context?.email, email);
  assert.match((await xim(['status'])).out, /^XIM .*journal ok/s);
});

test('a project or a key that can be made on paper only', async () => {
  const made = await ximJson<{ slug: string }>('projects', 'create', 'Nord Lab');
  assert.equal(made.slug, 'nord-lab');
  assert.match((await xim(['projects', 'use', 'nord-lab'])).out, /nord-lab now/);
  const { code, out, err } = await xim(['keys', 'create', 'laptop', '--tokens-per-day', '1000']);
  assert.equal(code, 0, err);
  assert.match(out, /^xim_nord-lab_\S+\n$/);
  await xim(['keys', 'set', 'laptop', '--requests-per-minute', '60', '--allow-ip', '127.0.0.1']);
  const key = await ximJson<{ quota: object; version: number }>('keys', 'show', 'laptop');
  assert.deepEqual(key.quota, {
    requests_per_minute: 60,
    tokens_per_minute: null,
    tokens_per_day: 1000,
  });
  assert.equal(key.version, 2);
  const late = await xim(['keys', 'set', 'laptop', '--name', 'x', '--if-version', '1']);
  assert.equal(late.code, 7, late.err);
  assert.notEqual((await xim(['keys', 'rotate', 'laptop'])).out, out);
  assert.equal((await xim(['keys', 'revoke', 'laptop', '--yes'])).code, 0);
  const [listed] = (await ximJson<{ data: { state: string }[] }>('keys', 'list')).data;
  assert.equal(listed?.state, 'revoked');
});

test('people who cannot be let in from the command line', async () => {
  const once = await xim(['users', 'create', 'ada@example.org']);
  assert.match(once.out, /^\w{5}(-\w{5})+\n$/);
  await xim(['members', 'add', 'ada@example.org', '--role', 'member']);
  const [, ada] = (await ximJson<{ data: { email: string; role: string }[] }>('members', 'list'))
    .data;
  assert.deepEqual([ada?.email, ada?.role], ['ada@example.org', 'member']);
  const invited = await xim(['invitations', 'create', 'ines@example.org', '--role', 'owner']);
  assert.match(invited.out, /^http:\/\/\S+invitation\S+\n$/);
  const again = await xim(['users', 'reset-password', 'ada@example.org']);
  assert.notEqual(again.out, once.out);
});

test('a machine that joins by the printed line, and cannot be led from here', async () => {
  const [shared] = (await ximJson<{ data: { name: string }[] }>('models', 'list')).data;
  const name = shared?.name ?? '';
  const made = await xim(['endpoints', 'create', 'chat', '--model', name, '--tier', 'self_hosted']);
  assert.equal(made.code, 0, made.err);
  const line = await xim(['join-keys', 'create', '--name', 'lab-3', '--region', 'attic']);
  assert.match(line.out, /^curl [^\n]+ sh\n$/);
  const more = ` -s -- --engine-url ${engine.url} --serve ${shellQuote(`${name}=fake-model`)}`;
  const env = { ...home(), XIM_HOME: path.join(base.path, 'agent') };
  startProcess('/bin/sh', ['-c', line.out.trim() + more], { env, group: true });
  await until(async () => /lab-3 +active.*ready/.test((await xim(['agents', 'list'])).out), {
    what: 'an agent that is ready',
    timeoutMs: 60_000,
  });
  assert.match((await xim(['endpoints', 'list'])).out, /^chat .* 1 +0 +0 +http/m);
  const set = await xim(['agents', 'set', 'lab-3', '--at-once', '2', '--endpoints', 'chat']);
  assert.match(set.out, /^at once +2$/m, set.err);
  assert.match((await xim(['agents', 'logs', 'lab-3'])).out, /^\S+Z {2}info +agent {3}\w/m);
  const health = await xim(['agents', 'health', 'lab-3']);
  assert.match(health.out, /^agent +lab-3\nstate +active/, health.err);
  assert.match((await xim(['agents', 'suspend', 'lab-3', '--reason', 'lunch'])).out, /suspended/);
  assert.match((await xim(['agents', 'show', 'lab-3'])).out, /^state +suspended.*lunch$/m);
  assert.match((await xim(['agents', 'events', 'lab-3'])).out, /suspended .*lunch/);
  const args = [entry, 'agents', 'logs', 'lab-3', '-f'];
  const followed = startProcess(process.execPath, args, { env: home() });
  await followed.seen(/Z {2}info +agent {3}\w/);
  assert.equal((await xim(['agents', 'resume', 'lab-3'])).code, 0);
  assert.equal(await followed.end('SIGINT'), 'SIGINT');
  assert.match((await xim(['audit', 'list'])).out, /agent\.\w+ .*endpoint\.create/s);
});

test('a doctor who finds a healthy server ill', async () => {
  const { out } = await xim(['doctor', '-o', 'json']);
  const { findings } = JSON.parse(out) as { findings: { check: string; level: string }[] };
  for (const check of ['Node', 'System', 'Server', 'Clock', 'Sign-in', 'Link', 'Version']) {
    assert.equal(findings.find((one) => one.check === check)?.level, 'ok', `${check}\n${out}`);
  }
});

test('a question that gets no answer, in a pipe or without a key', async () => {
  const first = await xim(['chat', 'hello', '--endpoint', 'chat']);
  assert.deepEqual([first.code, first.out], [0, 'w0 w1 w2 w3 w4 \n'], first.err);
  assert.match(first.err, /Made the API key "xim chat on/);
  const line = [process.execPath, entry, 'chat', 'Sum up:', '-o', 'json'].map(shellQuote);
  const shell = `echo 'of a file' | ${line.join(' ')}`;
  const piped = startProcess('/bin/sh', ['-c', shell], { env: home(), group: true });
  assert.equal(await piped.exited, 0, piped.err());
  const { text, agent } = JSON.parse(piped.out()) as { text: string; agent: string };
  assert.deepEqual([text, agent], ['w0 w1 w2 w3 w4 ', 'lab-3']);
  assert.match(JSON.stringify(engine.bodies.at(-1)), /Sum up:\\n\\nof a file/);
  const { data } = await ximJson<{ data: { outcome: string }[] }>('requests', 'list');
  assert.deepEqual(data[0]?.outcome, 'completed');
  // A record is in the database a moment after its answer.
  await until(
    async () => /^chat +2 +100\.0 % /m.test((await xim(['usage', '--by', 'endpoint'])).out),
    {
      what: 'both questions in the usage',
    },
  );
  await xim(['budgets', 'set', '--amount', '5']);
  const budget = await ximJson<{ used: number; hard_stop: boolean }>(
    'budgets',
    'set',
    '--hard-stop',
  );
  assert.deepEqual([budget.used, budget.hard_stop], [0, true]);
  const csv = await xim(['usage', '--by', 'endpoint', '--csv']);
  assert.match(csv.out, /^endpoint,.*requests.*\r\n.*chat,/);
  assert.equal((await xim(['requests', 'list', '--csv'])).out.split('\r\n').length, 4);
});

test('^C that ends the conversation with the answer, or leaves the engine at work', async (t) => {
  const script = systemBinary({ names: ['script'], debianPackage: 'bsdutils' });
  if (script.kind === 'missing') return t.skip(script.reason);
  const terminal = ximOnTerminal(['chat', '--endpoint', 'chat'], script.path);
  const type = (text: string): void => void terminal.child.stdin?.write(text);
  await terminal.seen(prompt);
  engine.set({ tickMs: 50, chunks: 10_000 });
  const { aborted } = engine.stats();
  type('go on for ever\r');
  await terminal.seen(/w0 w1 w2/);
  type('\u0003');
  await terminal.seen(/cancelled\./);
  await until(() => engine.stats().aborted > aborted, { what: 'the engine to be told' });
  engine.set({ tickMs: 0, chunks: 3 });
  await terminal.seen(new RegExp(`cancelled[^]*${prompt.source}`));
  type('what did you say?\r');
  await terminal.seen(/w0 w1 w2 \r\n\(lab-3, /);
  const said = JSON.stringify(engine.bodies.at(-1)?.['messages']);
  assert.match(said, /go on for ever.*w0 w1 w2.*what did you say/);
  type('half a word\u0003');
  await terminal.seen(/\^D or \/exit ends/);
  type('\u0004');
  assert.equal(await terminal.exited, 0);
});
