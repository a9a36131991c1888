import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  openControlHarness,
  testCaller,
  type ControlHarness,
} from '../testing/http/controlHarness.ts';
import { firstPage } from '../testing/http/firstPage.ts';
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

type Calls = (() => Promise<{ ok: boolean }>)[];

function accountCalls(caller: Caller): Calls {
  const { control } = harness;
  const about = { caller, userId: harness.admin.principal.userId };
  return [
    () => control.users({ caller, page: firstPage }),
    () => control.user(about),
    () => control.createUser({ caller, email: 'new@example.org', role: 'admin' }),
    () => control.updateUser({ ...about, expectedVersion: null, disabled: true }),
    () => control.resetPassword(about),
    () => control.dropSecondFactor(about),
  ];
}

function keyCalls(caller: Caller, project: string): Calls {
  const { control } = harness;
  const about = { caller, project, apiKeyId: 'key_x' };
  const patch = { expectedVersion: null, wish: {} };
  return [
    () => control.apiKeys({ caller, project, page: firstPage }),
    () => control.apiKey(about),
    () => control.createApiKey({ caller, project, name: 'k', scopes: ['inference'], wish: {} }),
    () => control.updateApiKey({ ...about, ...patch }),
    () => control.rotateApiKey({ ...about, expectedVersion: null }),
    () => control.revokeApiKey(about),
  ];
}

function invitationCalls(caller: Caller, owner: OwnerRef): Calls {
  const { control } = harness;
  const wish = { email: 'new@example.org', role: 'owner', userRole: 'user' } as const;
  return [
    () => control.invitations({ caller, owner, page: firstPage }),
    () => control.createInvitation({ caller, owner, ...wish }),
    () => control.revokeInvitation({ caller, owner, invitationId: 'inv_x' }),
  ];
}

/** What only people do about a project's people. */
function memberCalls(caller: Caller, project: string): Calls {
  const { control } = harness;
  const about = { caller, project, userId: harness.admin.principal.userId };
  return [
    ...invitationCalls(caller, { kind: 'project', project }),
    () => control.members({ caller, project, page: firstPage }),
    () => control.setMemberRole({ ...about, role: 'member' }),
    () => control.removeMember(about),
  ];
}

/** What somebody does about their own account. */
function ownCalls(caller: Caller): Calls {
  const { control } = harness;
  const { secondFactors } = control;
  const code = '123456';
  return [
    () => secondFactors.status({ caller }),
    () => secondFactors.begin({ caller, password: undefined }),
    () => secondFactors.confirm({ caller, code }),
    () => secondFactors.renewRecoveryCodes({ caller, code }),
    () => secondFactors.turnOff({ caller, code }),
    () => control.acceptInvitation({ caller, token: 'xin_x' }),
    () => control.createProject({ caller, name: 'mine' }),
  ];
}

/** Every use-case that has a caller, as `kind` of owner it is about. */
function calls(caller: Caller, owner: OwnerRef): Calls {
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
      ...accountCalls(caller),
      ...invitationCalls(caller, owner),
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
    ...keyCalls(caller, project),
    () => control.project({ caller, project }),
    () => control.updateProject({ caller, project, expectedVersion: null }),
    () => control.deleteProject({ caller, project }),
    () => control.endpoints({ caller, project }),
    () => control.recentRequests({ caller, project, page: firstPage }),
  ];
}

async function expectEach(list: Calls, reason: string): Promise<void> {
  for (const call of list) assert.deepEqual(await call(), { ok: false, reason }, String(call));
}

async function expectAll(caller: Caller, owner: OwnerRef, reason: string): Promise<void> {
  await expectEach(calls(caller, owner), reason);
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

test('a key speaks of people, or a stranger of those of a project', async () => {
  const { id, slug } = harness.credentials.project;
  const denied = 'insufficient_permissions';
  for (const scope of ['inference', 'management'] as const) {
    await expectEach(memberCalls(apiKey(id, scope), slug), denied);
    await expectEach(ownCalls(apiKey(id, scope)), denied);
  }
  await expectEach(memberCalls(anonymous, slug), 'not_signed_in');
  await expectEach(ownCalls(anonymous), 'not_signed_in');
  await expectEach(memberCalls(plainUser, slug), 'project_not_found');
  await expectEach(memberCalls(plainUser, 'missing'), 'project_not_found');
  const add = { caller: plainUser, project: slug, email: 'x@y', role: 'owner' } as const;
  await expectEach([() => harness.control.addMember(add)], denied);
});

test('a one-time password opens a use-case before it was changed', async () => {
  const { userId, email, role } = harness.admin.principal;
  const oneTime = testCaller({ kind: 'one_time_user', userId, email, role });
  const { slug } = harness.credentials.project;
  const reason = 'password_change_required';
  await expectAll(oneTime, { kind: 'platform' }, reason);
  await expectAll(oneTime, { kind: 'project', project: slug }, reason);
  await expectEach(memberCalls(oneTime, slug), reason);
  await expectEach(ownCalls(oneTime), reason);
  await expectEach([() => harness.control.projects({ caller: oneTime })], reason);
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
