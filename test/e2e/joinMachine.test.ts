/**
 * A second machine joins with the pasted line: another network, the oldest Node, nothing else of
 * ours, over TLS with the server's own certificate.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pinnedConnect } from '../../src/lib/network/pinnedTls.ts';
import { createJoinKey } from '../../src/testing/processes/agentProcess.ts';
import { openOtherMachine } from '../../src/testing/processes/otherMachine.ts';
import type { OtherMachine } from '../../src/testing/processes/otherMachine.ts';
import { endLeftovers, repository, until } from '../../src/testing/processes/processes.ts';
import type { RunningProcess } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ServerProcess } from '../../src/testing/processes/serverProcess.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let machine: OtherMachine | undefined;
let reason: string;
let server: ServerProcess;
let engineUrl: string;
let agent: RunningProcess;

before(async () => {
  base = await temporaryDirectory('join');
  const opened = openOtherMachine({ directory: path.join(base.path, 'machine') });
  if (opened.kind === 'missing') {
    reason = opened.reason;
    return;
  }
  machine = opened.machine;
  server = await startServerProcess({
    dataDir: path.join(base.path, 'data'),
    args: ['--no-agent', '--host', machine.hostAddress],
  });
  // On the machine's own loopback: whoever answers through it runs there.
  const fake = path.join(repository, 'src', 'testing', 'engines', 'fakeEngine.ts');
  const engine = machine.start(process.execPath, [fake, '--port', '0']);
  const [line] = await engine.seen(/^\{.*\}$/m);
  engineUrl = (JSON.parse(line) as { url: string }).url;
});
after(async () => {
  endLeftovers();
  machine?.remove();
  await base.remove();
});

/** A request to the endpoint `own`, over TLS with the server's pin. */
function askOwn(): Promise<{ status: number; agent: string; text: string }> {
  const { server: url, pin, api_key: key } = server.credentials();
  return new Promise((resolve, reject) => {
    const request = https.request(`${url}/default/own/v1/chat/completions`, {
      method: 'POST',
      createConnection: pinnedConnect(pin) as never,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    });
    request.on('error', reject);
    request.on('response', (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () => {
        const name = String(answer.headers['x-xim-agent']);
        resolve({ status: answer.statusCode ?? 0, agent: name, text });
      });
    });
    const messages = [{ role: 'user', content: 'hello' }];
    request.end(JSON.stringify({ model: 'own', messages }));
  });
}

/** What the owner adds to the line: an engine, and its name for the model. */
const attached = (): string =>
  ` -s -- --engine-url ${engineUrl} --serve SmolLM2-135M-Instruct=fake-model`;

test('a line that works only where we are installed', async (t) => {
  if (machine === undefined) return t.skip(reason);
  const key = await createJoinKey(server, ['--name', 'lab-3', '--region', 'datacenter-3']);
  assert.match(key.join_command, /^curl -fsS -k --pinnedpubkey sha256\/\/\S+ https:\/\/10\./);
  assert.ok(key.join_command.endsWith(`XIM_JOIN_KEY=${key.key} sh`));
  agent = machine.shell(key.join_command_node + attached());
  await agent.seen(/ is ready$/m);
  const answer = await askOwn();
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.agent, 'lab-3');
  assert.match(answer.text, /"content":"w0 w1 /);
  const installed = path.join(machine.home, '.local', 'share', 'xim-agent');
  assert.deepEqual(readdirSync(installed).toSorted(), ['state', 'versions', 'xim']);
  assert.equal(statSync(path.join(installed, 'state')).mode & 0o777, 0o700);
  const state = path.join(installed, 'state', 'agent.json');
  assert.equal(statSync(state).mode & 0o777, 0o600);
});

test('a join key that enrols a second machine, or is tried for ever', async (t) => {
  if (machine === undefined) return t.skip(reason);
  const key = await createJoinKey(server);
  const line = key.join_command_node + attached();
  const one = machine.shell(line, { XIM_HOME: path.join(base.path, 'one') });
  await one.seen(/ is ready$/m);
  const two = machine.shell(line, { XIM_HOME: path.join(base.path, 'two') });
  assert.equal(await two.exited, 7, two.err());
  assert.match(two.err(), /no use left|used up/);
  await one.end();
});

test('a restart that needs the key or the address again', async (t) => {
  if (machine === undefined) return t.skip(reason);
  await agent.end();
  const xim = path.join(machine.home, '.local', 'share', 'xim-agent', 'xim');
  const options = `--engine-url ${engineUrl} --serve SmolLM2-135M-Instruct=fake-model`;
  agent = machine.shell(`exec ${xim} agent ${options}`);
  await agent.seen(/ is ready$/m);
  await until(async () => (await askOwn()).agent === 'lab-3', { what: 'an answer of lab-3' });
});

test('a server with another key that gets a byte, or whose script is executed', async (t) => {
  if (machine === undefined) return t.skip(reason);
  const key = await createJoinKey(server);
  const { pin } = server.credentials();
  const wrong = `sha256//${'A'.repeat(43)}=`;
  const home = path.join(base.path, 'wrong');
  const bare = (pin ?? '').slice('sha256//'.length);
  const line = key.join_command_node.replace(bare, wrong.slice('sha256//'.length));
  assert.notEqual(line, key.join_command_node);
  const fetched = machine.shell(line, { XIM_HOME: home });
  await fetched.exited;
  assert.match(fetched.err(), /another key than the pasted line/);
  assert.ok(!existsSync(home));
  const { server: url } = server.credentials();
  const xim = path.join(repository, 'src', 'main', 'agent.ts');
  const flags = ['--server', url, '--pin', wrong, '--engine-url', engineUrl, '--state-dir', home];
  const before = [`XIM_JOIN_KEY=${key.key}`, process.execPath, xim];
  const enrolling = machine.start('/usr/bin/env', [...before, ...flags]);
  assert.equal(await enrolling.exited, 7);
  assert.match(enrolling.err(), /key/);
});

test('a join key sent in the clear to another machine', async (t) => {
  if (machine === undefined) return t.skip(reason);
  const xim = path.join(repository, 'src', 'main', 'agent.ts');
  const home = path.join(base.path, 'plain');
  const { port } = new URL(server.credentials().server);
  const url = `http://${machine.hostAddress}:${port}`;
  const flags = ['--server', url, '--state-dir', home, '--engine-url', engineUrl];
  const before = ['XIM_JOIN_KEY=xjk_a_b', process.execPath, xim];
  const plain = machine.start('/usr/bin/env', [...before, ...flags]);
  assert.equal(await plain.exited, 7);
  assert.match(plain.err(), /plain HTTP to another machine/);
});
