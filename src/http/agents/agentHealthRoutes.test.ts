/** Health and storage of agents over HTTP, with real links and heartbeats that the test writes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AgentHealthAnswer } from '../../api/control/agentHealth.ts';
import type { AgentAnswer, ChangedAgentAnswer } from '../../api/control/agents.ts';
import { healthMeasureNames } from '../../domain/agents/agentHealth.ts';
import type { HeartbeatMessage, StorageReport } from '../../protocol/messages/agentControl.ts';
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
let agent: FakeAgent;
let target: string;
let modelId: string;
before(async () => {
  harness = await openPlatformHarness();
  agent = await joinOverHttp(harness);
  target = `${agents}/${agent.identity.agentId}`;
  await until(() => (agent.config?.models.length ?? 0) > 0);
  modelId = agent.config?.models[0]?.modelId ?? '';
});
after(() => harness.close());

const agents = '/api/v1/projects/default/agents';

const asOwner = (method: string, path: string, body?: object): Promise<Reply> =>
  harness.call(method, path, { body, key: harness.credentials.managementKey });

function answered<Answer>(reply: Reply): Answer {
  assert.equal(reply.status, 200, reply.text);
  return reply.json as Answer;
}

function beat(over: Partial<HeartbeatMessage>): void {
  agent.peer.send({ type: 'heartbeat', models: [], engines: [], ...over });
}

test('numbers that an agent sends do not reach its owner, or another one’s do', async () => {
  const before = answered<AgentHealthAnswer>(await asOwner('GET', `${target}/health`));
  assert.deepEqual([before.now, before.samples, before.state], [null, [], 'active']);
  const engine = { instance: 'engine-1', running: 1, queued: 2, tokensPerSecond: 41.5 };
  beat({
    load: { slots: 2, running: 1, waiting: 0 },
    engines: [{ ...engine, kvCacheUse: 0.5, metrics: { 'vllm:num_requests_running': 1 } }],
    accelerators: [{ name: 'H100', memoryUsedBytes: 5, memoryTotalBytes: 80, temperatureC: 66 }],
    diskFreeBytes: 100,
    residentBytes: 7,
  });
  const id = agent.identity.agentId;
  await until(() => harness.router.agentHealth(id) !== undefined);
  const atMs = harness.clock.now();
  const unknown = Object.fromEntries(healthMeasureNames.map((name) => [name, null]));
  const sample = { ...unknown, agentId: id, atMs, inFlight: 0.5 } as never;
  await harness.control.healthSink.record([sample]);
  const { now, samples } = answered<AgentHealthAnswer>(await asOwner('GET', `${target}/health`));
  assert.deepEqual(
    [now?.in_flight, now?.waiting, now?.tokens_per_second, now?.kv_cache_use, now?.temperature_c],
    [1, 2, 41.5, 0.5, 66],
  );
  assert.equal(now?.memory_total_bytes, null, 'what is not said is not 0');
  assert.deepEqual(now?.engines[0]?.model_id, modelId);
  assert.deepEqual(now?.engines[0]?.metrics, { 'vllm:num_requests_running': 1 });
  assert.equal(now?.accelerators[0]?.utilization, null);
  assert.deepEqual(
    samples.map(({ in_flight: inFlight, at }) => [inFlight, at]),
    [[0.5, new Date(atMs).toISOString()]],
  );
  harness.clock.advance(86_400_001);
  const later = answered<AgentHealthAnswer>(await asOwner('GET', `${target}/health`));
  assert.deepEqual(later.samples, []);
  const shared = `/api/v1/platform/agents/${id}/health`;
  const headers = await harness.signIn();
  assert.equal((await harness.call('GET', shared, { headers })).status, 404);
});

/** An agent that follows each new limit as the test says. */
function follows(report: (limit: number | null) => Partial<StorageReport>): () => void {
  let seen: number | null | undefined;
  const watch = setInterval(() => {
    const limit = agent.config?.storageLimitBytes;
    if (limit === undefined || limit === seen) return;
    seen = limit;
    const empty = { usedBytes: 0, evictedBytes: 0, overBytes: 0, inUse: [] };
    const storage = { configuredLimitBytes: limit, limitBytes: limit, ...empty, ...report(limit) };
    beat({ storage });
  }, 2);
  return () => clearInterval(watch);
}

test('a limit below what is used is acknowledged before anything went', async () => {
  const stop = follows((limit) => {
    if (limit === null) return { usedBytes: 9_000_000 };
    const inUse = [{ modelId, bytes: 6_000_000 }];
    return { usedBytes: 6_000_000, evictedBytes: 3_000_000, overBytes: 6_000_000 - limit, inUse };
  });
  await until(() => harness.router.agent(agent.identity.agentId)?.storage !== null);
  const patched = await asOwner('PATCH', target, { storage_limit_bytes: 5_000_000 });
  const changed = answered<ChangedAgentAnswer>(patched);
  assert.deepEqual(changed.storage, {
    limit_bytes: 5_000_000,
    used_bytes: 6_000_000,
    evicted_bytes: 3_000_000,
    over_bytes: 1_000_000,
    in_use: [{ model_id: modelId, model: 'Test model', bytes: 6_000_000 }],
    up_to_date: true,
  });
  assert.deepEqual(changed.warnings, [
    '6000000 bytes are used, 1000000 more than 5000000: in use, and gone once they are not: ' +
      'Test model (6000000).',
  ]);
  const off = await asOwner('PATCH', target, { storage_limit_enabled: false });
  const open = answered<ChangedAgentAnswer>(off);
  assert.deepEqual([open.storage?.limit_bytes, open.warnings], [null, []]);
  stop();
});

test('an agent that is away holds an answer up, or what it said last passes for now', async () => {
  const { agentId } = await enrolledAgent(harness);
  const away = await asOwner('PATCH', `${agents}/${agentId}`, { storage_limit_bytes: 4_000_000 });
  const { storage, warnings } = answered<ChangedAgentAnswer>(away);
  assert.equal(storage, null);
  assert.match(warnings.join(), /when the agent links again/);
  agent.kill();
  await until(() => harness.router.agentHealth(agent.identity.agentId) === undefined);
  const gone = answered<AgentHealthAnswer>(await asOwner('GET', `${target}/health`));
  assert.deepEqual([gone.now, gone.state], [null, 'disconnected']);
  assert.equal(answered<AgentAnswer>(await asOwner('GET', target)).storage, null);
});
