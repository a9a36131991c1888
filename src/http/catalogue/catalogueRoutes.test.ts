/** Endpoints, models, tiers and regions over HTTP, with the real router behind them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ChangedEndpointAnswer, EndpointAnswer } from '../../api/control/endpoints.ts';
import type { CreatedJoinKeyAnswer } from '../../api/control/joinKeys.ts';
import type { ModelAnswer } from '../../api/control/models.ts';
import type { RegionMapAnswer } from '../../api/control/regions.ts';
import type { TierAnswer } from '../../api/control/tiers.ts';
import type { Router } from '../../router/router.ts';
import { enrolledAgent } from '../../testing/http/controlHarness.ts';
import {
  openPlatformHarness,
  type HttpHarness,
  type Reply,
} from '../../testing/http/httpHarness.ts';
import { startPostgres } from '../../testing/database/postgres.ts';
import { until } from '../../testing/until.ts';

let harness: HttpHarness<Router>;
let operator: Record<string, string>;
before(async () => {
  harness = await openPlatformHarness({ toldOnly: true });
  operator = await harness.signIn();
});
after(() => harness.close());

const project = '/api/v1/projects/default';
const platform = '/api/v1/platform';

type Sent = { body?: unknown; headers?: Record<string, string> };

/** As the owner's program: with a key of scope management. */
const asOwner = (method: string, path: string, sent: Sent = {}): Promise<Reply> =>
  harness.call(method, path, { ...sent, key: harness.credentials.managementKey });

const asOperator = (method: string, path: string, sent: Sent = {}): Promise<Reply> =>
  harness.call(method, path, { ...sent, headers: { ...operator, ...sent.headers } });

function answered<Answer>(reply: Reply, status = 200): Answer {
  assert.equal(reply.status, status, reply.text);
  return reply.json as Answer;
}

function refused(reply: Reply, wanted: { status: number; code: string }): Record<string, unknown> {
  const { error } = reply.json as { error: Record<string, unknown> };
  assert.deepEqual({ status: reply.status, code: error['code'] }, wanted, reply.text);
  return error;
}

let made = 0;

async function newModel(over: Record<string, unknown> = {}): Promise<ModelAnswer> {
  const body = { name: 'tiny', source: 'hf:org/tiny:tiny.gguf', ...over };
  return answered(await asOwner('POST', `${project}/models`, { body }), 201);
}

/** On a model of its own, without fallback. */
async function newEndpoint(over: Record<string, unknown> = {}): Promise<ChangedEndpointAnswer> {
  const { id: model_id } = await newModel();
  const slug = `chat-${(made += 1)}`;
  const body = { slug, model_id, tier: 'gpu_nvidia_shared', fallback: { enabled: false }, ...over };
  return answered(await asOwner('POST', `${project}/endpoints`, { body }), 201);
}

test('an endpoint is not what was asked for, or comes without its warnings', async () => {
  const { id: model_id } = await newModel();
  const body = {
    slug: 'full',
    model_id,
    tier: 'gpu_amd_dedicated',
    fallback: { enabled: true, after_ms: 200, tier: 'gpu_nvidia_dedicated' },
    region: 'Lab-1',
    minimum_isolation: 'single_use',
    resume: true,
    active: false,
    queue_timeout_ms: 900,
  };
  const reply = await asOwner('POST', `${project}/endpoints`, { body });
  const endpoint = answered<ChangedEndpointAnswer>(reply, 201);
  assert.equal(endpoint.tier, 'gpu_amd_shared');
  assert.deepEqual(endpoint.fallback, { enabled: true, after_ms: 200, tier: 'gpu_nvidia_shared' });
  const { region, minimum_isolation, resume, active, queue_timeout_ms, version } = endpoint;
  assert.deepEqual(
    [region, minimum_isolation, resume, active, queue_timeout_ms, version],
    ['Lab-1', 'single_use', true, false, 900, 1],
  );
  assert.equal(endpoint.base_url, `${harness.base}/default/full/v1`);
  const warnings = endpoint.warnings.join('\n');
  assert.match(warnings, /tier: gpu_amd_dedicated is deprecated and was stored as gpu_amd_shared/);
  assert.match(warnings, /fallback\.tier: gpu_nvidia_dedicated is deprecated/);
  assert.match(warnings, /single_use: a sandboxed worker .* Shared agents offer none/s);
  assert.match(warnings, /the model is the project’s own: shared agents serve it only/);
  const { warnings: _warnings, ...shown } = endpoint;
  const read = await asOwner('GET', `${project}/endpoints/full`);
  assert.deepEqual(answered<EndpointAnswer>(read), shown);
  assert.equal(read.headers.etag, '"1"');
});

