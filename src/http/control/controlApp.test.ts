import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import type { AgentAnswer } from '../../api/control/agents.ts';
import type { EndpointAnswer } from '../../api/control/endpoints.ts';
import type { CreatedJoinKeyAnswer } from '../../api/control/joinKeys.ts';
import type { SessionAnswer } from '../../api/control/sessions.ts';
import { statusContracts, type LiveSnapshot, type StatusAnswer } from '../../api/control/status.ts';
import { enrolledAgent } from '../../testing/http/controlHarness.ts';
import { openHttpHarness, type HttpHarness, type Reply } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
let page: Record<string, string>;
before(async () => {
  harness = await openHttpHarness({ limits: { liveIntervalMs: 20, liveClients: 2 } });
  page = await harness.signIn();
});
after(() => harness.close());

const project = '/api/v1/projects/default';

function codeOf(reply: Reply): unknown {
  return (reply.json as { error: { code: unknown } }).error.code;
}

function get<Answer>(path: string): Promise<Answer> {
  return harness.call('GET', path, { headers: page }).then((reply) => {
    assert.equal(reply.status, 200, reply.text);
    return reply.json as Answer;
  });
}

test('a session whose cookie scripts, other sites or data routes can get', async () => {
  const { email, password } = harness.credentials.admin;
  const headers = { origin: harness.base, 'content-type': 'application/json' };
  const reply = await harness.call('POST', '/api/v1/sign-in', {
    headers,
    body: { email, password },
  });
  const [cookie = ''] = reply.headers['set-cookie'] ?? [];
  assert.match(cookie, /^xim_session=[A-Za-z0-9_-]{43};/);
  for (const part of ['HttpOnly', 'SameSite=Strict', 'Path=/api/v1', 'Expires=']) {
    assert.ok(cookie.includes(part), part);
  }
  assert.doesNotMatch(cookie, /Secure/);
  const answer = reply.json as SessionAnswer;
  assert.equal(answer.user.email, email);
  assert.equal(answer.must_change_password, false);
  assert.equal(answer.projects[0]?.slug, 'default');
  assert.equal(answer.projects[0]?.role, 'owner');
});

test('a cookie that travels in the clear where the site is reached by TLS', async () => {
  const secure = await openHttpHarness({ config: { publicUrl: () => 'https://xim.example' } });
  try {
    const { email, password } = secure.credentials.admin;
    const headers = { origin: 'https://xim.example', 'content-type': 'application/json' };
    const body = { email, password };
    const reply = await secure.call('POST', '/api/v1/sign-in', { headers, body });
    assert.match(reply.headers['set-cookie']?.[0] ?? '', /Secure/);
  } finally {
    await secure.close();
  }
});

test('a change that another site makes in the owner’s name', async () => {
  const { cookie = '' } = page;
  const json = { 'content-type': 'application/json' };
  const foreign: Record<string, string>[] = [
    { ...json },
    { ...json, origin: 'https://evil.example' },
    { ...json, origin: 'null' },
    { ...json, origin: harness.base, 'sec-fetch-site': 'cross-site' },
    { ...json, origin: harness.base, 'sec-fetch-site': 'same-site' },
    { ...json, origin: `http://localhost.evil:${harness.port}` },
    { ...json, origin: 'https://evil.example', host: 'evil.example' },
  ];
  for (const headers of foreign) {
    const sent = { ...headers, cookie };
    const reply = await harness.call('POST', `${project}/join-keys`, { headers: sent, body: {} });
    assert.deepEqual([reply.status, codeOf(reply)], [403, 'cross_site_request']);
    const signIn = await harness.call('POST', '/api/v1/sign-in', { headers, body: {} });
    assert.equal(signIn.status, 403);
  }
  const form = { cookie, origin: harness.base, 'content-type': 'text/plain' };
  const reply = await harness.call('POST', `${project}/join-keys`, { headers: form, body: '{}' });
  assert.deepEqual([reply.status, codeOf(reply)], [400, 'unsupported_value']);
  const keys = await get<{ data: unknown[] }>(`${project}/join-keys`);
  assert.deepEqual(keys.data, []);
});

