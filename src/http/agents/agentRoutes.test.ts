/** Agents over HTTP, with the real router and links behind them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type {
  AgentAnswer,
  AgentEventAnswer,
  ChangedAgentAnswer,
} from '../../api/control/agents.ts';
import type { Router } from '../../router/router.ts';
import { enrolledAgent } from '../../testing/http/controlHarness.ts';
import type { FakeAgent } from '../../testing/links/fakeAgent.ts';
import {
  openPlatformHarness,
  type HttpHarness,
  type Reply,
} from '../../testing/http/httpHarness.ts';
import { joinOverHttp } from '../../testing/links/joinOverHttp.ts';
import { until } from '../../testing/until.ts';

let harness: HttpHarness<Router>;
let operator: Record<string, string>;
let linked: FakeAgent;
let linkedId: string;
before(async () => {
  harness = await openPlatformHarness();
  operator = await harness.signIn();
  linked = await joinOverHttp(harness);
  linkedId = linked.identity.agentId;
});
after(() => harness.close());

const agents = '/api/v1/projects/default/agents';

type Sent = { body?: unknown; headers?: Record<string, string> };

/** As the owner's program: with a key of scope management. */
const asOwner = (method: string, path: string, sent: Sent = {}): Promise<Reply> =>
  harness.call(method, path, { ...sent, key: harness.credentials.managementKey });

function answered<Answer>(reply: Reply, status = 200): Answer {
  assert.equal(reply.status, status, reply.text);
  return reply.json as Answer;
}

function refused(reply: Reply): [number, string | null, string | null, string] {
  const { error } = reply.json as {
    error: { code: string | null; param: string | null; message: string };
  };
  return [reply.status, error.code, error.param, error.message];
}

const patch = async (body: object, agentId = linkedId): Promise<ChangedAgentAnswer> =>
  answered(await asOwner('PATCH', `${agents}/${agentId}`, { body }));

const named = async (query: string): Promise<string[]> => {
  const { data } = answered<{ data: AgentAnswer[] }>(await asOwner('GET', `${agents}?${query}`));
  return data.map(({ name }) => name);
};

test('a change of an agent waits for the next link, or is acknowledged and lost', async () => {
  const changed = await patch({
    name: 'rack-7',
    description: 'in the cellar',
    region: 'Cellar',
    max_concurrent_requests: 1,
    storage_limit_bytes: 5_000_000,
  });
  assert.deepEqual(
    [changed.name, changed.description, changed.region, changed.max_concurrent_requests],
    ['rack-7', 'in the cellar', 'Cellar', 1],
  );
  assert.deepEqual([changed.storage_limit_enabled, changed.storage_limit_bytes], [true, 5_000_000]);
  await until(() => linked.config?.storageLimitBytes === 5_000_000);
  assert.equal(linked.config?.maxConcurrentRequests, 1);
  await until(() => harness.router.agent(linkedId)?.slots === 1);
  assert.equal(harness.router.directory.agent(linkedId)?.region, 'Cellar');
  const open = await patch({ max_concurrent_requests: 0, storage_limit_enabled: false });
  assert.deepEqual([open.storage_limit_enabled, open.storage_limit_bytes], [false, null]);
  await until(() => harness.router.agent(linkedId)?.slots === 2);
  await until(() => linked.config?.storageLimitBytes === null);
  assert.equal(open.name, 'rack-7');
});

test('nobody can see what an engine is able to, or whether its agent is spared', async () => {
  const [instance] = harness.router.agent(linkedId)?.instances ?? [];
  const models = [{ modelId: instance?.modelId ?? '', state: 'ready' as const }];
  linked.peer.send({ type: 'heartbeat', models, engines: [] });
  await until(() => harness.router.agent(linkedId)?.models.length === 1);
  const { models: shown, penalty } = await patch({});
  assert.deepEqual(shown[0]?.abilities, instance?.abilities);
  assert.ok(instance?.abilities.includes('chat'));
  assert.equal(penalty, null);
});

