import assert from 'node:assert/strict';
import { firstPage } from '../../testing/http/firstPage.ts';
import { after, before, test } from 'node:test';
import type { UsageRow } from '../../store/contract/usageStore.ts';
import {
  enrolledAgent,
  newTestAgent,
  openControlHarness,
  type ControlHarness,
} from '../../testing/http/controlHarness.ts';

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

async function usage(fields: Pick<UsageRow, 'requestId' | 'agentId' | 'startedAtMs'>) {
  const projectId = harness.credentials.project.id;
  const [endpoint] = await harness.store.endpointsOf(projectId);
  assert.ok(endpoint);
  const row: UsageRow = {
    ...fields,
    projectId,
    endpointId: endpoint.id,
    endpointSlug: endpoint.slug,
    apiKeyId: 'key_x',
    modelId: endpoint.modelId,
    tier: endpoint.tier,
    inputTokens: 3,
    cachedTokens: 0,
    outputTokens: 5,
    ttftMs: 12.5,
    latencyMs: 40.25,
    queueMs: 0,
    status: 200,
    outcome: 'completed',
    stream: true,
    usageClamped: false,
    shared: false,
    costMicros: 0,
  };
  await harness.control.usageSink.record([row]);
  await harness.control.usageSink.record([row]);
}

test('a list of requests counts one twice, or names the platform’s agents', async () => {
  const { control, admin: caller, credentials, store } = harness;
  const own = await enrolledAgent(harness);
  const shared = await newTestAgent(control).enroll({ joinKey: credentials.joinKey.text });
  assert.ok(shared.ok);
  await usage({ requestId: 'req_1', agentId: own.agentId, startedAtMs: 1000 });
  await usage({ requestId: 'req_2', agentId: shared.agent.agentId, startedAtMs: 2000 });
  await usage({ requestId: 'req_3', agentId: null, startedAtMs: 3000 });
  const listed = await control.recentRequests({ caller, project: 'default', page: firstPage });
  assert.ok(listed.ok);
  const ownName = (await store.agentById(own.agentId))?.name;
  assert.deepEqual(
    listed.requests.items.map(({ requestId, agentName }) => [requestId, agentName]),
    [
      ['req_3', null],
      ['req_2', 'shared'],
      ['req_1', ownName],
    ],
  );
  const two = await control.recentRequests({
    caller,
    project: 'default',
    page: { after: null, limit: 2 },
  });
  assert.ok(two.ok && two.requests.items.length === 2);
  const page = { after: two.requests.next, limit: 2 };
  const last = await control.recentRequests({ caller, project: 'default', page });
  assert.ok(last.ok && last.requests.items.length === 1 && last.requests.next === null);
});

test('an endpoint is shown without its model', async () => {
  const { control, admin: caller } = harness;
  const listed = await control.endpoints({ caller, project: 'default' });
  assert.ok(listed.ok);
  const { items } = listed.endpoints;
  assert.equal(items.length, 2);
  for (const { endpoint, model } of items) assert.equal(model.id, endpoint.modelId);
});
