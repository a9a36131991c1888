/** Limits as a client sees them, over HTTP; only the agent's engine is a fake. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import OpenAI, { RateLimitError } from 'openai';
import { tierTable } from '../../domain/tiers/tiers.ts';
import type { Router } from '../../router/router.ts';
import { echoes, saysNothing, type FakeAgent } from '../../testing/links/fakeAgent.ts';
import {
  openPlatformHarness,
  type HttpHarness,
  type Reply,
} from '../../testing/http/httpHarness.ts';
import { joinOverHttp } from '../../testing/links/joinOverHttp.ts';
import { until } from '../../testing/router/routerHarness.ts';

const messages = [{ role: 'user' as const, content: 'hi' }];
const perMinute = { requestsPerMinute: 8, tokensPerMinute: 100_000, concurrentPerProject: 64 };

let harness: HttpHarness<Router>;
let agent: FakeAgent;
before(async () => {
  const tiers = tierTable({ cpu_intel_optimized: perMinute });
  harness = await openPlatformHarness({ control: { tiers } });
  agent = await joinOverHttp(harness, { shared: true, slots: 64 });
});
after(() => harness.close());

function call(body: object): Promise<Reply> {
  const { apiKey: key } = harness.credentials;
  const path = '/default/default/v1/chat/completions';
  return harness.call('POST', path, { key, body: { messages, ...body } });
}

test('a burst of 64 gets more than its limit, or is not told when to come back', async () => {
  agent.script = saysNothing;
  const before_ = agent.requests.length;
  const replies: Reply[] = [];
  const pending = Array.from({ length: 64 }, async () => {
    replies.push(await call({ max_tokens: 10 }));
  });
  await until(() => replies.length === 52);
  assert.equal(agent.requests.length - before_, 12, '1.5 × the figure, and not one more');
  for (const request of agent.requests.slice(before_)) {
    request.stream.head({ status: 200, contentType: 'application/json' });
    request.stream.write(Buffer.from('{}'));
    request.finish({ usage: { input: 14, cached: 0, output: 1 } });
  }
  await Promise.all(pending);
  const served = replies.filter(({ status }) => status === 200);
  assert.equal(served.length, 12);
  for (const { headers } of served) {
    assert.equal(headers['x-ratelimit-limit-requests'], '8');
    assert.match(String(headers['x-ratelimit-remaining-requests']), /^(\d|1[01])$/);
    assert.match(String(headers['x-ratelimit-reset-tokens']), /^\d+(ms|(\.\d+)?s)$/);
  }
  for (const { status, headers, json } of replies.slice(0, 52)) {
    assert.equal(status, 429);
    const { error } = json as { error: Record<string, unknown> };
    assert.deepEqual([error['type'], error['code']], ['requests', 'rate_limit_exceeded']);
    const limit = error['limit'] as Record<string, unknown>;
    assert.deepEqual([limit['name'], limit['value']], ['requests_per_minute', 8]);
    assert.ok(Date.parse(String(limit['resets'])) > 0);
    const afterMs = Number(headers['retry-after-ms']);
    assert.ok(afterMs > 0 && afterMs <= 7_500, `${afterMs}`);
    assert.equal(headers['retry-after'], String(Math.ceil(afterMs / 1000)));
    assert.equal(headers['x-ratelimit-remaining-requests'], '0');
    assert.equal(headers['x-should-retry'], undefined);
  }
});

test('a request that can never pass is tried again by the client library', async () => {
  agent.script = echoes;
  const seen = agent.requests.length;
  let tries = 0;
  const client = new OpenAI({
    apiKey: harness.credentials.apiKey,
    baseURL: `${harness.base}/default/default/v1`,
    maxRetries: 2,
    fetch: (...args) => {
      tries += 1;
      return fetch(...args);
    },
  });
  const content = 'x'.repeat(700_000);
  const asked = client.chat.completions.create({
    model: 'x',
    messages: [{ role: 'user', content }],
  });
  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof RateLimitError);
    assert.deepEqual([error.type, error.code], ['tokens', 'rate_limit_exceeded']);
    assert.equal(error.headers.get('x-should-retry'), 'false');
    assert.equal(error.headers.get('retry-after'), null);
    assert.equal(error.headers.get('x-ratelimit-limit-tokens'), '100000');
    return true;
  });
  assert.equal(tries, 1);
  assert.equal(agent.requests.length, seen);
});

test('a key goes on beyond its own quota, on machines of its own too', async () => {
  agent.script = echoes;
  await joinOverHttp(harness);
  const page = await harness.signIn();
  const quota = { requests_per_minute: 2, tokens_per_minute: null, tokens_per_day: 5_000 };
  const made = await harness.call('POST', '/api/v1/projects/default/api-keys', {
    headers: page,
    body: { name: 'small', scopes: ['inference'], quota },
  });
  const { key } = made.json as { key: string };
  await until(() => {
    const sha256 = createHash('sha256').update(key).digest('hex');
    return harness.router.directory.apiKeyByHash(sha256) !== undefined;
  });
  const path = '/default/own/v1/chat/completions';
  const ask = (max_tokens: number): Promise<Reply> =>
    harness.call('POST', path, { key, body: { messages, max_tokens } });
  const first = await ask(10);
  assert.equal(first.status, 200);
  assert.equal(first.headers['x-xim-agent'], 'desk');
  assert.equal(first.headers['x-ratelimit-limit-requests'], '2');
  assert.equal(first.headers['x-ratelimit-remaining-requests'], '1');
  assert.equal(first.headers['x-ratelimit-limit-tokens'], undefined);
  assert.equal((await ask(10)).status, 200);
  const over = await ask(10);
  const { error } = over.json as { error: { message: string; limit: { name: string } } };
  assert.deepEqual([over.status, error.limit.name], [429, 'key_requests_per_minute']);
  assert.match(error.message, /this API key's quota of requests per minute .*= 2/);
  const day = (await ask(6_000)).json as { error: { type: string; limit: { name: string } } };
  assert.deepEqual([day.error.type, day.error.limit.name], ['requests', 'key_requests_per_minute']);
});