test('defaults of a tier are not what a new endpoint gets', async () => {
  const { id: model_id } = await newModel();
  const create = async (tier: string) => {
    const body = { slug: `d-${tier.replaceAll('_', '-')}`, model_id, tier };
    const reply = await asOwner('POST', `${project}/endpoints`, { body });
    return answered<ChangedEndpointAnswer>(reply, 201);
  };
  const shared = await create('cpu_amd_optimized');
  assert.deepEqual(shared.fallback, { enabled: true, after_ms: 0, tier: null });
  assert.equal(shared.queue_timeout_ms, 30_000);
  const own = await create('self_hosted');
  assert.equal(own.fallback.enabled, false);
});

test('a refusal of a field does not name the knob, its value and the limit', async () => {
  const { id: model_id } = await newModel();
  const cases: [Record<string, unknown>, string, RegExp][] = [
    [{ slug: 'api' }, 'slug', /slug is "api"; this word is reserved/],
    [{ slug: 'No_Way' }, 'slug', /slug is "No_Way"; only a-z/],
    [{ tier: 'gold' }, 'tier', /tier is "gold"; tiers are: free, cpu_amd/],
    [{ fallback: { tier: 'gold' } }, 'fallback.tier', /fallback\.tier is "gold"/],
    [{ fallback: { tier: 'self_hosted' } }, 'fallback.tier', /no shared agent carries/],
    [{ queue_timeout_ms: 30_001 }, 'queue_timeout_ms', /is 30001; .* from 1 to 30000/],
    [
      { fallback: { after_ms: 501 }, queue_timeout_ms: 500 },
      'fallback.after_ms',
      /is 501; .* queue_timeout_ms, which is 500/,
    ],
    [
      { tier: 'self_hosted', fallback: { enabled: true } },
      'fallback.tier',
      /fallback\.tier must name the shared tier/,
    ],
    [{ region: 'two words' }, 'region', /region is "two words"; it must be 1 to 24/],
    [{ minimum_isolation: 'total' }, 'minimum_isolation', /./],
    [{ bound_agent_ids: ['nobody'], fallback: { enabled: false } }, 'bound_agent_ids', /"nobody"/],
  ];
  for (const [over, param, message] of cases) {
    const body = { slug: 'refused', model_id, tier: 'gpu_nvidia_shared', ...over };
    const reply = await asOwner('POST', `${project}/endpoints`, { body });
    const error = refused(reply, { status: 400, code: 'invalid_value' });
    assert.equal(error['param'], param, reply.text);
    assert.match(String(error['message']), message);
  }
  const unknown = { slug: 'refused', model_id: 'mdl_x', tier: 'free' };
  const reply = await asOwner('POST', `${project}/endpoints`, { body: unknown });
  refused(reply, { status: 404, code: 'model_not_found' });
  const large = await newModel({ size_bytes: 48_000_000_001 });
  const body = { slug: 'refused', model_id: large.id, tier: 'free' };
  const tooLarge = await asOwner('POST', `${project}/endpoints`, { body });
  const error = refused(tooLarge, { status: 400, code: 'invalid_value' });
  assert.match(String(error['message']), /48000000001 bytes; free takes .* at most 48000000000/);
});