test('a page of ours that may not change anything', async () => {
  const { cookie = '' } = page;
  const json = { 'content-type': 'application/json' };
  const ours: Record<string, string>[] = [
    { ...json, origin: harness.base },
    { ...json, origin: `http://localhost:${harness.port}` },
    { ...json, 'sec-fetch-site': 'same-origin' },
  ];
  for (const headers of ours) {
    const sent = { ...headers, cookie };
    const reply = await harness.call('POST', `${project}/join-keys`, { headers: sent, body: {} });
    assert.equal(reply.status, 201, reply.text);
  }
});

test('a wrong password, and a body that is no sign-in', async () => {
  const headers = { origin: harness.base, 'content-type': 'application/json' };
  const wrong = { email: harness.credentials.admin.email, password: 'no' };
  const reply = await harness.call('POST', '/api/v1/sign-in', { headers, body: wrong });
  assert.deepEqual([reply.status, codeOf(reply)], [401, 'invalid_credentials']);
  assert.equal(reply.headers['set-cookie'], undefined);
  const bodies: [unknown, number, string | null][] = [
    [{ email: 'a' }, 400, 'missing_required_parameter'],
    [{ ...wrong, extra: 1 }, 400, 'unsupported_parameter'],
    [{ ...wrong, email: 1 }, 400, 'invalid_type'],
    ['{', 400, null],
    [{ ...wrong, password: 'x'.repeat(70_000) }, 413, 'request_too_large'],
  ];
  for (const [body, status, code] of bodies) {
    const refused = await harness.call('POST', '/api/v1/sign-in', { headers, body });
    assert.deepEqual([refused.status, codeOf(refused)], [status, code]);
  }
});

test('a session that goes on after sign-out', async () => {
  const mine = await harness.signIn();
  const before = await harness.call('GET', '/api/v1/session', { headers: mine });
  assert.equal(before.status, 200);
  const out = await harness.call('POST', '/api/v1/sign-out', { headers: mine, body: {} });
  assert.equal(out.status, 200);
  assert.match(out.headers['set-cookie']?.[0] ?? '', /xim_session=;.*Max-Age=0/);
  assert.equal((await harness.call('GET', '/api/v1/session', { headers: mine })).status, 401);
});

test('an answer that a cache keeps or another page frames', async () => {
  const reply = await harness.call('GET', '/api/v1/status', { headers: page });
  assert.equal(reply.headers['cache-control'], 'no-store');
  assert.match(String(reply.headers['content-security-policy']), /frame-ancestors 'none'/);
  assert.equal(reply.headers['x-content-type-options'], 'nosniff');
  assert.match(String(reply.headers['x-request-id']), /^req_/);
});

test('a join key that is shown twice, or without its line', async () => {
  const body = {
    name: 'lab',
    region: 'Oslo',
    supported_tiers: ['gpu_nvidia_dedicated'],
    storage_limit_enabled: true,
    storage_limit_bytes: 5e9,
    max_uses: 3,
    ttl_seconds: 60,
  };
  const reply = await harness.call('POST', `${project}/join-keys`, { headers: page, body });
  assert.equal(reply.status, 201, reply.text);
  const made = reply.json as CreatedJoinKeyAnswer;
  assert.match(made.key, /^xjk_/);
  assert.ok(made.join_command.includes(made.key) && made.join_command.includes(harness.base));
  assert.ok(made.join_command_node.includes(made.key));
  assert.match(made.warnings[0] ?? '', /deprecated/);
  assert.deepEqual(made.supported_tiers, ['gpu_nvidia_shared']);
  assert.equal(Date.parse(made.expires_at) - Date.parse(made.created_at), 60_000);
  const list = await harness.call('GET', `${project}/join-keys`, { headers: page });
  const secret = made.key.slice(`xjk_${made.id}_`.length);
  assert.ok(secret.length > 30);
  assert.ok(!list.text.includes(secret));
  const target = `${project}/join-keys/${made.id}`;
  const revoked = await harness.call('DELETE', target, { headers: page });
  assert.equal(revoked.status, 200, revoked.text);
  const after = await get<{ data: { id: string; state: string }[] }>(`${project}/join-keys`);
  assert.equal(after.data.find(({ id }) => id === made.id)?.state, 'revoked');
});

