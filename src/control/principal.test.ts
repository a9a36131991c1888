import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openControlHarness, testCaller, type ControlHarness } from '../testing/controlHarness.ts';
import { firstPage } from '../testing/firstPage.ts';
import type { Caller, OwnerRef } from './principal.ts';

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

const anonymous = testCaller({ kind: 'anonymous' });
const plainUser = testCaller({ kind: 'user', userId: 'usr_x', email: 'x@y', role: 'user' });

function apiKey(projectId: string, scope: 'inference' | 'management'): Caller {
  return testCaller({ kind: 'api_key', keyId: 'key_x', projectId, scopes: [scope] });
}

/** Every use-case that has a caller, as `kind` of owner it is about. */
function calls(caller: Caller, owner: OwnerRef): (() => Promise<{ ok: boolean }>)[] {
  const { control } = harness;
  const project = owner.kind === 'project' ? owner.project : undefined;
  const about = { caller, owner, agentId: '00000000-0000-4000-8000-000000000000' };
  const ofOwner = [
    () => control.createJoinKey({ caller, owner, wish: {} }),
    () => control.joinKeys({ caller, owner, page: firstPage }),
    () => control.joinKey({ caller, owner, joinKeyId: 'xjk_x' }),
    () => control.revokeJoinKey({ caller, owner, joinKeyId: 'xjk_x' }),
    () => control.agents({ caller, owner }),
    () => control.agent(about),
    () => control.agentEvents({ ...about, page: firstPage }),
    () => control.suspendAgent(about),
    () => control.resumeAgent(about),
    () => control.removeAgent(about),
  ];
  const modelId = 'mdl_x';
  const patch = { wish: {}, expectedVersion: null };
  const model = { name: 'm', source: 'hf:a/b:c.gguf' };
  const ofEither = [
    ...ofOwner,
    () => control.models({ caller, owner, page: firstPage }),
    () => control.model({ caller, owner, modelId }),
    () => control.createModel({ caller, owner, wish: model }),
    () => control.updateModel({ caller, owner, modelId, ...patch }),
    () => control.deleteModel({ caller, owner, modelId }),
  ];
  if (project === undefined) {
    const sha256 = 'a'.repeat(64);
    return [
      ...ofEither,
      () => control.modelApprovals({ caller, page: firstPage }),
      () => control.approveModel({ caller, sha256, note: '' }),
      () => control.withdrawModelApproval({ caller, sha256 }),
      () => control.regionMap({ caller }),
      () => control.setRegionMap({ caller, groups: [], expectedVersion: null }),
      () =>
        control.setTierFeatures({ caller, tier: 'free', features: null, expectedVersion: null }),
    ];
  }
  const endpoint = 'default';
  return [
    ...ofEither,
    () => control.endpoint({ caller, project, endpoint }),
    () =>
      control.createEndpoint({
        caller,
        project,
        wish: { slug: 'chat', modelId, tier: 'free' },
      }),
    () => control.updateEndpoint({ caller, project, endpoint, ...patch }),
    () => control.deleteEndpoint({ caller, project, endpoint }),
    () => control.project({ caller, project }),
    () => control.endpoints({ caller, project }),
    () => control.recentRequests({ caller, project, page: firstPage }),
  ];
}

async function expectAll(caller: Caller, owner: OwnerRef, reason: string): Promise<void> {
  for (const call of calls(caller, owner)) {
    assert.deepEqual(await call(), { ok: false, reason }, String(call));
  }
}

test('a use-case forgets to ask who calls', async () => {
  const { id, slug } = harness.credentials.project;
  const project = { kind: 'project', project: slug } as const;
  await expectAll(anonymous, project, 'not_signed_in');
  await expectAll(anonymous, { kind: 'platform' }, 'not_signed_in');
  await expectAll(apiKey(id, 'inference'), project, 'insufficient_permissions');
  await expectAll(apiKey(id, 'management'), { kind: 'platform' }, 'insufficient_permissions');
  await expectAll(plainUser, { kind: 'platform' }, 'insufficient_permissions');
  const nobody = await harness.control.projects({ caller: anonymous });
  assert.deepEqual(nobody, { ok: false, reason: 'not_signed_in' });
});

test('a project that is somebody else’s and one that is missing can be told apart', async () => {
  const { slug, id } = harness.credentials.project;
  for (const caller of [plainUser, apiKey('proj_other', 'management')]) {
    await expectAll(caller, { kind: 'project', project: slug }, 'project_not_found');
    await expectAll(caller, { kind: 'project', project: id }, 'project_not_found');
    await expectAll(caller, { kind: 'project', project: 'missing' }, 'project_not_found');
    const listed = await harness.control.projects({ caller });
    assert.deepEqual(listed, { ok: true, projects: [], next: null });
  }
});

test('the owner of a project cannot use it, by id or by slug', async () => {
  const { id, slug } = harness.credentials.project;
  for (const caller of [harness.admin, apiKey(id, 'management')]) {
    for (const project of [id, slug]) {
      const outcome = await harness.control.project({ caller, project });
      assert.ok(outcome.ok && outcome.role === 'owner' && outcome.project.id === id);
    }
    const agent = { agentId: '00000000-0000-4000-8000-000000000000' };
    const owner = { kind: 'project', project: slug } as const;
    const missing = await harness.control.agent({ caller, owner, ...agent });
    assert.deepEqual(missing, { ok: false, reason: 'not_found' });
  }
});