test('a slug that is taken, or a patch against an old version, is no conflict', async () => {
  const { slug, model_id } = await newEndpoint();
  const again = { slug, model_id, tier: 'free' };
  const taken = await asOwner('POST', `${project}/endpoints`, { body: again });
  refused(taken, { status: 409, code: 'conflict' });
  const target = `${project}/endpoints/${slug}`;
  const patch = (etag: string, body: unknown) =>
    asOwner('PATCH', target, { body, headers: { 'if-match': etag } });
  const first = await patch('"1"', { region: 'eu-2' });
  assert.equal(first.headers.etag, '"2"');
  refused(await patch('"1"', { region: 'eu-3' }), { status: 409, code: 'conflict' });
  const { region } = answered<EndpointAnswer>(await asOwner('GET', target));
  assert.equal(region, 'eu-2');
  const fixed = await asOwner('PATCH', target, { body: { slug: 'other' } });
  refused(fixed, { status: 400, code: 'unsupported_parameter' });
});

test('an agent is bound from outside its project, or by an owner who is no operator', async () => {
  const { agentId } = await enrolledAgent(harness);
  const shared = await enrolledAgent({
    control: harness.control,
    joinKey: async () => {
      const owner = { kind: 'platform' } as const;
      const made = await harness.control.createJoinKey({ caller: harness.admin, owner, wish: {} });
      assert.ok(made.ok);
      return made.text;
    },
  });
  const { slug } = await newEndpoint({ tier: 'self_hosted' });
  const target = `${project}/endpoints/${slug}`;
  const bound = answered<ChangedEndpointAnswer>(
    await asOwner('PATCH', target, { body: { bound_agent_ids: [agentId] } }),
  );
  assert.equal(bound.exclusive, true);
  assert.deepEqual(
    bound.bound_agents.map(({ id, ownership }) => [id, ownership]),
    [[agentId, 'project']],
  );
  const falling = await asOwner('PATCH', target, { body: { fallback: { enabled: true } } });
  refused(falling, { status: 400, code: 'invalid_value' });
  const both = { bound_agent_ids: [agentId, shared.agentId] };
  const denied = await asOwner('PATCH', target, { body: both });
  refused(denied, { status: 400, code: 'invalid_value' });
  const allowed = answered<ChangedEndpointAnswer>(
    await asOperator('PATCH', target, { body: both }),
  );
  assert.match(allowed.warnings.join('\n'), /does not carry self_hosted and will not serve/);
  const seen = answered<EndpointAnswer>(await asOwner('GET', target));
  const names = seen.bound_agents.map(({ ownership, name }) => `${ownership} ${name}`);
  assert.ok(names.includes('shared shared'), names.join(', '));
  const open = answered<ChangedEndpointAnswer>(
    await asOwner('PATCH', target, { body: { bound_agent_ids: [] } }),
  );
  assert.deepEqual([open.exclusive, open.bound_agents], [false, []]);
});

test('a deleted endpoint is still called, or its address answers as another’s', async () => {
  const { slug, id } = await newEndpoint();
  const deleted = await asOwner('DELETE', `${project}/endpoints/${slug}`);
  assert.deepEqual(answered(deleted), { id, deleted: true, revoked_key_ids: [] });
  const gone = await asOwner('DELETE', `${project}/endpoints/${slug}`);
  refused(gone, { status: 404, code: 'not_found' });
  await until(() => harness.router.directory.endpointById(id) === undefined);
});

test('the free quota is not named, or the endpoint that lifts it goes', async () => {
  const quota = await openPlatformHarness();
  try {
    const key = quota.credentials.managementKey;
    const call = (method: string, path: string, body?: unknown) =>
      quota.call(method, `${project}${path}`, { key, ...(body === undefined ? {} : { body }) });
    // The first start's endpoints are on other tiers; `own` is the last one that lifts the quota.
    answered(await call('DELETE', '/endpoints/default'));
    for (let at = 0; at < 3; at += 1) {
      answered(await call('POST', '/models', { name: `m${at}`, source: 'hf:a/b:c.gguf' }), 201);
    }
    const removal = await call('DELETE', '/endpoints/own');
    const error = refused(removal, { status: 403, code: 'tier_quota_exceeded' });
    assert.match(String(error['message']), /The free quota is 2 models of its own, .* make 3/);
    assert.deepEqual(error['limit'], { name: 'free_models', value: 2, used: 3 });
    const move = await call('PATCH', '/endpoints/own', { tier: 'free' });
    refused(move, { status: 403, code: 'tier_quota_exceeded' });
  } finally {
    await quota.close();
  }
});

