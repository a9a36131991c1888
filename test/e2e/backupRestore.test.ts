/**
 * A server that is backed up while it serves, and set back to the backup when its agent has got new
 * tokens since.
 */
import assert from 'node:assert/strict';
import { existsSync, renameSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { assertGolden } from '../../src/testing/golden.ts';
import { joinAgent } from '../../src/testing/processes/agentProcess.ts';
import {
  endLeftovers,
  repository,
  startProcess,
  until,
} from '../../src/testing/processes/processes.ts';
import type { RunningProcess } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ServerProcess } from '../../src/testing/processes/serverProcess.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let server: ServerProcess;
let agent: RunningProcess;
let port: string;
const place = (name: string): string => path.join(base.path, name);

before(async () => {
  base = await temporaryDirectory('backup');
  engine = await startFakeEngine({ chunks: 3 });
  server = await start('0');
  ({ port } = new URL(server.ready.base_url));
  agent = await joinAgent(server, { ...agentOptions(), engineUrl: engine.url });
});
after(async () => {
  endLeftovers();
  await engine.close();
  await base.remove();
});

function start(onPort: string): Promise<ServerProcess> {
  const args = ['--no-agent', '--port', onPort];
  return startServerProcess({ dataDir: place('data'), args });
}

const agentOptions = () => ({
  stateDir: place('state'),
  flags: ['--serve', 'SmolLM2-135M-Instruct=fake-model'],
});

/** The agent's process again, with the state that it has. */
async function restartAgent(): Promise<void> {
  await agent.end();
  const entry = path.join(repository, 'src', 'main', 'agent.ts');
  const { stateDir, flags } = agentOptions();
  const { server: url } = server.credentials();
  const args = ['--server', url, '--state-dir', stateDir, '--engine-url', engine.url, ...flags];
  agent = startProcess(process.execPath, [entry, ...args]);
  await agent.seen(/ is ready$/m);
}

async function ask(): Promise<number> {
  const { base_url: url, api_key: key } = server.ready;
  const response = await fetch(`${url.replace('/default/v1', '/own/v1')}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'own', messages: [{ role: 'user', content: 'hello' }] }),
  });
  await response.text();
  return response.status;
}

/** Runs `xim` with its data directory and returns how it ended. */
async function xim(...words: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const args = [path.join(repository, 'bin', 'xim'), ...words, '--data-dir', place('data')];
  const running = startProcess(process.execPath, args);
  const code = await running.exited;
  return { code, out: running.out(), err: running.err() };
}

/** What differs from run to run, made the same. */
const settled = (text: string): string =>
  text
    .replaceAll(base.path, '/srv/xim')
    .replaceAll(/\d+\.\d+ MB/g, '1.2 MB')
    .replaceAll(/schema \d+/g, 'schema N')
    .replaceAll(/\d{8}T\d{6}Z/g, '20260101T000000Z');

function generationIn(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true });
  const row = database.prepare('select generation from agents').get();
  database.close();
  return Number(row?.['generation']);
}

test('a backup needs a stopped server, stops requests, or says nothing of the keys', async () => {
  let stop: boolean = false;
  const statuses: number[] = [];
  const load = (async () => {
    while (!stop) statuses.push(await ask());
  })();
  await until(() => statuses.length > 3, { what: 'answers' });
  const { code, out, err } = await xim('backup', place('backup.db'));
  stop = true;
  await load;
  assert.equal(code, 0, err);
  assert.deepEqual([...new Set(statuses)], [200]);
  assertGolden('serve/backup.txt', settled(out));
  const again = await xim('backup', place('backup.db'));
  assert.equal(again.code, 1);
  assert.match(again.err, /is there already; --force takes its place/);
  const nowhere = await xim('backup', place('nowhere/backup.db'));
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.err, /There is no directory .*nowhere; make it first/);
});

test('a restore under a running server', async () => {
  const { code, err } = await xim('restore', place('backup.db'));
  assert.equal(code, 3);
  assert.match(err, /Another server already uses the data directory/);
  assert.equal(await ask(), 200);
});

test('a restore with another key file leaves a server that cannot start', async () => {
  await server.end();
  renameSync(place('data/secrets.key'), place('secrets.key'));
  const { code, err } = await xim('restore', place('backup.db'));
  renameSync(place('secrets.key'), place('data/secrets.key'));
  assert.equal(code, 3);
  assert.match(err, /Nothing was changed: .*secrets\.key is missing/);
  assert.ok(!existsSync(place('data/xim.db.restoring')));
  server = await start(port);
});

test('agents that refreshed after the backup are suspended by the restore', async () => {
  for (let time = 0; time < 3; time += 1) await restartAgent();
  await server.end();
  const backedUp = generationIn(place('backup.db'));
  assert.ok(generationIn(place('data/xim.db')) >= backedUp + 3, 'the agent did not refresh');
  const { code, out, err } = await xim('restore', place('backup.db'));
  assert.equal(code, 0, err);
  assertGolden('serve/restore.txt', settled(out));
  assert.equal(generationIn(place('data/xim.db')), backedUp);
  server = await start(port);
  await restartAgent();
  assert.equal(await ask(), 200);
  assert.ok(generationIn(place('data/xim.db')) > backedUp + 3);
  const events = await xim('agents', 'list', '-o', 'json');
  assert.match(events.out, /"state":"active"/);
});

test('a server of another database is told to use what it has', async () => {
  const { code, err } = await xim('backup', place('pg'), '--database-url', 'postgres://localhost');
  assert.equal(code, 2);
  assert.match(err, /pg_dump/);
});
