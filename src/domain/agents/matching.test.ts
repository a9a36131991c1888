import assert from 'node:assert/strict';
import test from 'node:test';
import {
  agentEntry,
  endpointEntry,
  modelEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import { agentExclusion, fallbackTier, isolationOf, satisfiesIsolation } from './matching.ts';

const own = agentEntry({ projectId: 'proj_a' });
const shared = agentEntry({ projectId: null });
const request = routedRequest();

test('M1 an agent of another project serves nothing of ours, bound or not', () => {
  const foreign = agentEntry({ projectId: 'proj_b' });
  const bound = agentEntry({ projectId: 'proj_b', boundEndpointIds: ['ep_a'] });
  for (const agent of [foreign, bound]) {
    assert.equal(agentExclusion(agent, { request, stage: 'own' }), 'other_project');
    assert.equal(agentExclusion(agent, { request, stage: 'shared' }), 'other_project');
  }
});

test('own and shared agents pass in their own stage only', () => {
  assert.equal(agentExclusion(own, { request, stage: 'own' }), null);
  assert.equal(agentExclusion(own, { request, stage: 'shared' }), 'other_project');
  assert.equal(agentExclusion(shared, { request, stage: 'shared' }), null);
  assert.equal(agentExclusion(shared, { request, stage: 'own' }), 'other_project');
});

test('M2 no shared access, or an own model, keeps a project off shared agents', () => {
  const project = projectEntry({ sharedAccess: false });
  const model = modelEntry({ projectId: 'proj_a' });
  for (const [closed, why] of [
    [routedRequest({ project }), 'no_shared_access'],
    [routedRequest({ model }), 'model_not_shared'],
  ] as const) {
    assert.equal(fallbackTier(closed), null);
    const reason = agentExclusion(shared, { request: closed, stage: 'shared' });
    assert.equal(reason, why);
  }
  const mine = routedRequest({ model });
  assert.equal(agentExclusion(own, { request: mine, stage: 'own' }), null);
});

test('fallback of a self_hosted endpoint opens only on the tier that it names', () => {
  const fallback = { enabled: true, afterMs: 0, tier: null };
  const endpoint = endpointEntry({ tier: 'self_hosted', fallback });
  assert.equal(fallbackTier(routedRequest({ endpoint })), null);
  const named = { ...endpoint, fallback: { ...fallback, tier: 'free' as const } };
  assert.equal(fallbackTier(routedRequest({ endpoint: named })), 'free');
});

test('a self_hosted endpoint does not rule an own agent out by its accelerator', () => {
  const endpoint = endpointEntry({ tier: 'self_hosted' });
  const gpu = agentEntry({
    projectId: 'proj_a',
    effectiveTiers: ['gpu_nvidia_shared', 'self_hosted'],
  });
  const asked = routedRequest({ endpoint });
  assert.equal(agentExclusion(gpu, { request: asked, stage: 'own' }), null);
});

test('an agent whose key names only self_hosted is not offered for GPU tiers', () => {
  const endpoint = endpointEntry({ tier: 'gpu_nvidia_shared' });
  const plain = agentEntry({ projectId: 'proj_a', effectiveTiers: ['self_hosted'] });
  const asked = routedRequest({ endpoint });
  assert.equal(agentExclusion(plain, { request: asked, stage: 'own' }), 'tier');
});

test('M3 binding holds from both sides', () => {
  const elsewhere = agentEntry({ projectId: 'proj_a', boundEndpointIds: ['ep_other'] });
  assert.equal(agentExclusion(elsewhere, { request, stage: 'own' }), 'binding');
  const exclusive = routedRequest({ endpoint: endpointEntry({ exclusive: true }) });
  assert.equal(agentExclusion(own, { request: exclusive, stage: 'own' }), 'exclusive');
  const bound = agentEntry({ projectId: 'proj_a', boundEndpointIds: ['ep_a'] });
  assert.equal(agentExclusion(bound, { request: exclusive, stage: 'own' }), null);
  const lent = agentEntry({ projectId: null, boundEndpointIds: ['ep_a'] });
  assert.equal(agentExclusion(lent, { request: exclusive, stage: 'own' }), null);
});

test('a suspended or dead agent is asked anything else, or one is taken for the other', () => {
  const out = (['suspended', 'dead'] as const).map((state) => {
    const agent = agentEntry({ projectId: 'proj_b', state });
    return agentExclusion(agent, { request, stage: 'own' });
  });
  assert.deepEqual(out, ['suspended', 'not_active']);
});

test('R2 isolation below what is demanded is out; a dedicated machine is not microvm', () => {
  const logical = routedRequest({ endpoint: endpointEntry({ minimumIsolation: 'logical' }) });
  assert.equal(agentExclusion(shared, { request: logical, stage: 'shared' }), 'isolation');
  assert.equal(agentExclusion(own, { request: logical, stage: 'own' }), null);
  assert.equal(satisfiesIsolation({ offered: 'dedicated', demanded: 'microvm' }), false);
  assert.equal(satisfiesIsolation({ offered: 'none', demanded: null }), true);
  assert.equal(isolationOf(shared), 'none');
});

test('M2 an approved digest does not open shared agents, or an unknown file uses it', () => {
  const model = modelEntry({
    projectId: 'proj_a',
    sha256: 'a'.repeat(64),
    approvedForShared: true,
  });
  const approved = routedRequest({ model });
  assert.equal(fallbackTier(approved), 'cpu_amd_optimized');
  assert.equal(agentExclusion(shared, { request: approved, stage: 'shared' }), null);
  const foreign = agentEntry({ projectId: 'proj_b' });
  assert.equal(agentExclusion(foreign, { request: approved, stage: 'own' }), 'other_project');
  const unchecked = routedRequest({ model: { ...model, sha256: null } });
  assert.equal(fallbackTier(unchecked), null);
});
