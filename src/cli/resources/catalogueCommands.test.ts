/** Endpoints, models, tiers, agents, join keys and the audit log: what is sent and shown. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import type { AgentAnswer } from '../../api/control/agents.ts';
import type { AuditNoteAnswer } from '../../api/control/audit.ts';
import type { EndpointAnswer } from '../../api/control/endpoints.ts';
import type { JoinKeyAnswer } from '../../api/control/joinKeys.ts';
import type { ModelAnswer } from '../../api/control/models.ts';
import type { TierAnswer } from '../../api/control/tiers.ts';
import { systemClock } from '../../lib/clock.ts';
import {
  cliNow as now,
  openCliHarness,
  wholePage,
  type CliHarness,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { serverCommands } from '../commands.ts';
import { momentOf } from './timeField.ts';

const clock = { ...systemClock, now: () => Date.parse(now) };
const yesterday = '2026-02-28T12:00:00.000Z';
const modelId = 'mdl_00000000000000000000000001';
const agentId = '0a8d4f63-6f43-4b1a-9f4f-3f2f7b0f6a11';
const here = '/api/v1/projects/default';
let cli: CliHarness;

before(async () => {
  cli = await openCliHarness(serverCommands, clock);
});
after(() => cli.close());

const model: ModelAnswer = {
  id: modelId,
  name: 'Qwen3-8B',
  ownership: 'project',
  source: 'hf:Qwen/Qwen3-8B-GGUF:Qwen3-8B-Q4_K_M.gguf',
  format: 'gguf',
  task: 'generate',
  size_bytes: 5_027_783_488,
  sha256: null,
  context_length: 32_768,
  open_to_shared: false,
  created_at: yesterday,
  updated_at: yesterday,
  version: 1,
};

const endpoint: EndpointAnswer = {
  id: 'ep_00000000000000000000000001',
  slug: 'chat',
  tier: 'gpu_nvidia_shared',
  model: 'Qwen3-8B',
  model_id: modelId,
  active: true,
  fallback: { enabled: true, after_ms: 2000, tier: null },
  region: null,
  exclusive: false,
  bound_agents: [],
  minimum_isolation: null,
  resume: false,
  queue_timeout_ms: 30_000,
  base_url: 'http://h/default/chat/v1',
  created_at: yesterday,
  updated_at: yesterday,
  version: 2,
  agents_ready: 2,
  running: 5,
  waiting: 1,
};

const agent: AgentAnswer = {
  id: agentId,
  worker_id: 'wrk_x',
  name: 'lab-3',
  description: '',
  ownership: 'project',
  region: 'datacenter-3',
  state: 'active',
  state_since: yesterday,
  suspended_reason: null,
  stop_mode: null,
  last_seen_at: now,
  created_at: yesterday,
  supported_tiers: null,
  effective_tiers: ['gpu_nvidia_shared', 'self_hosted'],
  max_concurrent_requests: 0,
  bound_endpoint_ids: null,
  storage_limit_enabled: false,
  storage_limit_bytes: null,
  storage: null,
  facts: {
    hostname: 'lab-3',
    os: 'Linux 6.12',
    arch: 'x64',
    agentVersion: '0.1.0',
    nodeVersion: 'v22.12.0',
    cpu: { vendor: 'amd', serverClass: true, model: 'AMD EPYC 9354', cores: 64 },
    memoryBytes: 256e9,
    accelerators: [{ kind: 'nvidia', model: 'NVIDIA L40S', memoryBytes: 48e9, driver: '570.1' }],
    engine: 'embedded',
  },
  agent_version: '0.1.0',
  rtt_ms: 1.4,
  in_flight: 2,
  slots: 8,
  models: [
    {
      model_id: modelId,
      name: 'Qwen3-8B',
      state: 'ready',
      received_bytes: null,
      total_bytes: null,
      bytes_per_second: null,
      error: null,
      engine: 'embedded',
      abilities: ['chat', 'continue'],
    },
  ],
  penalty: { state: 'boxed', ends_in_ms: 1500 },
  version: 4,
};

test('an endpoint that is made or changed otherwise than it was asked for', async () => {
  const bound = { id: agentId, name: 'lab-3', ownership: 'project' } as const;
  const changed = { ...endpoint, fallback: { enabled: false, after_ms: 0, tier: null } };
  cli.answers({
    [`GET ${here}/models`]: { body: wholePage([model]) },
    [`GET ${here}/agents`]: { body: wholePage([agent, { ...agent, state: 'dead', id: 'old' }]) },
    [`GET ${here}/endpoints`]: { body: wholePage([endpoint, { ...endpoint, active: false }]) },
    [`GET ${here}/endpoints/chat`]: { body: endpoint },
    [`POST ${here}/endpoints`]: {
      status: 201,
      body: { ...endpoint, warnings: ['gpu_nvidia_dedicated is deprecated.'] },
    },
    [`PATCH ${here}/endpoints/chat`]: {
      body: { ...changed, exclusive: true, bound_agents: [bound], warnings: [] },
    },
    [`DELETE ${here}/endpoints/chat`]: {
      body: { id: endpoint.id, deleted: true, revoked_key_ids: ['key_1'] },
    },
  });
  const lines = [
    'endpoints list',
    'endpoints show chat',
    'endpoints create chat --model Qwen3-8B --tier gpu_nvidia_dedicated --fallback-after 2s ' +
      '--fallback-tier cpu_amd_optimized --queue-timeout 10s --region lab --resume',
    'endpoints create chat',
    'endpoints create chat --model none --tier free',
    'endpoints set chat --agents lab-3 --no-fallback --if-version 2',
    'endpoints set chat --unset agents,region,minimum-isolation,fallback-tier',
    'endpoints set chat --no-active',
    'endpoints delete chat --yes',
    'endpoints use chat',
  ];
  assertGolden('cli/endpoints.txt', await cli.transcript(lines));
});

test('a model that is not the one that was named, or is of somebody else', async () => {
  const sha256 = 'ab'.repeat(32);
  const approval = { sha256, note: 'looked at it', approved_by: 'usr_1', created_at: yesterday };
  const ours = { ...model, id: modelId.replace(/1$/, '2'), ownership: 'catalogue' } as const;
  cli.answers({
    [`GET ${here}/models`]: { body: wholePage([model]) },
    [`GET ${here}/models/${modelId}`]: { body: model },
    [`POST ${here}/models`]: { status: 201, body: model },
    [`PATCH ${here}/models/${modelId}`]: { body: { ...model, context_length: null } },
    [`DELETE ${here}/models/${modelId}`]: { body: { id: modelId, deleted: true } },
    'GET /api/v1/platform/models': { body: wholePage([ours]) },
    'POST /api/v1/platform/models': { status: 201, body: ours },
    'GET /api/v1/platform/model-approvals': { body: wholePage([approval]) },
    'POST /api/v1/platform/model-approvals': { status: 201, body: approval },
    [`DELETE /api/v1/platform/model-approvals/${sha256}`]: { body: { sha256, withdrawn: true } },
  });
  const lines = [
    'models list',
    'models list --of catalogue',
    'models list --platform',
    'models show Qwen3-8B',
    'models create Qwen3-8B --source hf:Qwen/Qwen3-8B-GGUF:Qwen3-8B-Q4_K_M.gguf ' +
      '--size 5GB --context-length 32768',
    'models create Qwen3-8B --source hf:Qwen/Qwen3-8B-GGUF --platform -o json',
    'models set Qwen3-8B --unset context-length',
    'models delete Qwen3-8B --yes',
    'models approvals',
    `models approve ${sha256}`,
    `models withdraw ${sha256}`,
  ];
  assertGolden('cli/models.txt', await cli.transcript(lines));
});

test('an agent that is stopped, changed or removed by a slip', async () => {
  const at = `${here}/agents/${agentId}`;
  const by = { actor: 'key:key_1', actor_name: 'deploy' };
  const event = { id: 7, at: yesterday, kind: 'enrolled', ...by, detail: 'key jk_1' };
  const stopped = { suspended_reason: 'maintenance', stop_mode: 'drain' } as const;
  const suspended = { ...agent, state: 'suspended', ...stopped } as const;
  const oldId = agentId.replace(/1$/, '2');
  const old = { ...agent, id: oldId, name: 'lab-2', state: 'dead' } as const;
  const inUse = [{ model_id: modelId, model: 'Qwen3-8B', bytes: 16e9 }];
  const limit = { storage_limit_enabled: true, storage_limit_bytes: 12e9 };
  const storage = { limit_bytes: 12e9, used_bytes: 16e9, evicted_bytes: 5e9, over_bytes: 4e9 };
  const over = { ...agent, ...limit, storage: { ...storage, in_use: inUse, up_to_date: true } };
  const shared = { ...agent, name: 'pool-1', ownership: 'shared', facts: null } as const;
  cli.answers({
    [`GET ${here}/agents`]: { body: wholePage([agent, { ...old, name: agent.name }, old]) },
    [`GET ${here}/agents/${oldId}/events`]: { body: wholePage([event]) },
    [`GET ${here}/endpoints`]: { body: wholePage([endpoint]) },
    [`GET ${at}`]: { body: agent },
    [`PATCH ${at}`]: { body: { ...over, warnings: ['800 MB are over the limit still.'] } },
    [`POST ${at}/suspend`]: { body: suspended },
    [`POST ${at}/resume`]: { body: { ...agent, state: 'disconnected', in_flight: null } },
    [`DELETE ${at}`]: { body: { ...agent, state: 'dead' } },
    [`POST ${at}/revoke-credentials`]: { body: { ...agent, state: 'dead' } },
    [`GET ${at}/events`]: { body: wholePage([event]) },
    'GET /api/v1/platform/agents': { body: wholePage([shared]) },
    [`GET /api/v1/platform/agents/${agentId}`]: { body: shared },
  });
  const lines = [
    'agents list --state active --tier self_hosted',
    'agents list --platform',
    'agents show lab-3',
    `agents show ${agentId} --platform`,
    'agents set lab-3 --name lab-4 --at-once 4 --tiers self_hosted --endpoints chat',
    'agents set lab-3 --storage-limit 200GB',
    'agents set lab-3 --unset storage-limit,tiers,endpoints',
    'agents suspend lab-3 --reason maintenance',
    'agents suspend lab-3 --cut',
    'agents suspend lab-3 --drain',
    'agents resume lab-3',
    'agents remove lab-3',
    'agents remove lab-3 --yes --reason sold --cut',
    'agents revoke-credentials lab-3 --reason stolen --yes',
    'agents events lab-3 --limit 5',
    'agents events lab-2',
    'agents show lab-9',
  ];
  assertGolden('cli/agents.txt', await cli.transcript(lines));
});

test('join keys, tiers and changes that say less than the server does', async () => {
  const key: JoinKeyAnswer = {
    id: 'jk_1',
    name: 'lab-3',
    region: 'datacenter-3',
    supported_tiers: null,
    storage_limit_enabled: false,
    storage_limit_bytes: null,
    max_uses: 1,
    uses: 0,
    state: 'open',
    created_at: now,
    expires_at: '2026-03-01T12:15:00.000Z',
  };
  const free: TierAnswer = {
    slug: 'free',
    name: 'Free',
    accelerator: 'any shared agent',
    tenancy: 'multi',
    priority: 10,
    tokens_per_minute: 10_000,
    requests_per_minute: 64,
    concurrent_per_project: 5,
    engine_batch: 1,
    request_timeout_ms: 30_000,
    idle_stream_timeout_ms: 120_000,
    max_model_bytes: 48e9,
    price: { kind: 'per_million_tokens', amount: 0 },
    streaming: true,
    batching: false,
    fallback_by_default: true,
    minimum_isolation: 'none',
    deprecated_slugs: [],
    overrides: {},
    features_json: null,
    measured: {
      since: yesterday,
      requests: 0,
      success_share: null,
      ttft_p50_ms: null,
      ttft_p99_ms: null,
      tokens_per_second: null,
    },
    version: 0,
  };
  const own: TierAnswer = {
    ...free,
    slug: 'self_hosted',
    accelerator: 'user-supplied',
    tokens_per_minute: null,
    requests_per_minute: null,
    concurrent_per_project: 96,
    max_model_bytes: null,
    price: { kind: 'per_hour', amount: 20 / 730 },
    measured: { ...free.measured, requests: 1200, success_share: 0.9991, ttft_p50_ms: 83 },
  };
  const shared = {
    deprecated_slugs: ['gpu_nvidia_dedicated'],
    overrides: { tokens_per_minute: 5000, engine_batch: 2 },
  };
  const label = 'target, not measured';
  const said = {
    features_json: { uptime: { value: '99.9 %', label }, cards: [2], site: 'attic' },
    version: 1,
  };
  const note: AuditNoteAnswer = {
    id: 9,
    at: yesterday,
    actor: 'user:usr_1',
    actor_name: 'ana@example.com',
    action: 'endpoint.update',
    target_kind: 'endpoint',
    target_id: 'ep_1',
    project_id: 'proj_1',
    request_id: 'req_1',
    address: '192.0.2.7',
    changes: { active: { from: true, to: false }, region: { from: null, to: 'lab' } },
  };
  cli.answers({
    [`GET ${here}/join-keys`]: { body: wholePage([key]) },
    [`GET ${here}/join-keys/jk_1`]: { body: { ...key, name: '', supported_tiers: ['free'] } },
    [`DELETE ${here}/join-keys/jk_1`]: { body: { id: 'jk_1', revoked: true } },
    'GET /api/v1/platform/join-keys': { body: wholePage([]) },
    'GET /api/v1/tiers': { body: { data: [{ ...free, ...shared }, own] } },
    'PATCH /api/v1/platform/tiers/self_hosted': { body: { ...own, ...said } },
    [`GET ${here}/audit`]: { body: wholePage([note]) },
    'GET /api/v1/platform/audit': { body: wholePage([]) },
  });
  const lines = [
    'join-keys list',
    'join-keys list --platform',
    'join-keys show lab-3',
    'join-keys revoke lab-3',
    'tiers list',
    'tiers show self_hosted',
    'tiers show gpu_nvidia_dedicated',
    'tiers show gold',
    'tiers set self_hosted --features {"uptime":"99.9%"} --if-version 0',
    'tiers set self_hosted --unset features',
    'tiers set self_hosted --features [1]',
    'tiers set self_hosted',
    'audit list --from 24h --action endpoint.update',
    'audit list --platform --from 2026-03-01',
    'audit list --from soon',
  ];
  assertGolden('cli/catalogue.txt', await cli.transcript(lines));
});

test('regions that are taken for near ones, or a shared thing for the project’s own', async () => {
  const at = '/api/v1/platform/regions';
  const none = { groups: [], updated_at: null, version: 0 };
  const groups = [
    ['eu-1', 'eu-2'],
    ['eu-2', 'lab'],
  ];
  const map = { groups, updated_at: now, version: 1 };
  const shared = { ...agent, ownership: 'shared' } as const;
  const ours = { ...model, ownership: 'catalogue' } as const;
  cli.answers({
    [`GET ${at}`]: { body: none },
    [`PUT ${at}`]: { body: map },
    [`GET ${here}/agents`]: { body: wholePage([shared]) },
    [`GET ${here}/models`]: { body: wholePage([ours]) },
    [`GET ${here}/models/${modelId}`]: { body: ours },
  });
  const others = [
    'agents suspend lab-3',
    'agents health lab-3',
    'agents logs lab-3',
    'models set Qwen3-8B --context-length 100',
    'models delete Qwen3-8B --yes',
  ];
  const set = await cli.run(['regions', 'set', '--near', 'eu-1 eu-2,eu-2  lab']);
  assert.deepEqual([set.code, cli.seen[0]?.body], [0, { groups }], set.notes);
  const odd = await cli.run(['regions', 'set', '--near', '[["a,b","lab"],["eu-1","x"]]']);
  const named = [
    ['a,b', 'lab'],
    ['eu-1', 'x'],
  ];
  assert.deepEqual([odd.code, cli.seen.at(-1)?.body], [0, { groups: named }], odd.notes);
  const broken = await cli.run(['regions', 'set', '--near', '[["a,b"']);
  assert.equal(broken.code, 2, broken.notes);
  const unknown = await cli.transcript(['regions show', 'regions set', 'regions clear', ...others]);
  cli.answers({ [`GET ${at}`]: { body: map } });
  assertGolden('cli/regions.txt', `${unknown}\n${await cli.transcript(['regions show'])}`);
});

test('a moment that is read as another one', () => {
  const at = (text: string): string | undefined => momentOf(text, Date.parse(now));
  assert.equal(at('24h'), yesterday);
  assert.equal(at('2026-03-01'), '2026-03-01T00:00:00.000Z');
  assert.equal(at('2026-03-01T08:00+02:00'), '2026-03-01T06:00:00.000Z');
  for (const text of ['', 'soon', '2026-13-01', '01/02/2026', '2026-03-01T08:00:00', '5']) {
    assert.equal(at(text), undefined, text);
  }
});
