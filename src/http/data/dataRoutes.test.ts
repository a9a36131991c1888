import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { ApiKeyEntry } from '../../domain/directory.ts';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { answerJson, completed } from '../../testing/http/scriptedRouter.ts';
import { openHttpHarness, type HttpHarness, type Reply } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
let key: string;
before(async () => {
  harness = await openHttpHarness({ limits: { bodyBytes: 1000 } });
  key = harness.credentials.apiKey;
});
after(() => harness.close());
beforeEach(() => {
  harness.router.submitted.length = 0;
  harness.router.answer = answerJson({ object: 'chat.completion' });
});

const chat = '/default/default/v1/chat/completions';
const body = { messages: [{ role: 'user', content: 'hi' }] };

function error(reply: Reply): { message: string; type: string; param: unknown; code: unknown } {
  const envelope = reply.json as { error: ReturnType<typeof error> };
  const { error: inner } = envelope;
  for (const member of ['message', 'type', 'param', 'code']) assert.ok(member in inner, member);
  return inner;
}

/** A key that the directory knows, made from the real one. */
function withKey(text: string, over: Partial<ApiKeyEntry>): void {
  const { directory } = harness.router;
  const real = directory.apiKeyByHash(sha256Hex(key));
  assert.ok(real !== undefined);
  const put = Reflect.get(directory, 'putApiKey') as (id: string, entry: ApiKeyEntry) => void;
  put.call(directory, over.id ?? text, { ...real, id: text, sha256: sha256Hex(text), ...over });
}

test('a request that reaches the router changed', async () => {
  const text = '{ "messages" : [ {"role":"user","content":"ä  \\u00e4"} ],"x":1e2}';
  const reply = await harness.call('POST', chat, { key, body: text });
  assert.equal(reply.status, 200);
  const [request] = harness.router.submitted;
  assert.ok(request !== undefined);
  assert.equal(request.body.toString('utf8'), text);
  assert.equal(request.endpoint.slug, 'default');
  assert.equal(request.path, '/v1/chat/completions');
  assert.equal(request.requestId, reply.headers['x-request-id']);
  assert.equal(request.region, null);
});

test('the root address, which names the endpoint by its model', async () => {
  const named = { ...body, model: 'own' };
  const reply = await harness.call('POST', '/v1/chat/completions', { key, body: named });
  assert.equal(reply.status, 200);
  assert.equal(harness.router.submitted[0]?.endpoint.slug, 'own');
  const other = { ...body, model: 'nothing' };
  const missing = await harness.call('POST', '/v1/chat/completions', { key, body: other });
  assert.equal(missing.status, 404);
  assert.deepEqual([error(missing).code, error(missing).param], ['model_not_found', 'model']);
});

test('a project or endpoint that is addressed by its id', async () => {
  const { id } = harness.credentials.project;
  const endpoint = harness.router.directory.endpoint(id, 'own');
  const path = `/${id}/${endpoint?.id}/v1/chat/completions`;
  assert.equal((await harness.call('POST', path, { key, body })).status, 200);
});

test('a call without key, or with one that is no key', async () => {
  for (const headers of [{}, { authorization: 'Basic eDp5' }, { authorization: 'Bearer' }]) {
    const reply = await harness.call('POST', chat, { headers, body });
    assert.equal(reply.status, 401);
    assert.equal(error(reply).code, null);
    assert.match(String(reply.headers['www-authenticate']), /Bearer/);
  }
  const foreign = 'xim_default_abcdefghijklmnopqrstuvwxyz0123456789';
  const reply = await harness.call('POST', chat, { key: foreign, body });
  assert.equal(reply.status, 401);
  assert.equal(error(reply).code, 'invalid_api_key');
  assert.doesNotMatch(reply.text, /ghijklmnop/);
  assert.match(error(reply).message, /'xim_default_…6789'/);
});

