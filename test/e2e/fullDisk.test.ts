/**
 * A disk that fills up under the journal and the database of a running server, and has room again:
 * a file system of its own, mounted where we are root.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { defaultModel } from '../../src/agent/models/defaultModel.ts';
import { maxPendingJournalBytes } from '../../src/router/limits.ts';
import { joinAgent } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import type { FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { endLeftovers, until } from '../../src/testing/processes/processes.ts';
import type { RunningProcess } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import type { ServerProcess } from '../../src/testing/processes/serverProcess.ts';
import { mountSmallDisk } from '../../src/testing/database/smallDisk.ts';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let dataDir: string;
let engine: FakeEngine;
let disk: ReturnType<typeof mountSmallDisk>;
const connections = new http.Agent({ keepAlive: true });

before(async () => {
  base = await temporaryDirectory('full-disk');
  dataDir = path.join(base.path, 'data');
  engine = await startFakeEngine({ models: [defaultModel.name] });
  disk = mountSmallDisk(dataDir, { bytes: 32 * 1024 * 1024 });
});
after(async () => {
  connections.destroy();
  endLeftovers();
  await engine.close();
  if (disk.kind === 'mounted') disk.remove();
  await base.remove();
});

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

function ask(server: ServerProcess, order: Record<string, unknown> = {}): Promise<Answer> {
  const { base_url: baseUrl, api_key: key } = server.ready;
  const { port } = new URL(baseUrl);
  const content = `fake:${JSON.stringify(order)}`;
  const stream = order['tickMs'] !== undefined;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = { method: 'POST', port, path: '/default/own/v1/chat/completions' };
  const headers = { authorization: `Bearer ${key}` };
  const outgoing = http.request({ ...options, headers, agent: connections }, (incoming) => {
    let text = '';
    incoming.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    incoming.on('error', reject).on('end', () => {
      resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text });
    });
  });
  outgoing.on('error', reject);
  outgoing.end(JSON.stringify({ stream, messages: [{ role: 'user', content }] }));
  return promise;
}

/** Asks on some connections at once until one is refused, or `most` were answered. */
async function askUntilRefused(
  server: ServerProcess,
  most: number,
): Promise<{ served: string[]; refused: Answer[] }> {
  const served: string[] = [];
  const refused: Answer[] = [];
  const keepAsking = async (): Promise<void> => {
    while (refused.length === 0 && served.length < most) {
      const answer = await ask(server, { chunks: 1 });
      if (answer.status === 200) served.push(String(answer.headers['x-request-id']));
      else refused.push(answer);
    }
  };
  await Promise.all(Array.from({ length: 16 }, keepAsking));
  return { served, refused };
}

async function journalIsOk(server: ServerProcess): Promise<boolean> {
  const { server: origin } = server.credentials();
  const metrics = await fetch(`${origin}/metrics`);
  return /^xim_journal_ok 1$/m.test(await metrics.text());
}

/** More than fit into the memory for lines, whose lines are never so short. */
const shortestLine = 256;
const mostServed = Math.ceil(maxPendingJournalBytes / shortestLine);

test('a full disk that ends a server, loses what it served, or is not survived', async (t) => {
  if (disk.kind === 'missing') return t.skip(disk.reason);
  const server = await startServerProcess({ dataDir, args: ['--no-agent'] });
  const stateDir = path.join(base.path, 'agent');
  const flags = ['--slots', '32'];
  const agent = await joinAgent(server, { stateDir, engineUrl: engine.url, flags });
  await until(async () => (await ask(server)).status === 200, { what: 'the first answer' });

  const early = ask(server, { chunks: 40, tickMs: 50 });
  await until(() => engine.stats().active === 1, { what: 'a stream to have begun' });
  disk.fill({ leaveBytes: 0 });
  // What the journal cannot write it keeps, as long as there is room; what runs is never touched.
  const { served, refused } = await askUntilRefused(server, mostServed);
  assert.match((await early).text, /w39 .*data: \[DONE\]\n\n$/s);
  assert.ok(served.length > 1_000, `${served.length} were served`);
  assert.ok(refused.length > 0, `${served.length} were served, and no end of it`);
  for (const answer of refused) {
    assert.equal(answer.status, 503, answer.text);
    const { error } = JSON.parse(answer.text) as { error: { code: string; type: string } };
    assert.deepEqual([error.code, error.type], ['journal_unavailable', 'server_error']);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
  }
  assert.equal(await journalIsOk(server), false);

  disk.makeRoom();
  await until(async () => (await ask(server)).status === 200, { what: 'room', timeoutMs: 30_000 });
  await until(() => journalIsOk(server), { what: 'the journal to be well' });
  served.push(String((await early).headers['x-request-id']));
  await endAll(server, agent);
  assertAllRecorded(served);
});

async function endAll(...all: readonly RunningProcess[]): Promise<void> {
  for (const one of all) assert.equal(await one.end(), 0, one.err());
}

/** One row for each, and nothing left in the journal. */
function assertAllRecorded(served: readonly string[]): void {
  const database = new DatabaseSync(path.join(dataDir, 'xim.db'), { readOnly: true });
  const rows = database.prepare(`select request_id from usage_records where outcome = 'completed'`);
  const recorded = rows.all().map((row) => row['request_id']);
  database.close();
  const missed = served.filter((requestId) => !recorded.includes(requestId));
  assert.deepEqual(missed, []);
  assert.equal(new Set(recorded).size, recorded.length);
  assert.deepEqual(readdirSync(path.join(dataDir, 'journal')), []);
}