test('a model shows its secret to who may only look, or another project its models', async () => {
  const source = 'https://models.test/tiny.gguf?token=secret';
  const model = await newModel({ source, sha256: 'A'.repeat(64), size_bytes: 5, task: 'embed' });
  assert.deepEqual(
    [model.source, model.sha256, model.format, model.task, model.ownership, model.open_to_shared],
    [source, 'a'.repeat(64), 'gguf', 'embed', 'project', false],
  );
  const file = { name: 'file', source: 'file:/srv/models/x.safetensors' };
  const catalogue = answered<ModelAnswer>(
    await asOperator('POST', `${platform}/models`, { body: file }),
    201,
  );
  assert.deepEqual([catalogue.format, catalogue.open_to_shared], ['safetensors', true]);
  const seen = answered<ModelAnswer>(await asOwner('GET', `${project}/models/${catalogue.id}`));
  assert.equal(seen.source, null, 'an operator’s file is nobody else’s affair');
  const list = answered<{ data: ModelAnswer[] }>(
    await asOwner('GET', `${project}/models?ownership=catalogue&limit=500`),
  );
  assert.ok(list.data.every(({ ownership }) => ownership === 'catalogue'));
  const foreign = await asOwner('PATCH', `${project}/models/${catalogue.id}`, { body: {} });
  refused(foreign, { status: 404, code: 'not_found' });
});

test('a model whose source changes keeps the old digest, or goes while it is used', async () => {
  const { model_id, slug } = await newEndpoint();
  const target = `${project}/models/${model_id}`;
  const digest = { sha256: 'b'.repeat(64), size_bytes: 7 };
  answered(await asOwner('PATCH', target, { body: digest }));
  const moved = answered<ModelAnswer>(
    await asOwner('PATCH', target, { body: { source: 'hf:org/other:other.safetensors' } }),
  );
  assert.deepEqual(
    [moved.sha256, moved.size_bytes, moved.format, moved.version],
    [null, null, 'safetensors', 3],
  );
  await until(() => harness.router.directory.model(model_id)?.source === moved.source);
  const used = refused(await asOwner('DELETE', target), { status: 409, code: 'conflict' });
  assert.match(String(used['message']), new RegExp(`used by 1 endpoints: ${slug}`));
});

test('an approved digest does not open shared agents, or stays open', async () => {
  const sha256 = 'c'.repeat(64);
  const model = await newModel({ sha256 });
  const body = { sha256: sha256.toUpperCase(), note: 'seen' };
  answered(await asOperator('POST', `${platform}/model-approvals`, { body }), 201);
  const open = (id: string) => harness.router.directory.model(id)?.approvedForShared;
  await until(() => open(model.id) === true);
  const list = await asOperator('GET', `${platform}/model-approvals`);
  const { data } = answered<{ data: { sha256: string; note: string }[] }>(list);
  assert.ok(data.some((one) => one.sha256 === sha256 && one.note === 'seen'));
  answered(await asOperator('DELETE', `${platform}/model-approvals/${sha256}`));
  await until(() => open(model.id) === false);
  const bad = { body: { sha256: 'xyz' } };
  const wrong = await asOperator('POST', `${platform}/model-approvals`, bad);
  refused(wrong, { status: 400, code: 'invalid_value' });
});