test('a cookie that lets a page call the data routes', async () => {
  const { cookie } = await harness.signIn();
  const reply = await harness.call('POST', chat, { headers: { cookie }, body });
  assert.equal(reply.status, 401);
});

test('a key that has expired, was revoked, or comes from a wrong address', async () => {
  withKey('key-expired', { expiresAtMs: harness.clock.now() - 1 });
  withKey('key-revoked', { revoked: true });
  withKey('key-elsewhere', { ipAllowList: ['10.0.0.0/8', 'fd00::/8'] });
  withKey('key-here', { ipAllowList: ['127.0.0.0/8'] });
  withKey('key-soon', { expiresAtMs: harness.clock.now() + 60_000 });
  const codes: Record<string, [number, string | null]> = {
    'key-expired': [401, 'invalid_api_key'],
    'key-revoked': [401, 'invalid_api_key'],
    'key-elsewhere': [401, 'ip_not_authorized'],
  };
  for (const [text, [status, code]] of Object.entries(codes)) {
    const reply = await harness.call('POST', chat, { key: text, body });
    assert.deepEqual([reply.status, error(reply).code], [status, code], text);
  }
  assert.equal((await harness.call('POST', chat, { key: 'key-here', body })).status, 200);
  assert.equal((await harness.call('POST', chat, { key: 'key-soon', body })).status, 200);
});

test('an address that a client claims by itself', async () => {
  withKey('key-office', { ipAllowList: ['192.0.2.1'] });
  const headers = { 'x-forwarded-for': '192.0.2.1' };
  const reply = await harness.call('POST', chat, { key: 'key-office', headers, body });
  assert.equal(error(reply).code, 'ip_not_authorized');
});

test('a key without the scope, or pinned to another endpoint', async () => {
  const management = harness.credentials.managementKey;
  const scope = await harness.call('POST', chat, { key: management, body });
  assert.deepEqual([scope.status, error(scope).code], [403, 'insufficient_permissions']);
  const { id } = harness.credentials.project;
  withKey('key-pinned', { endpointId: harness.router.directory.endpoint(id, 'own')?.id ?? '' });
  const pinned = await harness.call('POST', chat, { key: 'key-pinned', body });
  assert.deepEqual([pinned.status, error(pinned).code], [403, 'insufficient_permissions']);
  const list = await harness.call('GET', '/v1/models', { key: 'key-pinned' });
  const { data } = list.json as { data: { id: string }[] };
  assert.deepEqual(
    data.map(({ id: slug }) => slug),
    ['own'],
  );
});

test('a refusal that tells a foreign project from a missing one', async () => {
  withKey('key-foreign', { projectId: 'proj_other' });
  const options = { key: 'key-foreign', body };
  const foreign = await harness.call('POST', chat, options);
  const missing = await harness.call('POST', chat.replace('/default', '/nothere'), options);
  assert.equal(foreign.status, 404);
  assert.equal(error(foreign).code, 'project_not_found');
  assert.equal(error(missing).code, 'project_not_found');
  assert.equal(
    error(foreign).message.replace('default', 'X'),
    error(missing).message.replace('nothere', 'X'),
  );
  const endpoint = await harness.call('POST', '/default/none/v1/chat/completions', { key, body });
  assert.deepEqual([endpoint.status, error(endpoint).code], [404, 'endpoint_not_found']);
});

test('a body that is no JSON, too large, or not what the API takes', async () => {
  const cases: [unknown, number, string | null, string | null][] = [
    ['', 400, null, null],
    ['{', 400, null, null],
    [Buffer.from([0x22, 0xff, 0x22]), 400, null, null],
    ['[]', 400, 'invalid_type', null],
    [{ messages: [{ content: 'x' }] }, 400, 'missing_required_parameter', 'messages[0].role'],
    [{ ...body, stream: 1 }, 400, 'invalid_type', 'stream'],
    ['x'.repeat(2000), 413, 'request_too_large', null],
  ];
  for (const [sent, status, code, param] of cases) {
    const reply = await harness.call('POST', chat, { key, body: sent });
    assert.deepEqual([reply.status, error(reply).code, error(reply).param], [status, code, param]);
    assert.equal(error(reply).type, 'invalid_request_error');
  }
  assert.equal(harness.router.submitted.length, 0);
});

