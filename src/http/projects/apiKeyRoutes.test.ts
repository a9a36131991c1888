/**
 * API keys from their making to their end, on both databases, with a real client on real streams.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI, { APIError } from 'openai';
import type { ApiKeyAnswer, ShownApiKeyAnswer } from '../../api/control/apiKeys.ts';
import type { Router } from '../../router/router.ts';
import { stalls, type FakeAgent } from '../../testing/links/fakeAgent.ts';
import {
  openPlatformHarness,
  type HttpHarness,
  type Reply,
} from '../../testing/http/httpHarness.ts';
import { joinOverHttp } from '../../testing/links/joinOverHttp.ts';
import { onBothDatabases, type NewDatabase } from '../../testing/database/onBothDatabases.ts';
import { until } from '../../testing/until.ts';

const keys = '/api/v1/projects/default/api-keys';
const hourMs = 3_600_000;

await onBothDatabases((newDatabase) => checkKeys(newDatabase));

function checkKeys(newDatabase: NewDatabase): void {
  let harness: HttpHarness<Router>;
  let agent: FakeAgent;
  let page: Record<string, string>;
  before(async () => {
    harness = await openPlatformHarness({ ...(await newDatabase()), toldOnly: true });
    page = await harness.signIn();
    agent = await joinOverHttp(harness);
  });
  after(() => harness.close());

  const call = (method: string, path: string, body?: unknown): Promise<Reply> =>
    harness.call(method, path, { headers: page, ...(body === undefined ? {} : { body }) });
  const create = async (wish: object = {}): Promise<ShownApiKeyAnswer> => {
    const reply = await call('POST', keys, { name: 'test', scopes: ['inference'], ...wish });
    assert.equal(reply.status, 201, reply.text);
    const created = reply.json as ShownApiKeyAnswer;
    await until(() => harness.router.directory.apiKey(created.id) !== undefined);
    return created;
  };
  const one = async (id: string): Promise<ApiKeyAnswer> =>
    (await call('GET', `${keys}/${id}`)).json as ApiKeyAnswer;
  const rotate = async (id: string, body: object = {}): Promise<ShownApiKeyAnswer> => {
    const reply = await call('POST', `${keys}/${id}/rotate`, body);
    assert.equal(reply.status, 200, reply.text);
    return reply.json as ShownApiKeyAnswer;
  };
  const opens = async (key: string, path = '/default/own/v1/models'): Promise<number> =>
    (await harness.call('GET', path, { key })).status;

  /** A stream that stands, and what it ends with. */
  async function running(key: string): Promise<{ ended: Promise<unknown> }> {
    agent.script = stalls('a');
    const baseURL = `${harness.base}/default/own/v1`;
    const client = new OpenAI({ apiKey: key, baseURL, maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'hi' }];
    const stream = await client.chat.completions.create({ model: 'x', messages, stream: true });
    const chunks = stream[Symbol.asyncIterator]();
    assert.equal((await chunks.next()).done, false);
    return {
      ended: chunks.next().then(
        () => undefined,
        (error: unknown) => error,
      ),
    };
  }
  async function isCut(stream: { ended: Promise<unknown> }): Promise<void> {
    const error = await stream.ended;
    assert.ok(error instanceof APIError, 'a clean end, or none');
    assert.equal(error.code, 'invalid_api_key');
  }
  /** A stream that goes on where another one was ended. */
  async function goesOn({ ended }: { ended: Promise<unknown> }): Promise<void> {
    const now = Promise.resolve('goes on');
    assert.equal(await Promise.race([ended.then(() => 'ended'), now]), 'goes on');
  }
  /** Lets time pass, which ends the page's session too. */
  async function later(ms: number): Promise<void> {
    harness.clock.jumpWall(ms);
    page = await harness.signIn();
  }

  test('a key is of another form, shown twice or stored readable', async () => {
    const created = await create({ name: ' laptop ' });
    assert.match(created.key, /^xim_default_[\w-]{43}$/);
    assert.equal(created.masked, `xim_default_…${created.key.slice(-4)}`);
    assert.deepEqual(
      [created.name, created.scopes, created.state],
      ['laptop', ['inference'], 'active'],
    );
    assert.equal(await opens(created.key), 200);
    const secret = created.key.slice('xim_default_'.length, -4);
    const listed = await call('GET', `${keys}?limit=500`);
    const { data } = listed.json as { data: ApiKeyAnswer[] };
    assert.ok(data.some(({ id, masked }) => id === created.id && masked === created.masked));
    assert.ok(!listed.text.includes(secret));
    const projectId = harness.credentials.project.id;
    const row = await harness.store.apiKeyById({ id: created.id, projectId });
    assert.ok(!JSON.stringify(row).includes(secret));
    assert.ok(!(await call('GET', `${keys}/${created.id}`)).text.includes(row?.sha256 ?? '-'));
  });

  test('a field of a key is taken that cannot be, or told without its limit', async () => {
    const past = new Date(harness.clock.now() - 1).toISOString();
    const far = new Date(harness.clock.now() + 4_000 * 86_400_000).toISOString();
    const wrong: [object, string, RegExp][] = [
      [{ name: ' ' }, 'name', /empty/],
      [{ name: 'x'.repeat(65) }, 'name', /65 characters; at most 64/],
      [{ name: 'a\u0007' }, 'name', /control characters/],
      [{ expires_at: past }, 'expires_at', /past/],
      [{ expires_at: far }, 'expires_at', /3650 days/],
      [{ ip_allow_list: ['10.0.0.0/33'] }, 'ip_allow_list', /10\.0\.0\.0\/33/],
      [
        { ip_allow_list: Array.from({ length: 65 }, (_, at) => `10.0.0.${at}`) },
        'ip_allow_list',
        /65/,
      ],
      [{ quota: { requests_per_minute: 0 } }, 'quota', /whole numbers from 1/],
      [{ quota: { tokens_per_day: 1.5 } }, 'quota', /1\.5/],
    ];
    for (const [wish, param, message] of wrong) {
      const reply = await call('POST', keys, { name: 'test', scopes: ['inference'], ...wish });
      const { error } = reply.json as { error: { param: string; message: string } };
      assert.deepEqual([reply.status, error.param], [400, param], reply.text);
      assert.match(error.message, message);
    }
    const unknown = await call('POST', keys, {
      name: 'x',
      scopes: ['inference'],
      endpoint: 'nope',
    });
    assert.equal(unknown.status, 404);
  });

  test('a pinned key, one from elsewhere or one of another scope opens too much', async () => {
    const pinned = await create({ endpoint: 'own' });
    const endpoint = harness.router.directory.endpoint(harness.credentials.project.id, 'own');
    assert.equal(pinned.endpoint_id, endpoint?.id);
    assert.equal(await opens(pinned.key), 200);
    assert.equal(await opens(pinned.key, '/default/default/v1/models'), 403);
    const elsewhere = await create({ ip_allow_list: ['192.0.2.0/24', '2001:db8::/32'] });
    assert.equal(await opens(elsewhere.key), 401);
    const here = await create({ ip_allow_list: ['127.0.0.0/8', '::1'] });
    assert.equal(await opens(here.key), 200);
    const managing = await create({ scopes: ['management', 'management'] });
    assert.deepEqual(managing.scopes, ['management']);
    assert.equal(await opens(managing.key), 403);
    assert.equal(await opens(managing.key, keys), 200);
    assert.equal(await opens(managing.key, '/default/v1/management/api-keys'), 200);
    assert.equal(await opens(pinned.key, keys), 403);
  });

  test('a quota does not reach the data plane, or half of it is lost', async () => {
    const created = await create({ quota: { requests_per_minute: 5, tokens_per_day: 1_000 } });
    const quota = { requests_per_minute: 5, tokens_per_minute: null, tokens_per_day: 1_000 };
    assert.deepEqual(created.quota, quota);
    assert.deepEqual(harness.router.directory.apiKey(created.id)?.quota, {
      requestsPerMinute: 5,
      tokensPerMinute: null,
      tokensPerDay: 1_000,
    });
    const none = { tokens_per_minute: null };
    const changed = await call('PATCH', `${keys}/${created.id}`, { quota: none });
    assert.equal((changed.json as ApiKeyAnswer).quota, null);
    await until(() => harness.router.directory.apiKey(created.id)?.quota === null);
  });

  test('a revoked key opens until the router looks, or its stream runs on', async () => {
    const created = await create();
    const stream = await running(created.key);
    const revoked = await call('DELETE', `${keys}/${created.id}`);
    assert.equal(revoked.status, 200);
    await until(async () => (await opens(created.key)) === 401);
    await isCut(stream);
    assert.equal((await call('DELETE', `${keys}/${created.id}`)).status, 200, 'idempotent');
    assert.equal((await one(created.id)).state, 'revoked');
    for (const [method, path, body] of [
      ['PATCH', '', { name: 'again' }],
      ['POST', '/rotate', {}],
    ] as const) {
      assert.equal((await call(method, `${keys}/${created.id}${path}`, body)).status, 409);
    }
  });

  test('a rotation ends what it should let run, or lets run what it should end', async () => {
    const first = await create();
    const oldest = await running(first.key);
    const second = await rotate(first.id);
    assert.equal(second.id, first.id);
    assert.notEqual(second.previous_valid_until, null);
    await until(async () => (await opens(second.key)) === 200);
    assert.equal(await opens(first.key), 200, 'its grace has begun');
    const middle = await running(second.key);
    const third = await rotate(first.id);
    await until(async () => (await opens(third.key)) === 200);
    assert.equal(await opens(first.key), 401, 'the oldest is dropped');
    assert.equal(await opens(second.key), 200);
    await isCut(oldest);
    await goesOn(middle);
    await later(24 * hourMs);
    assert.equal(await opens(second.key), 401, 'its grace is over');
    assert.equal(await opens(third.key), 200);
    await isCut(middle);
    assert.equal((await one(first.id)).previous_valid_until, null);
  });

  test('a value that got out stays good after a rotation without grace', async () => {
    const first = await create();
    const stream = await running(first.key);
    const second = await rotate(first.id, { grace_seconds: 0 });
    await until(async () => (await opens(second.key)) === 200);
    assert.equal(await opens(first.key), 401);
    await isCut(stream);
    const tooLong = await call('POST', `${keys}/${first.id}/rotate`, { grace_seconds: 86_401 });
    assert.equal(tooLong.status, 400);
  });

  test('an expired key goes on, or one whose end was put off does not', async () => {
    const at = (ms: number): string => new Date(harness.clock.now() + ms).toISOString();
    const created = await create({ expires_at: at(hourMs) });
    const stream = await running(created.key);
    const other = await running((await create({ expires_at: at(hourMs) })).key);
    const putOff = { expires_at: at(3 * hourMs) };
    assert.equal((await call('PATCH', `${keys}/${created.id}`, putOff)).status, 200);
    const end = Date.parse(putOff.expires_at);
    await until(() => harness.router.directory.apiKey(created.id)?.expiresAtMs === end);
    await later(2 * hourMs);
    await isCut(other);
    assert.equal(await opens(created.key), 200);
    await goesOn(stream);
    await later(hourMs);
    assert.equal(await opens(created.key), 401);
    await isCut(stream);
    assert.equal((await one(created.id)).state, 'expired');
    assert.equal((await call('POST', `${keys}/${created.id}/rotate`)).status, 409);
  });

  test('a key that was used shows as unused, or a request waits for that', async () => {
    const created = await create();
    assert.equal(created.last_used_at, null);
    await opens(created.key);
    await harness.control.keyUse.flush();
    const { last_used_at: usedAt } = await one(created.id);
    assert.equal(usedAt, new Date(harness.clock.now()).toISOString());
  });

  test('a bound management key makes a wider one, becomes one, or takes one over', async () => {
    const end = new Date(harness.clock.now() + hourMs).toISOString();
    const later = new Date(harness.clock.now() + 2 * hourMs).toISOString();
    const scopes = ['inference', 'management'];
    const bound = { endpoint: 'own', ip_allow_list: ['127.0.0.0/8'], expires_at: end };
    const caller = await create({ scopes, ...bound });
    const wide = await create({ scopes });
    const by = (method: string, path: string, body?: object): Promise<Reply> =>
      harness.call(method, path, { key: caller.key, ...(body === undefined ? {} : { body }) });
    const make = (over: object): Promise<Reply> =>
      by('POST', keys, { name: 'made', scopes, ...bound, ...over });
    const within = await make({ ip_allow_list: ['127.0.0.1'] });
    assert.equal(within.status, 201, within.text);
    const { id } = within.json as ShownApiKeyAnswer;
    const wider: [object, string][] = [
      [{ endpoint: null }, 'endpoint'],
      [{ ip_allow_list: [] }, 'ip_allow_list'],
      [{ ip_allow_list: ['127.0.0.1', '0.0.0.0/0'] }, 'ip_allow_list'],
      [{ expires_at: null }, 'expires_at'],
      [{ expires_at: later }, 'expires_at'],
    ];
    for (const [over, param] of wider) {
      const changes = [caller.id, id].map((key) => by('PATCH', `${keys}/${key}`, over));
      for (const reply of await Promise.all([make(over), ...changes])) {
        const { error } = reply.json as { error: { param: string } };
        assert.deepEqual([reply.status, error.param], [400, param], reply.text);
      }
    }
    const bare = await by('POST', keys, { name: 'made', scopes });
    assert.equal(bare.status, 400, 'what is left out is unbound');
    assert.equal((await by('POST', `${keys}/${wide.id}/rotate`)).status, 403);
    assert.equal(await opens(wide.key), 200, 'its value is as it was');
    assert.equal((await by('POST', `${keys}/${id}/rotate`)).status, 200);
    assert.equal((await by('PATCH', `${keys}/${wide.id}`, { name: 'other' })).status, 200);
    assert.equal((await by('PATCH', `${keys}/${id}`, { endpoint: 'own' })).status, 200);
  });
}