test('a figure that an operator says of a tier is shown as if it were measured', async () => {
  const features_json = { uptime: '99.9 %', rank: 1, kind: 'fast', nested: [{ ms: 20 }] };
  const set = await asOperator('PATCH', `${platform}/tiers/free`, {
    body: { features_json },
    headers: { 'if-match': '"0"' },
  });
  assert.equal(set.headers.etag, '"1"');
  const { data } = answered<{ data: TierAnswer[] }>(await asOwner('GET', '/api/v1/tiers'));
  assert.equal(data.length, 7);
  const free = data.find(({ slug }) => slug === 'free');
  const label = 'target, not measured';
  assert.deepEqual(free?.features_json, {
    uptime: { value: '99.9 %', label },
    rank: { value: 1, label },
    kind: 'fast',
    nested: [{ ms: { value: 20, label } }],
  });
  assert.deepEqual(
    [
      free?.priority,
      free?.requests_per_minute,
      free?.max_model_bytes,
      free?.price,
      free?.overrides,
    ],
    [10, 64, 48e9, { kind: 'per_million_tokens', amount: 0 }, {}],
  );
  assert.deepEqual([free?.measured.requests, free?.measured.success_share], [0, null]);
  const nvidia = data.find(({ slug }) => slug === 'gpu_nvidia_shared');
  assert.deepEqual(nvidia?.deprecated_slugs, ['gpu_nvidia_dedicated']);
  const body = { features_json: null };
  refused(await asOperator('PATCH', `${platform}/tiers/gold`, { body }), {
    status: 404,
    code: 'not_found',
  });
  const old = { body, headers: { 'if-match': '"0"' } };
  refused(await asOperator('PATCH', `${platform}/tiers/free`, old), {
    status: 409,
    code: 'conflict',
  });
});

test('the map of near regions is not what the router reads, or a wrong one is kept', async () => {
  const target = `${platform}/regions`;
  const first = answered<RegionMapAnswer>(await asOperator('GET', target));
  assert.deepEqual(first, { groups: [], updated_at: null, version: 1 });
  const groups = [
    ['eu-1', 'EU-2', 'Eu-1'],
    ['eu-2', 'lab'],
  ];
  const set = answered<RegionMapAnswer>(await asOperator('PUT', target, { body: { groups } }));
  assert.deepEqual(set.groups, [
    ['eu-1', 'EU-2'],
    ['eu-2', 'lab'],
  ]);
  await until(() => harness.router.directory.regionMap.groups.length === 2);
  const wrong: [unknown[][], RegExp][] = [
    [[['eu-1', 'EU-1']], /groups\[0\] has 1 regions; it must have 2 to 64 different/],
    [
      [
        ['a', 'b'],
        ['a', 'two words'],
      ],
      /groups\[1\] names "two words"/,
    ],
    [Array.from({ length: 65 }, () => ['a', 'b']), /groups has 65 groups; it may have 64/],
  ];
  for (const [bad, message] of wrong) {
    const reply = await asOperator('PUT', target, { body: { groups: bad } });
    const error = refused(reply, { status: 400, code: 'invalid_value' });
    assert.match(String(error['message']), message);
  }
});

test('a join key cannot be looked at by its id, or its secret comes again', async () => {
  const body = { name: 'lab', supported_tiers: ['self_hosted'] };
  const created = answered<CreatedJoinKeyAnswer>(
    await asOwner('POST', `${project}/join-keys`, { body }),
    201,
  );
  const reply = await asOwner('GET', `${project}/join-keys/${created.id}`);
  assert.equal(answered<{ id: string }>(reply).id, created.id);
  assert.ok(!reply.text.includes(created.key.slice(-43)));
  const elsewhere = await asOperator('GET', `${platform}/join-keys/${created.id}`);
  refused(elsewhere, { status: 404, code: 'not_found' });
});

/** The router is told of a change: it does not find it when it looks. */
async function assertTold(on: HttpHarness<Router>): Promise<void> {
  const region = 'eu-told';
  const key = on.credentials.managementKey;
  answered(await on.call('PATCH', `${project}/endpoints/own`, { key, body: { region } }));
  const { id } = on.credentials.project;
  await until(() => on.router.directory.endpoint(id, 'own')?.region === region);
}

test('a patch reaches the router only when that looks, on SQLite', () => assertTold(harness));

const postgres = await startPostgres();
after(async () => {
  if (postgres.kind === 'started') await postgres.stop();
});
test(
  'a patch reaches the router only when that looks, on PostgreSQL',
  { skip: postgres.kind === 'missing' ? postgres.reason : false },
  async () => {
    assert.ok(postgres.kind === 'started');
    const on = await openPlatformHarness({ url: await postgres.createDatabase(), toldOnly: true });
    try {
      await assertTold(on);
    } finally {
      await on.close();
    }
  },
);