test('an agent works for a tier that it has lost, or not for its only endpoint', async () => {
  const model = linked.config?.models.length ?? 0;
  assert.ok(model > 0);
  const changed = await patch({ supported_tiers: ['gpu_nvidia_dedicated', 'self_hosted'] });
  assert.deepEqual(changed.supported_tiers, ['gpu_nvidia_shared', 'self_hosted']);
  assert.deepEqual(changed.effective_tiers, ['gpu_nvidia_shared', 'self_hosted']);
  assert.match(changed.warnings.join(), /gpu_nvidia_dedicated is deprecated/);
  const back = await patch({ supported_tiers: null });
  assert.deepEqual(back.effective_tiers, ['cpu_intel_optimized', 'self_hosted']);
  const slug = 'only-here';
  const endpoint = answered<{ id: string }>(
    await asOwner('POST', '/api/v1/projects/default/endpoints', {
      body: { slug, tier: 'self_hosted', model_id: await modelId() },
    }),
    201,
  );
  const bound = await patch({ bound_endpoint_ids: [endpoint.id] });
  assert.deepEqual(bound.bound_endpoint_ids, [endpoint.id]);
  await until(() => harness.router.directory.endpointById(endpoint.id)?.exclusive === true);
  await until(() => linked.config?.models.length === 1);
  const free = await patch({ bound_endpoint_ids: [] });
  assert.equal(free.bound_endpoint_ids, null);
});

async function modelId(): Promise<string> {
  const { data } = answered<{ data: { id: string }[] }>(
    await asOwner('GET', '/api/v1/projects/default/models'),
  );
  return data[0]?.id ?? '';
}

test('a wish that cannot be is cut to what can, or names no limit', async () => {
  const no = async (body: object): Promise<[number, string | null, string | null, string]> =>
    refused(await asOwner('PATCH', `${agents}/${linkedId}`, { body }));
  const { agentId } = await enrolledAgent(harness);
  await patch({ name: 'taken' }, agentId);
  const cases: [object, number, string | null, RegExp][] = [
    [{ name: ' ' }, 400, 'name', /1 to 64/],
    [{ name: 'a\u001b[2J' }, 400, 'name', /control characters/],
    [{ name: 'taken' }, 409, null, /another agent has it/],
    [{ region: 'two words' }, 400, 'region', /printable ASCII/],
    [{ max_concurrent_requests: 4097 }, 400, 'max_concurrent_requests', /4097.*to 4096/],
    [{ max_concurrent_requests: 1.5 }, 400, 'max_concurrent_requests', /whole number/],
    [{ storage_limit_bytes: 5 }, 400, 'storage_limit_bytes', /at least 1000000 bytes/],
    [{ storage_limit_enabled: true }, 400, 'storage_limit_bytes', /needed/],
    [{ supported_tiers: ['free'] }, 400, 'supported_tiers', /only shared agents/],
    [{ supported_tiers: ['gpu'] }, 400, 'supported_tiers', /tiers are: free/],
    [{ bound_endpoint_ids: ['ep_none'] }, 400, 'bound_endpoint_ids', /no such endpoint/],
    [{ state: 'dead' }, 400, 'state', /state/],
  ];
  for (const [body, status, param, message] of cases) {
    const [gotStatus, , gotParam, gotMessage] = await no(body);
    assert.deepEqual([gotStatus, gotParam], [status, param], JSON.stringify(body));
    assert.match(gotMessage, message);
  }
  const target = `/api/v1/platform/agents/${linkedId}`;
  const foreign = await harness.call('PATCH', target, { headers: operator, body: { name: 'x' } });
  assert.equal(foreign.status, 404, 'an own agent is no shared one');
});