test('a stream is continued though nobody asked, or is not though somebody did', async () => {
  const asked = async (value?: string): Promise<number> => {
    const headers: Record<string, string> = value === undefined ? {} : { 'x-xim-resume': value };
    return (await harness.call('POST', chat, { key, headers, body })).status;
  };
  assert.equal(await asked('yes'), 400);
  for (const [value, resume] of [
    [undefined, false],
    ['on', true],
    ['off', false],
  ] as const) {
    assert.equal(await asked(value), 200);
    assert.equal(harness.router.submitted.at(-1)?.resume, resume);
  }
});

test('a region that is no region', async () => {
  const headers = { 'x-xim-region': 'a b' };
  const reply = await harness.call('POST', chat, { key, headers, body });
  assert.deepEqual([reply.status, error(reply).code], [400, 'invalid_value']);
  assert.match(error(reply).message, /, not 'a b'\.$/);
  const long = { 'x-xim-progress': 'x'.repeat(2000) };
  const refused = await harness.call('POST', chat, { key, headers: long, body });
  assert.equal(
    error(refused).message,
    `'X-XIM-Progress' must be 'on' or 'off', not '${'x'.repeat(40)}…'.`,
  );
  const good = { 'x-xim-region': 'Oslo-1' };
  await harness.call('POST', chat, { key, headers: good, body });
  assert.equal(harness.router.submitted[0]?.region, 'Oslo-1');
});

test('the models that a key may call, and one that it may not', async () => {
  for (const base of ['/v1', '/default/v1']) {
    const reply = await harness.call('GET', `${base}/models`, { key });
    const { object, data } = reply.json as { object: string; data: Record<string, unknown>[] };
    assert.equal(object, 'list');
    assert.deepEqual(new Set(data.map(({ id }) => id)), new Set(['default', 'own']));
    assert.deepEqual(Object.keys(data[0] ?? {}).toSorted(), [
      'created',
      'id',
      'object',
      'owned_by',
    ]);
  }
  const one = await harness.call('GET', '/default/own/v1/models', { key });
  assert.equal((one.json as { data: unknown[] }).data.length, 1);
  const named = await harness.call('GET', '/v1/models/own', { key });
  assert.equal((named.json as { id: string }).id, 'own');
  const missing = await harness.call('GET', '/default/own/v1/models/default', { key });
  assert.deepEqual([missing.status, error(missing).code], [404, 'model_not_found']);
});

test('a page that may not call, or may call with cookies', async () => {
  const headers = {
    origin: 'https://app.example',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type,x-stainless-os,x-evil',
  };
  const preflight = await harness.call('OPTIONS', chat, { headers });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-origin'], '*');
  assert.equal(preflight.headers['access-control-allow-credentials'], undefined);
  assert.match(String(preflight.headers['access-control-allow-methods']), /POST/);
  const allowed = String(preflight.headers['access-control-allow-headers']);
  assert.match(allowed, /authorization/);
  assert.match(allowed, /x-stainless-os/);
  assert.doesNotMatch(allowed, /evil/);
  for (const reply of [
    await harness.call('POST', chat, { key, body }),
    await harness.call('POST', chat, { body }),
    await harness.call('PUT', chat, { body }),
    await harness.call('GET', '/nothing/here'),
  ]) {
    assert.equal(reply.headers['access-control-allow-origin'], '*');
    assert.match(String(reply.headers['access-control-expose-headers']), /x-request-id/);
  }
  const control = await harness.call('GET', '/api/v1/session', { headers });
  assert.equal(control.headers['access-control-allow-origin'], undefined);
});

