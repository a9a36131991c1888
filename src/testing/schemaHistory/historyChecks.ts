/** The rows of `historyRows.ts`, read and changed through the store of today. */
import assert from 'node:assert/strict';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import { auditNote, firstPage as page, revocation, usageRow } from '../database/storeRows.ts';
import { agentsOf } from '../router/agentsOf.ts';
import { historyMs } from './historyRows.ts';
import { rotateToken } from '../storeContract/rotateToken.ts';

const hash = (letter: string): string => letter.repeat(64);

/** What every version had from the start on. */
export async function checkReads(store: Store): Promise<void> {
  await checkPeople(store);
  await checkDirectory(store);
  await checkAgents(store);
  await checkLists(store);
  await checkLaterTables(store);
}

async function checkPeople(store: Store): Promise<void> {
  assert.equal(await store.isBootstrapped(), true);
  const admin = await store.userByEmail('admin@example.org');
  assert.equal(admin?.passwordHash, 'scrypt$admin');
  assert.equal(admin.role, 'admin');
  const { items } = await store.users({ page });
  assert.deepEqual(
    items.map(({ id, mustChangePassword }) => [id, mustChangePassword]),
    [
      ['user_admin', false],
      ['user_other', true],
    ],
  );
  const session = await store.sessionByHash(hash('f'), historyMs + 1);
  assert.equal(session?.user.id, 'user_admin');
  assert.equal(session.method, 'password');
  const access = await store.projectAccess({ project: 'a', userId: 'user_admin' });
  assert.equal(access?.role, 'owner', 'who owned the project does not any more');
  assert.equal(await store.setting('signing_keys'), 'sealed');
}

async function checkDirectory(store: Store): Promise<void> {
  const { revision, projects, endpoints, models, apiKeys, agents } = await readDirectory(store);
  assert.equal(revision, 2);
  assert.deepEqual(projects, [{ id: 'proj_a', slug: 'a', name: 'A', sharedAccess: true }]);
  const byId = <Entry extends { id: string }>(entries: Entry[], id: string): Entry | undefined =>
    entries.find((entry) => entry.id === id);
  const endpoint = byId(endpoints, 'ep_a');
  assert.deepEqual(endpoint?.fallback, { enabled: true, afterMs: 250, tier: 'cpu_amd_optimized' });
  assert.equal(endpoint.queueTimeoutMs, 20_000);
  assert.equal(byId(endpoints, 'ep_b')?.exclusive, true);
  assert.equal(byId(models, 'model_shared')?.sizeBytes, 2 ** 40);
  const key = byId(apiKeys, 'key_a');
  assert.deepEqual([key?.sha256, key?.ipAllowList], [hash('a'), ['10.0.0.0/8']]);
  assert.equal(byId(apiKeys, 'key_b')?.revoked, true);
  const agent = byId(agents, 'agent-0001');
  assert.deepEqual([agent?.generation, agent?.boundEndpointIds], [7, ['ep_b']]);
  assert.equal(byId(agents, 'agent-0002')?.state, 'suspended');
  const outcome = await store.changesSince({ revision: 1, limit: 10 });
  assert.ok(outcome.ok);
  assert.deepEqual(
    outcome.changes.map(({ kind, id }) => [kind, id]),
    [['agent', 'agent-0001']],
  );
}

async function checkAgents(store: Store): Promise<void> {
  const agent = await store.agentById('agent-0001');
  assert.equal(agent?.facts, '{"cpu":"8 cores"}');
  assert.deepEqual([agent.tokenHash, agent.previousTokenHash], [hash('7'), hash('6')]);
  const again = await store.agentByEnrollment({ joinKeyId: 'jk_a', publicKey: 'public-key-1' });
  assert.equal(again?.id, 'agent-0001');
  assert.equal((await agentsOf(store, 'proj_a')).length, 1);
  const [shared] = await agentsOf(store, null);
  assert.equal(shared?.suspendedReason, 'rotation_token_reused');
  const events = await store.agentEvents({ agentId: 'agent-0001', page });
  assert.equal(events.items[0]?.detail, 'with key desk');
}

async function checkLists(store: Store): Promise<void> {
  const projectId = 'proj_a';
  const keys = await store.apiKeysOf({ projectId, page });
  assert.deepEqual(
    keys.items.map(({ id, name }) => [id, name]),
    [
      ['key_a', 'first'],
      ['key_b', 'gone'],
    ],
  );
  assert.equal((await store.apiKeyByHash(hash('a')))?.id, 'key_a');
  const joinKey = await store.joinKeyById('jk_a');
  assert.deepEqual([joinKey?.uses, joinKey?.maxUses], [2, 4]);
  assert.equal((await store.joinKeysPage({ projectId: null, page })).items.length, 1);
  assert.equal((await store.endpointPage({ projectId, page })).items.length, 2);
  assert.equal((await store.modelById('model_own'))?.task, 'embed');
  const usage = await store.recentUsage({ projectId, page });
  assert.deepEqual(
    usage.items.map(({ requestId, outputTokens }) => [requestId, outputTokens]),
    [
      ['req_2', null],
      ['req_1', 34],
    ],
  );
  const { total } = await store.usageSummary({ projectId, filter: {}, by: [], limit: 1 });
  assert.deepEqual([total.requests, total.succeeded, total.outputTokens], [2, 1, 34]);
  const slices = await store.tierSlices({ fromMs: historyMs, toMs: historyMs + 1_000 });
  assert.equal(slices.length > 0, true);
}

/** Empty in databases from before these tables: readable all the same. */
async function checkLaterTables(store: Store): Promise<void> {
  await store.membersOf({ projectId: 'proj_a', page });
  await store.invitationsOf({ projectId: 'proj_a', page });
  await store.invitationByHash(hash('5'));
  await store.secondFactor('user_admin');
  await store.userByIdentity({ issuer: 'https://issuer.example.org', subject: 'subject-1' });
  await store.auditNotes({ projectId: 'proj_a', page });
  await store.modelApprovals({ page });
  await store.tierFeatures();
  await store.regionMap();
}

/** Changes of old rows. */
export async function checkWrites(store: Store): Promise<void> {
  const by = { atMs: historyMs + 100, actor: 'user:user_admin', reason: 'looked at' };
  const agentId = 'agent-0002';
  const resumed = await store.setAgentState({
    agentId,
    state: 'enrolled',
    ...by,
    audit: auditNote(),
  });
  assert.equal(resumed.ok && resumed.agent.state, 'enrolled');
  const rotated = await rotateToken(store, {
    agentId: 'agent-0001',
    presented: { generation: 7, hash: hash('7') },
    generation: 7,
    nextHash: hash('0'),
    nowMs: historyMs,
  });
  assert.deepEqual(rotated, { ok: true, generation: 8, ahead: false });
  assert.deepEqual(await store.revokeApiKey(revocation('key_a')), { ok: true });
  await store.recordUsage([usageRow(9)]);
  const usage = await store.recentUsage({ projectId: 'proj_a', page });
  assert.equal(usage.items.length, 3);
  const { revision } = await store.directoryHead();
  assert.equal(revision, 5);
}