test('a join key outside the rules, and a refusal that does not name the knob', async () => {
  const cases: [object, string][] = [
    [{ ttl_seconds: 3601 }, 'ttl_seconds'],
    [{ region: 'a b' }, 'region'],
    [{ max_uses: 0 }, 'max_uses'],
    [{ supported_tiers: ['warp'] }, 'supported_tiers'],
    [{ supported_tiers: ['free'] }, 'supported_tiers'],
    [{ storage_limit_enabled: true }, 'storage_limit_bytes'],
  ];
  for (const [body, param] of cases) {
    const reply = await harness.call('POST', `${project}/join-keys`, { headers: page, body });
    const { error } = reply.json as { error: { code: string; param: string } };
    assert.deepEqual([reply.status, error.code, error.param], [400, 'invalid_value', param]);
  }
});

test('platform join keys, which only an admin may make', async () => {
  const target = '/api/v1/platform/join-keys';
  const reply = await harness.call('POST', target, { headers: page, body: {} });
  assert.equal(reply.status, 201);
  const { id } = reply.json as CreatedJoinKeyAnswer;
  const own = await get<{ data: { id: string }[] }>(`${project}/join-keys`);
  assert.ok(!own.data.some((key) => key.id === id));
  // A key of the platform is not a project's to revoke.
  const foreign = await harness.call('DELETE', `${project}/join-keys/${id}`, { headers: page });
  assert.deepEqual([foreign.status, codeOf(foreign)], [404, 'not_found']);
  assert.equal((await harness.call('DELETE', `${target}/${id}`, { headers: page })).status, 200);
});

test('an agent that cannot be looked at, stopped, started again and removed', async () => {
  const { agentId } = await enrolledAgent(harness);
  const target = `${project}/agents/${agentId}`;
  const pending = await get<AgentAnswer>(target);
  assert.equal(pending.state, 'pending');
  assert.equal(pending.facts?.hostname, 'lab-7');
  assert.equal(pending.rtt_ms, null);
  const post = (verb: string, body: object): Promise<Reply> =>
    harness.call('POST', `${target}/${verb}`, { headers: page, body });
  const suspended = (await post('suspend', { reason: 'too loud' })).json as AgentAnswer;
  assert.deepEqual([suspended.state, suspended.suspended_reason], ['suspended', 'too loud']);
  assert.equal(((await post('resume', {})).json as AgentAnswer).state, 'pending');
  const events = await get<{ data: { kind: string; detail: string }[] }>(`${target}/events`);
  assert.ok(events.data.some(({ detail }) => detail.includes('too loud')));
  const removed = await harness.call('DELETE', target, { headers: page });
  assert.equal((removed.json as AgentAnswer).state, 'dead');
  const late = await post('resume', {});
  assert.deepEqual([late.status, codeOf(late)], [409, 'conflict']);
  const list = await get<{ data: AgentAnswer[] }>(`${project}/agents`);
  assert.ok(list.data.some(({ id }) => id === agentId));
  const missing = await harness.call('GET', `${project}/agents/nobody`, { headers: page });
  assert.deepEqual([missing.status, codeOf(missing)], [404, 'not_found']);
});

test('what a project shows: status, endpoints, requests, projects', async () => {
  const status = await get<StatusAnswer>('/api/v1/status');
  assert.equal(status.version, '0.0.0-test');
  assert.equal(status.base_url, harness.base);
  assert.deepEqual([status.running, status.waiting, status.journal], [0, 0, 'ok']);
  const endpoints = await get<{ data: EndpointAnswer[] }>(`${project}/endpoints`);
  assert.deepEqual(endpoints.data.map(({ slug }) => slug).toSorted(), ['default', 'own']);
  const own = endpoints.data.find(({ slug }) => slug === 'own');
  assert.equal(own?.base_url, `${harness.base}/default/own/v1`);
  assert.equal(own?.model, 'Test model');
  const requests = await get<{ data: unknown[] }>(`${project}/requests?limit=5`);
  assert.deepEqual(requests.data, []);
  const bad = await harness.call('GET', `${project}/requests?limit=0`, { headers: page });
  assert.deepEqual([bad.status, codeOf(bad)], [400, 'invalid_value']);
  const projects = await get<{ data: { slug: string }[] }>('/api/v1/projects');
  assert.equal(projects.data[0]?.slug, 'default');
});

