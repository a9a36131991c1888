import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openHttpHarness, type HttpHarness } from '../testing/http/httpHarness.ts';

let harness: HttpHarness;
before(async () => {
  harness = await openHttpHarness({ config: { trustedProxies: ['127.0.0.2'] } });
});
after(() => harness.close());

test('a server that says it takes requests while it does not', async () => {
  assert.equal((await harness.call('GET', '/readyz')).status, 200);
  harness.router.isReady = false;
  const reply = await harness.call('GET', '/readyz');
  assert.equal(reply.status, 503);
  assert.equal((await harness.call('GET', '/healthz')).status, 200);
  harness.router.isReady = true;
});

test('metrics of all projects that somebody else can read', async () => {
  const local = await harness.call('GET', '/metrics');
  assert.equal(local.status, 200);
  assert.match(String(local.headers['content-type']), /^text\/plain; version=0\.0\.4/);
  assert.match(local.text, /^xim_requests_total\{outcome="completed"\} 3$/m);
  // A proxy on this machine speaks for others.
  const headers = { 'x-forwarded-for': '203.0.113.9' };
  assert.equal((await harness.call('GET', '/metrics', { headers })).status, 401);
  const { managementKey, apiKey } = harness.credentials;
  const key = managementKey;
  assert.equal((await harness.call('GET', '/metrics', { headers, key })).status, 200);
  assert.equal((await harness.call('GET', '/metrics', { headers, key: apiKey })).status, 403);
});
