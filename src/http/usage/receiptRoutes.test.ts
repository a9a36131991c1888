/** Receipts over HTTP, of the real router with a fake agent. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { ActiveRequestAnswer, ReceiptAnswer } from '../../api/control/requests.ts';
import type { Router } from '../../router/router.ts';
import type { ReceiptLine } from '../../router/receipts/receiptExport.ts';
import { inviteCast, type Cast } from '../../testing/cast.ts';
import { usageRow } from '../../testing/database/storeRows.ts';
import {
  openPlatformHarness,
  type HttpHarness,
  type Reply,
} from '../../testing/http/httpHarness.ts';
import { echoes, stalls, type FakeAgent } from '../../testing/links/fakeAgent.ts';
import { joinOverHttp } from '../../testing/links/joinOverHttp.ts';
import { until } from '../../testing/router/routerHarness.ts';

let harness: HttpHarness<Router>;
let agent: FakeAgent;
let cast: Cast;
let page: Record<string, string>;

before(async () => {
  harness = await openPlatformHarness();
  page = await harness.signIn();
  cast = await inviteCast(harness, { base: harness.base });
  agent = await joinOverHttp(harness);
});
after(() => harness.close());
afterEach(() => {
  agent.script = echoes;
});

const messages = [{ role: 'user' as const, content: 'what is secret here stays here' }];
const project = '/api/v1/projects/default';

async function ask(): Promise<string> {
  const { apiKey: key } = harness.credentials;
  const path = '/default/own/v1/chat/completions';
  const reply = await harness.call('POST', path, { key, body: { messages } });
  assert.equal(reply.status, 200, reply.text);
  return String(reply.headers['x-request-id']);
}

const get = (path: string): Promise<Reply> => harness.call('GET', path, { headers: page });

test('a receipt does not say who served, or tells what was asked', async () => {
  const id = await ask();
  const reply = await get(`${project}/requests/${id}`);
  assert.equal(reply.status, 200, reply.text);
  const receipt = reply.json as ReceiptAnswer;
  assert.deepEqual([receipt.state, receipt.kept, receipt.agent], ['finished', true, 'desk']);
  const [attempt] = receipt.attempts;
  assert.deepEqual([attempt?.agent, attempt?.end], ['desk', 'served']);
  assert.deepEqual(
    attempt?.candidates.map((one) => [one.agent, one.taken]),
    [['desk', true]],
  );
  assert.match(receipt.why, /^desk was the only one/);
  assert.ok(!reply.text.includes('secret'));
  assert.ok(!reply.text.includes(harness.credentials.apiKey));
  // The same address below the project, by key.
  const { managementKey } = harness.credentials;
  const byKey = await harness.call('GET', `/default/v1/requests/${id}`, { key: managementKey });
  assert.deepEqual((byKey.json as ReceiptAnswer).attempts, receipt.attempts);
});

test('another project sees a receipt, or hears that there is one (P1)', async () => {
  const id = await ask();
  const headers = await cast.callers.strangerKey();
  const foreign = `/api/v1/projects/${cast.foreign.slug}/requests`;
  const there = await harness.call('GET', `${foreign}/${id}`, { headers });
  const nowhere = await harness.call('GET', `${foreign}/req_nothing`, { headers });
  assert.equal(there.status, 404);
  assert.deepEqual([there.status, there.text], [nowhere.status, nowhere.text]);
});

test('a request of long ago is not found, or what is not kept is made up', async () => {
  const { id: projectId } = harness.credentials.project;
  await harness.store.recordUsage([usageRow(77, { projectId, agentId: 'somebody', shared: true })]);
  const { requestId } = usageRow(77);
  const reply = await get(`${project}/requests/${requestId}`);
  const { kept, attempts, agent: who, foreseen } = reply.json as ReceiptAnswer;
  assert.deepEqual([kept, attempts, who, foreseen], [false, [], 'shared', null]);
});

test('a request that waits has no place in line, or one that runs has', async () => {
  agent.script = stalls();
  const aborter = new AbortController();
  const { apiKey } = harness.credentials;
  const send = (): Promise<unknown> =>
    fetch(`${harness.base}/default/own/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ messages, stream: true }),
      signal: aborter.signal,
    }).catch(() => {});
  // The agent grants two.
  const asked = [send(), send(), send(), send()];
  const isFull = (): boolean => {
    const { waiting, running } = harness.router.stats();
    return waiting === 2 && running === 2;
  };
  await until(isFull);
  const active = (await get(`${project}/requests/active`)).json as { data: ActiveRequestAnswer[] };
  // Which of them came first is the sockets' business.
  const data = active.data.toSorted((one, other) => (one.position ?? 0) - (other.position ?? 0));
  assert.deepEqual(
    data.map(({ state, position, agent: on }) => [state, position, on]),
    [
      ['running', null, 'desk'],
      ['running', null, 'desk'],
      ['waiting', 1, null],
      ['waiting', 2, null],
    ],
  );
  const receipts = await Promise.all(
    data.map(async ({ id }) => (await get(`${project}/requests/${id}`)).json as ReceiptAnswer),
  );
  const told = receipts.map((one) => [one.state, one.waiting?.position ?? null, one.outcome]);
  assert.deepEqual(told[0], ['running', null, null]);
  assert.deepEqual(told[3], ['waiting', 2, null]);
  assert.equal(receipts[0]?.attempts[0]?.end, 'running');
  assert.match(receipts[3]?.why ?? '', /position 2/);
  // Of whom it waits for, and for how long already.
  const { queue_ms: waits = 0, not_candidates: misses } = receipts[3] ?? {};
  assert.ok((waits ?? 0) > 0);
  const busy = misses?.nearest.find(({ reason }) => reason === 'busy');
  assert.equal(busy?.agent, 'desk');
  aborter.abort();
  await Promise.all(asked);
  await until(() => harness.router.stats().running === 0);
});

test('an export names anybody, or is no trace', async () => {
  await ask();
  await ask();
  const reply = await get('/api/v1/platform/receipts');
  assert.equal(reply.status, 200, reply.text);
  assert.match(String(reply.headers['content-type']), /^application\/x-ndjson/);
  const lines = reply.text.trimEnd().split('\n');
  const parsed = lines.map((line) => JSON.parse(line) as ReceiptLine);
  assert.ok(parsed.length >= 2);
  for (const { xim_receipt: version, project: of, attempts, outcome } of parsed) {
    assert.deepEqual([version, of], [1, 'p1']);
    if (outcome === 'completed')
      assert.deepEqual(
        attempts.map(({ agent: on }) => on),
        ['a1'],
      );
  }
  const { id } = harness.credentials.project;
  for (const name of ['desk', id, 'default', 'secret']) assert.ok(!reply.text.includes(name), name);
  const none = await get('/api/v1/platform/receipts?to=2020-01-01T00:00:00Z');
  assert.deepEqual([none.status, none.text], [200, '']);
});