/**
 * Follows a live stream; `next` gives the next snapshot, `left` resolves when the server ends it.
 */
async function follow(headers: Record<string, string>): Promise<{
  status: number;
  next: () => Promise<LiveSnapshot>;
  left: Promise<void>;
  stop: () => void;
}> {
  const options = { port: harness.port, path: `${project}/live`, headers, agent: false };
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get(options, resolve).on('error', reject);
  });
  let text = '';
  let wake: (() => void) | undefined;
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    wake?.();
  });
  response.on('error', () => {});
  const left = new Promise<void>((resolve) => response.on('close', resolve));
  return {
    status: response.statusCode ?? 0,
    left,
    stop: () => response.destroy(),
    async next() {
      while (!text.includes('\n\n')) await new Promise<void>((resolve) => (wake = resolve));
      const end = text.indexOf('\n\n');
      const [name, data = ''] = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      assert.equal(name, 'event: snapshot');
      return statusContracts.live.answer.event.parse(JSON.parse(data.slice('data: '.length)));
    },
  };
}

test('a dashboard that does not see what changes', async () => {
  const stream = await follow(page);
  assert.equal(stream.status, 200);
  const first = await stream.next();
  assert.equal(first.endpoints.length, 2);
  const { agentId } = await enrolledAgent(harness);
  let seen = await stream.next();
  while (!seen.agents.some(({ id }) => id === agentId)) seen = await stream.next();
  stream.stop();
});

test('more browsers than the bound, and a place that is not given back', async () => {
  const [one, two] = [await follow(page), await follow(page)];
  const third = await harness.call('GET', `${project}/live`, { headers: page });
  assert.deepEqual([third.status, codeOf(third)], [429, 'concurrency_exceeded']);
  one.stop();
  two.stop();
  let again = await follow(page);
  while (again.status === 429) {
    await again.left;
    again = await follow(page);
  }
  assert.equal(again.status, 200);
  again.stop();
});

test('one account in a loop keeps the database to itself', async () => {
  const link = { burst: 500, perSecond: 50 };
  const perAddress = { sign_in: link, nonce: link, enroll: link, refresh: link, link };
  const narrow = { ...perAddress, change: { burst: 3, perSecond: 0.001 } };
  const small = await openHttpHarness({ limits: { perAddress: narrow } });
  try {
    const mine = await small.signIn();
    const change = (as: { headers?: Record<string, string>; key?: string }): Promise<Reply> =>
      small.call('POST', `${project}/join-keys`, { ...as, body: {} });
    for (let count = 0; count < 3; count += 1) {
      assert.equal((await change({ headers: mine })).status, 201);
    }
    const refused = await change({ headers: mine });
    assert.deepEqual([refused.status, codeOf(refused)], [429, 'rate_limit_exceeded']);
    assert.ok(Number(refused.headers['retry-after']) > 0);
    // Looking is free, and others are not held up.
    const list = await small.call('GET', `${project}/join-keys`, { headers: mine });
    assert.equal(list.status, 200);
    assert.equal((await change({ key: small.credentials.managementKey })).status, 201);
  } finally {
    await small.close();
  }
});

test('one account that reads the dearest sums in a loop keeps the database to itself', async () => {
  // Nothing is free, and nothing is left.
  const reading = { atOnce: 1, waiting: 1, freeMs: 0, burstMs: 0, share: 0.001 };
  const small = await openHttpHarness({ limits: { reading } });
  try {
    const headers = await small.signIn();
    const refused = await small.call('GET', `${project}/usage`, { headers });
    assert.deepEqual([refused.status, codeOf(refused)], [429, 'rate_limit_exceeded']);
    assert.ok(Number(refused.headers['retry-after']) > 0);
    const change = await small.call('POST', `${project}/join-keys`, { headers, body: {} });
    assert.equal(change.status, 201, 'changes have their own limit');
  } finally {
    await small.close();
  }
});
