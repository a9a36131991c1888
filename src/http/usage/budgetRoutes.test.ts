/** Budgets from the call that sets one to the request that it refuses; the engine is a fake. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI, { RateLimitError } from 'openai';
import type { BudgetAnswer } from '../../api/control/budgets.ts';
import type { PageAnswer } from '../../api/control/lists.ts';
import type { StatusAnswer } from '../../api/control/status.ts';
import type { UsageAnswer } from '../../api/control/usage.ts';
import { tierTable } from '../../domain/tiers/tiers.ts';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import type { FakeAgent } from '../../testing/links/fakeAgent.ts';
import {
  openPlatformHarness,
  type PlatformHarness,
  type Reply,
} from '../../testing/http/httpHarness.ts';
import { joinOverHttp } from '../../testing/links/joinOverHttp.ts';
import { until } from '../../testing/until.ts';

const messages = [{ role: 'user' as const, content: 'hi' }];
/** One unit for each token. */
const price = { kind: 'per_million_tokens', amount: 1_000_000 } as const;

let harness: PlatformHarness;
let agent: FakeAgent;
let page: Record<string, string>;
before(async () => {
  const tiers = tierTable({ cpu_intel_optimized: { price } });
  harness = await openPlatformHarness({ control: { tiers } });
  // It begins with the month, and requests with their first byte, a little before.
  harness.clock.jumpWall(60_000);
  agent = await joinOverHttp(harness, { shared: true, slots: 64 });
  agent.script = (request) => {
    request.stream.head({ status: 200, contentType: 'application/json' });
    request.stream.write(Buffer.from('{}'));
    request.finish({ usage: { input: 16, cached: 0, output: 1 } });
  };
  page = await harness.signIn();
});
after(() => harness.close());

const path = '/api/v1/projects/default/budgets';
const budget = (method: string, id: string, body?: object, headers: object = {}): Promise<Reply> =>
  harness.call(method, `${path}/${id}`, { headers: { ...page, ...headers }, body });

function ask(): Promise<Reply> {
  const { apiKey: key } = harness.credentials;
  const chat = '/default/default/v1/chat/completions';
  return harness.call('POST', chat, { key, body: { messages, max_tokens: 4 } });
}

/** The state of a budget in the data plane. */
const stateOf = (id: string): string | undefined => {
  const { project } = harness.credentials;
  return harness.router.budgetsOf(project.id).find(({ entry }) => entry.id === id)?.state;
};

test('a budget warns of nothing, stops nobody, or cannot be raised', async () => {
  const { project } = harness.credentials;
  assert.equal((await budget('GET', 'project')).status, 404);
  const made = await budget('PUT', 'project', { amount: '20', hard_stop: true });
  assert.equal(made.status, 200, made.text);
  const first = made.json as BudgetAnswer;
  assert.deepEqual(
    [first.id, first.scope, first.amount, first.spent, first.used, first.state, first.warned_at],
    ['project', 'project', '20.000000', '0.000000', 0, 'ok', null],
  );
  await until(() => stateOf(project.id) === 'ok');
  assert.equal((await ask()).headers['x-xim-budget-used'], undefined);
  assert.equal(stateOf(project.id), 'warning');
  const near = await ask();
  assert.deepEqual([near.status, near.headers['x-xim-budget-used']], [200, '0.85']);

  const seen = agent.requests.length;
  const refused = await ask();
  assert.equal(refused.status, 429);
  assert.equal(refused.headers['x-should-retry'], 'false');
  assert.equal(refused.headers['retry-after'], undefined);
  const { error } = refused.json as { error: Record<string, unknown> };
  assert.deepEqual([error['type'], error['code']], ['insufficient_quota', 'insufficient_quota']);
  const limit = { name: 'budget', value: '20.000000', used: '34.000000' };
  assert.deepEqual(error['limit'], { ...limit, resets: first.resets_at });
  assert.match(String(error['message']), /budget of this project is used up \(budget = 20\.0/);
  assert.equal(agent.requests.length, seen);

  const status = (await harness.call('GET', '/api/v1/status', { headers: page })).json;
  const notice = (status as StatusAnswer).notices.find(({ code }) => code === 'budget_stopped');
  assert.match(notice?.message ?? '', /'default' has used up .* 34\.000000 of 20\.000000/);
  await harness.router.directory.refresh();
  const raised = await budget('PUT', 'project', { amount: '100.5' }, { 'if-match': '"1"' });
  assert.equal(raised.status, 200, raised.text);
  assert.equal(raised.headers.etag, '"2"');
  await until(() => stateOf(project.id) === 'ok');
  assert.equal((await ask()).status, 200);
  const stale = await budget('PUT', 'project', { amount: '5' }, { 'if-match': '"1"' });
  assert.equal(stale.status, 409);
});

test('what the store says of a budget is not what was spent, or nobody is warned', async () => {
  await until(async () => {
    const usage = await harness.call('GET', '/api/v1/projects/default/usage', { headers: page });
    const { total, budget: shown } = usage.json as UsageAnswer;
    return total.cost === '51.000000' && shown?.spent === '51.000000';
  });
  const audit = '/api/v1/projects/default/audit?action=budget.warn';
  const notes = await harness.call('GET', audit, { headers: page });
  const { data } = notes.json as PageAnswer<{ actor: string; changes: object }>;
  assert.equal(data.length, 1);
  assert.equal(data[0]?.actor, 'system');
  assert.equal(JSON.stringify(data[0]?.changes).includes('17.000000'), true);
});

test('the client library retries a key that is stopped, or another key is', async () => {
  const { apiKey } = harness.credentials;
  const key = await harness.store.apiKeyByHash(sha256Hex(apiKey));
  assert.ok(key !== null);
  assert.equal((await budget('PUT', 'key_nobody', { amount: '1' })).status, 404);
  const wrong = await budget('PUT', key.id, { amount: '-1' });
  assert.deepEqual(
    [wrong.status, (wrong.json as { error: { param: string } }).error.param],
    [400, 'amount'],
  );
  const made = await budget('PUT', key.id, { amount: '17', hard_stop: true });
  assert.equal((made.json as BudgetAnswer).api_key, key.name);
  await until(() => stateOf(key.id) === 'stopped');
  let tries = 0;
  const client = new OpenAI({
    apiKey,
    baseURL: `${harness.base}/default/default/v1`,
    maxRetries: 2,
    fetch: (...args) => {
      tries += 1;
      return fetch(...args);
    },
  });
  await assert.rejects(client.chat.completions.create({ model: 'x', messages }), (error) => {
    assert.ok(error instanceof RateLimitError);
    assert.equal(error.code, 'insufficient_quota');
    assert.match(error.message, /budget of this API key .*key_budget = 17/);
    return true;
  });
  assert.equal(tries, 1);
  const listed = (await harness.call('GET', path, { headers: page })).json;
  assert.deepEqual(
    (listed as PageAnswer<BudgetAnswer>).data.map(({ id, state }) => [id, state]),
    [
      ['project', 'ok'],
      [key.id, 'stopped'],
    ],
  );
  assert.equal((await budget('DELETE', key.id)).status, 200);
  await until(() => stateOf(key.id) === undefined);
  assert.equal((await ask()).status, 200);
  assert.equal((await budget('DELETE', key.id)).status, 404);
});