test('a list of agents mixes up states, owners or pages', async () => {
  const { agentId: pending } = await enrolledAgent(harness);
  const { agentId: removed } = await enrolledAgent(harness);
  await patch({ name: 'never linked', region: 'attic' }, pending);
  await patch({ name: 'gone' }, removed);
  assert.equal((await asOwner('DELETE', `${agents}/${removed}`)).status, 200);
  assert.deepEqual(await named('state=active'), ['rack-7']);
  assert.deepEqual(await named('state=dead'), ['gone']);
  assert.deepEqual(await named('state=disconnected'), []);
  assert.ok((await named('state=pending')).includes('never linked'));
  assert.ok(!(await named('state=pending')).includes('rack-7'));
  assert.deepEqual(await named('region=ATTIC'), ['never linked']);
  assert.deepEqual(await named('name=LINK&tier=self_hosted'), ['never linked']);
  assert.deepEqual(await named('tier=gpu_amd_dedicated'), []);
  const odd = await asOwner('GET', `${agents}?tier=gpu`);
  assert.deepEqual(refused(odd).slice(0, 3), [400, 'invalid_value', 'tier']);
  const all = await named('limit=500');
  assert.equal(all.at(-1), 'gone', 'the dead come last');
  const paged: string[] = [];
  let next = 'limit=1';
  for (;;) {
    const page = answered<{ data: AgentAnswer[]; next_cursor: string | null; has_more: boolean }>(
      await asOwner('GET', `${agents}?${next}`),
    );
    paged.push(...page.data.map(({ name }) => name));
    if (page.next_cursor === null) break;
    next = `limit=1&after=${page.next_cursor}`;
  }
  assert.deepEqual(paged, all);
});

test('an operator misses shared agents, or is taken for their owner', async () => {
  const owner = { kind: 'platform' } as const;
  const made = await harness.control.createJoinKey({ caller: harness.admin, owner, wish: {} });
  assert.ok(made.ok);
  const { agentId } = await enrolledAgent({
    ...harness,
    joinKey: () => Promise.resolve(made.text),
  });
  const seen = async (reply: Promise<Reply>): Promise<string[]> => {
    const { data } = answered<{ data: AgentAnswer[] }>(await reply);
    return data.map(({ ownership }) => ownership);
  };
  const whole = `${agents}?limit=500`;
  const byOperator = await seen(harness.call('GET', whole, { headers: operator }));
  assert.equal(byOperator.at(-1), 'shared');
  assert.ok(!(await seen(asOwner('GET', whole))).includes('shared'));
  const stop = `/api/v1/platform/agents/${agentId}/suspend`;
  const stopped = answered<AgentAnswer>(await harness.call('POST', stop, { headers: operator }));
  assert.equal(stopped.suspended_reason, 'suspended by an operator');
});

test('a stop without its mode, or credentials that outlive their revocation', async () => {
  const { agentId } = await enrolledAgent(harness);
  const post = async (what: string, body?: object): Promise<AgentAnswer> =>
    answered(await asOwner('POST', `${agents}/${agentId}/${what}`, { body }));
  assert.equal((await post('suspend')).stop_mode, 'drain');
  const cut = await post('suspend', { mode: 'cut', reason: 'too warm' });
  assert.deepEqual(
    [cut.state, cut.stop_mode, cut.suspended_reason],
    ['suspended', 'cut', 'too warm'],
  );
  assert.equal((await post('resume')).stop_mode, null);
  const odd = await asOwner('POST', `${agents}/${agentId}/suspend`, { body: { mode: 'kill' } });
  assert.deepEqual(refused(odd).slice(0, 3), [400, 'invalid_value', 'mode']);
  assert.equal((await post('revoke-credentials', { reason: 'stolen' })).state, 'dead');
  const resumed = await asOwner('POST', `${agents}/${agentId}/resume`);
  assert.deepEqual(refused(resumed).slice(0, 2), [409, 'conflict']);
  const { data } = answered<{ data: AgentEventAnswer[] }>(
    await asOwner('GET', `${agents}/${agentId}/events?limit=3`),
  );
  assert.deepEqual(
    data.map(({ kind, detail }) => `${kind}: ${detail}`),
    ['credentials_revoked: stolen', 'resumed: resumed by its owner', 'suspended: too warm'],
  );
});