test('a refusal of the router that loses its status, its reason or when to come back', async () => {
  harness.router.answer = () =>
    Promise.resolve({
      outcome: 'queue_timeout',
      answered: false,
      refusal: {
        name: 'queue_timeout',
        message: 'Waited.',
        retryAfterMs: 90_000,
        extra: { eta: 3 },
      },
    });
  const reply = await harness.call('POST', chat, { key, body });
  assert.equal(reply.status, 503);
  assert.deepEqual([error(reply).type, error(reply).code], ['server_error', 'queue_timeout']);
  assert.equal(Reflect.get(error(reply), 'eta'), 3);
  // Client libraries ignore anything longer and come back sooner.
  assert.equal(reply.headers['retry-after'], '60');
  assert.equal(reply.headers['retry-after-ms'], '60000');
  harness.router.answer = () =>
    Promise.resolve({
      outcome: 'unsupported_parameter',
      answered: false,
      refusal: { name: 'unsupported_parameter', message: 'No tools.', param: 'tools' },
    });
  const second = await harness.call('POST', chat, { key, body });
  assert.deepEqual([second.status, error(second).param], [400, 'tools']);
});

test('an answer that does not say which agent was at it, or names two', async () => {
  const agentOf = (reply: Reply): unknown[] =>
    ['x-xim-agent', 'x-xim-isolation'].map((name) => reply.headers[name]);
  const none = ['none', 'none'];
  assert.deepEqual(agentOf(await harness.call('POST', chat, { body })), none);
  assert.deepEqual(agentOf(await harness.call('GET', '/default/v1/models', { key })), none);
  assert.deepEqual(agentOf(await harness.call('GET', '/nothing/here')), none);
  const named = { 'x-xim-agent': 'desk', 'x-xim-isolation': 'dedicated' };
  harness.router.answer = () =>
    Promise.resolve({
      outcome: 'timeout',
      answered: false,
      refusal: { name: 'timeout', message: 'Too long.' },
      agentHeaders: named,
    });
  assert.deepEqual(agentOf(await harness.call('POST', chat, { key, body })), Object.values(named));
  harness.router.answer = (_request, sink) => {
    sink.head(200, { 'content-type': 'application/json', ...named });
    sink.write(Buffer.from('{}'));
    sink.end();
    return Promise.resolve(completed);
  };
  assert.deepEqual(agentOf(await harness.call('POST', chat, { key, body })), Object.values(named));
  const control = await harness.call('GET', '/api/v1/session');
  assert.equal(control.headers['x-xim-agent'], undefined);
});

test('an answer that is held back, or goes out without its length', async () => {
  harness.router.answer = (_request, sink) => {
    sink.head(200, { 'content-type': 'application/json', 'x-xim-agent': 'shared' });
    sink.write(Buffer.from('{"a":'));
    sink.write(Buffer.from('1}'));
    sink.end();
    return Promise.resolve(completed);
  };
  const reply = await harness.call('POST', chat, { key, body });
  assert.deepEqual(reply.json, { a: 1 });
  assert.equal(reply.headers['content-length'], '7');
  assert.equal(reply.headers['x-xim-agent'], 'shared');
});

test('a body so deep that whoever rewrites it runs out of stack reaches an agent', async () => {
  const deep = `{"messages":[],"x":${'['.repeat(400)}"]"${']'.repeat(400)}}`;
  const taken = await harness.call('POST', chat, { key, body: deep });
  assert.equal(error(taken).param, 'messages');
  const deeper = `${'['.repeat(500)}${'{"a":'.repeat(13)}`;
  const refused = await harness.call('POST', chat, { key, body: deeper });
  assert.equal(refused.status, 400);
  assert.match(error(refused).message, /512 levels/);
  assert.equal(harness.router.submitted.length, 0);
});
