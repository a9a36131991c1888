import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { routes } from '../../api/routes.ts';
import { reservedSlugs } from '../../lib/text/slug.ts';
import { openHttpHarness, type HttpHarness } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
before(async () => {
  harness = await openHttpHarness();
});
after(() => harness.close());

function codeOf(json: unknown): unknown {
  return (json as { error: { code: unknown } }).error.code;
}

test('a project that hides behind an address of the platform', () => {
  const first = routes.map(({ path }) => path.split('/')[1] ?? '').filter((name) => name !== '');
  const literals = [...new Set(first)].filter((name) => /^[a-z0-9-]+$/.test(name));
  assert.deepEqual(
    literals.filter((name) => !reservedSlugs.has(name)),
    [],
  );
});

test('an address outside the table that is served all the same', async () => {
  const names = ['project', 'endpoint', 'model', 'agent', 'key'];
  const targets = [...new Set(routes.map(({ path }) => path))]
    .filter((path) => !path.includes('*'))
    .map((path) => names.reduce((text, name) => text.replace(`{${name}}`, 'x'), path));
  const mutations = targets.flatMap((path) => [
    `${path}/`,
    `/${path}`,
    `${path}/x/y/z/w`,
    `${path.toUpperCase()}X`,
    path.replace('/v1', '/v2'),
    path.replace('/v1', '/%761'),
    `${path}%2f`,
    `${path}/..`,
    `${path}/%2e%2e`,
    `${path}\\..`,
    `${path};a=b`,
  ]);
  const known = new Set(targets);
  for (const path of new Set(mutations)) {
    if (known.has(path) || path === '//' || path.startsWith('/ui/')) continue;
    const reply = await harness.call('GET', path);
    assert.ok([400, 401, 404, 405].includes(reply.status), `${path}: ${reply.status}`);
    assert.ok(typeof reply.json === 'object', `${path} did not answer in the envelope`);
  }
});

test('a method that is not in the table and is served, or refused without Allow', async () => {
  for (const path of ['/v1/chat/completions', '/healthz', '/api/v1/session', '/v1/enroll']) {
    for (const method of ['PUT', 'PATCH', 'TRACE', 'PROPFIND']) {
      const reply = await harness.call(method, path);
      assert.equal(reply.status, 405, `${method} ${path}`);
      assert.equal(codeOf(reply.json), 'method_not_supported');
      assert.match(reply.headers.allow ?? '', /POST|GET/);
    }
  }
});

test('an answer without a request id', async () => {
  for (const path of [
    '/healthz',
    '/nowhere',
    '/ui/',
    '/',
    '/api/v1/session',
    '/%ff',
    '/v1/models',
  ]) {
    const { headers } = await harness.call('GET', path);
    assert.match(String(headers['x-request-id']), /^req_[0-9a-z]{26}$/, path);
    assert.match(String(headers['openai-processing-ms']), /^\d+$/, path);
  }
});

test('a broken escape that is guessed at', async () => {
  const reply = await harness.call('GET', '/%ff/v1/models');
  assert.equal(reply.status, 400);
  assert.equal(codeOf(reply.json), 'malformed_request');
});

test('an address longer than the bound', async () => {
  const reply = await harness.call('GET', `/${'a'.repeat(5000)}`);
  assert.equal(reply.status, 431);
  assert.equal(codeOf(reply.json), 'headers_too_large');
});

test('a handler’s bug that leaves the client without an answer', async () => {
  harness.router.answer = () => Promise.reject(new Error('bug'));
  const body = { messages: [{ role: 'user', content: 'hi' }] };
  const key = harness.credentials.apiKey;
  const reply = await harness.call('POST', '/default/default/v1/chat/completions', { key, body });
  assert.equal(reply.status, 500);
  const { error } = reply.json as { error: Record<string, unknown> };
  assert.deepEqual([error['type'], error['code'], error['param']], ['server_error', null, null]);
  assert.match(String(error['message']), /req_/);
});
