/** What requests come to, over HTTP. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { PageAnswer } from '../../api/control/lists.ts';
import type { RequestAnswer } from '../../api/control/requests.ts';
import type { UsageAnswer } from '../../api/control/usage.ts';
import { openHttpHarness, type HttpHarness, type Reply } from '../../testing/http/httpHarness.ts';
import { usageRow } from '../../testing/database/storeRows.ts';

const hourMs = 3_600_000;
const rows = 1_200;

let harness: HttpHarness;
let page: Record<string, string>;
/** The midnight before the harness's now. */
let midnightMs: number;

before(async () => {
  harness = await openHttpHarness();
  page = await harness.signIn();
  const nowMs = harness.clock.now();
  midnightMs = nowMs - (nowMs % (24 * hourMs));
  const { id: projectId } = harness.credentials.project;
  const endpoints = await harness.store.endpointsOf(projectId);
  const endpoint = endpoints.find(({ slug }) => slug === 'own');
  assert.ok(endpoint !== undefined);
  const { id: endpointId, slug: endpointSlug, modelId } = endpoint;
  const about = { projectId, endpointId, endpointSlug, modelId };
  const agent = { agentId: 'none-of-ours', shared: true, tier: 'free', costMicros: 1_250 };
  await harness.store.recordUsage(
    Array.from({ length: rows }, (_none, at) =>
      usageRow(at, {
        ...about,
        ...agent,
        ...(at < 3 ? { endpointId: 'ep_cmd', endpointSlug: '=cmd()' } : {}),
        startedAtMs: midnightMs - 48 * hourMs + at * 60_000,
        outcome: at % 100 === 7 ? 'rate_limit_exceeded' : 'completed',
      }),
    ),
  );
  await harness.store.recordUsage([usageRow(9_999, { ...about, projectId: 'proj_x' })]);
});
after(() => harness.close());

const get = (path: string): Promise<Reply> =>
  harness.call('GET', `/api/v1/projects/default${path}`, { headers: page });

async function usage(query = ''): Promise<UsageAnswer> {
  const reply = await get(`/usage${query}`);
  assert.equal(reply.status, 200, reply.text);
  return reply.json as UsageAnswer;
}

test('sums of a month are not those of its requests', async () => {
  const { total, data, group_by: by, truncated } = await usage();
  assert.deepEqual(total, {
    requests: rows,
    succeeded: rows - 12,
    input_tokens: rows * 12,
    cached_tokens: 0,
    output_tokens: rows * 34,
    cost: '1.500000',
    agent_seconds: 0,
    agent_cost: '0.000000',
  });
  assert.deepEqual([data, by, truncated], [[], [], false]);
});

test('days, names and filters are mixed up', async () => {
  const days = await usage('?group_by=day');
  const first = new Date(midnightMs - 48 * hourMs).toISOString().slice(0, 10);
  assert.deepEqual(
    days.data.map(({ day, requests, cost }) => [day, requests, cost]),
    [[first, 1_200, '1.500000']],
  );
  const hours = await usage('?group_by=endpoint,hour&endpoint=own');
  assert.equal(hours.data.length, 20);
  assert.deepEqual([hours.data[0]?.endpoint, hours.data[0]?.requests], ['own', 57]);
  const from = encodeURIComponent(new Date(midnightMs - 47 * hourMs).toISOString());
  const to = encodeURIComponent(new Date(midnightMs - 45 * hourMs).toISOString());
  const some = await usage(`?from=${from}&to=${to}&group_by=tier,agent,model,api_key`);
  assert.equal(some.total.requests, 120);
  const [group] = some.data;
  assert.deepEqual(
    [group?.tier, group?.agent, group?.agent_id, group?.model, group?.api_key, group?.api_key_id],
    ['free', 'shared', null, 'Test model', null, 'key_a'],
  );
  assert.equal((await usage('?agent=shared&tier=free')).total.requests, rows);
  assert.equal((await usage('?agent=none-of-ours')).total.requests, 0);
});

test('a range or a grouping that cannot be is taken, or its refusal names no rule', async () => {
  const refused = async (query: string): Promise<string> => {
    const reply = await get(`/usage?${query}`);
    assert.equal(reply.status, 400, reply.text);
    return (reply.json as { error: { message: string } }).error.message;
  };
  assert.match(await refused('group_by=day,colour'), /"colour"; it may name each of hour, day,/);
  assert.match(await refused('group_by=day,day'), /"day"/);
  assert.match(await refused('group_by=day,hour'), /one of them/);
  assert.match(await refused('from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z'), /before 'to'/);
  assert.match(await refused('from=2020-01-01T00:00:00Z&to=2022-01-01T00:00:00Z'), /400 days/);
  assert.match(await refused('tier=gold'), /tiers are: free/);
  assert.match(await refused('from=yesterday'), /from/);
});

test('a list by what requests are about leaves some out, or hides what they cost', async () => {
  const found: RequestAnswer[] = [];
  let next: string | null = '';
  while (next !== null) {
    const after_ = next === '' ? '' : `&after=${next}`;
    const reply = await get(`/usage/records?outcome=rate_limit_exceeded&limit=5${after_}`);
    const answer = reply.json as PageAnswer<RequestAnswer>;
    found.push(...answer.data);
    next = answer.next_cursor;
  }
  assert.equal(found.length, 12);
  assert.deepEqual([found[0]?.cost, found[0]?.agent], ['0.001250', 'shared']);
});

test('a way to end that there is not is an empty list', async () => {
  for (const file of ['records', 'records.csv']) {
    const reply = await get(`/usage/${file}?outcome=nonsense`);
    assert.equal(reply.status, 400);
    assert.match(reply.text, /outcome.*queue_timeout/);
  }
});

test('a CSV file breaks at a page, or runs what a name says', async () => {
  const file = await get('/usage/records.csv?tier=free');
  assert.equal(file.status, 200);
  assert.match(String(file.headers['content-type']), /^text\/csv; charset=utf-8/);
  assert.equal(file.headers['content-disposition'], 'attachment; filename="requests.csv"');
  const lines = file.text.split('\r\n');
  assert.equal(lines.pop(), '');
  assert.equal(lines.length, rows + 1);
  assert.match(lines[0] ?? '', /^id,started_at,endpoint,model,/);
  assert.equal(new Set(lines.map((line) => line.split(',')[0])).size, rows + 1);
  assert.match(
    lines.at(-1) ?? '',
    /^req_000000,[^,]+Z,'=cmd\(\),Test model,,shared,free,completed,/,
  );
  const sums = await get('/usage/summary.csv?group_by=endpoint');
  assert.deepEqual(
    sums.text
      .split('\r\n')
      .map((line) => line.split(',').filter((_cell, at) => at !== 1 && at < 8)),
    [
      [
        'endpoint',
        'requests',
        'succeeded',
        'input_tokens',
        'cached_tokens',
        'output_tokens',
        'cost',
      ],
      ['own', '1197', '1185', '14364', '0', '40698', '1.496250'],
      ["'=cmd()", '3', '3', '36', '0', '102', '0.003750'],
      [''],
    ],
  );
  const totals = await get('/usage/summary.csv');
  assert.match(totals.text, /^requests,succeeded,.*\r\n1200,1188,/);
});

test('the source platform’s address answers otherwise', async () => {
  const { managementKey: key } = harness.credentials;
  const reply = await harness.call('GET', '/default/v1/usage?group_by=day', { key });
  assert.equal(reply.status, 200);
  assert.equal((reply.json as UsageAnswer).total.requests, rows);
});

test('the time of an own agent is not on the bill', async () => {
  const { id: projectId } = harness.credentials.project;
  const fromMs = midnightMs - 3 * hourMs;
  const span = { agentId: 'gone', projectId, fromMs, toMs: fromMs + 1.5 * hourMs };
  await harness.control.usageSink.uptime([span]);
  await harness.control.usageSink.uptime([span]);
  const { total, data } = await usage('?group_by=day,agent&tier=self_hosted');
  assert.deepEqual([total.agent_seconds, total.agent_cost], [5_400, '0.041096']);
  assert.deepEqual(
    data.map(({ agent, agent_id: id, agent_seconds: seconds, cost }) => [agent, id, seconds, cost]),
    [[null, 'gone', 5_400, '0.041096']],
  );
});
