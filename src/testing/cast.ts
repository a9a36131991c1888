/**
 * The cast of the tests of access: two projects with an owner each, and everybody else who may
 * knock, with what they send. What belongs to a project has its canary in every name, so that a
 * leak shows wherever it comes out.
 */
import { newApiKeyRow } from '../control/apiKeys/apiKeyText.ts';
import type { OwnerRef } from '../control/principal.ts';
import { sha256Hex } from '../lib/crypto/hashing.ts';
import { newId } from '../lib/ids.ts';
import { systemRandom } from '../lib/random.ts';
import type { ProjectRow } from '../store/contract/projectStore.ts';
import type { Store } from '../store/store.ts';
import { newTestAgent, type ControlHarness } from './http/controlHarness.ts';
import { newEndpoint as newEndpointInput, newModel } from './router/catalogueRows.ts';
import { auditNote, usageRow, userRow } from './database/storeRows.ts';

export const castNames = [
  'none',
  'member',
  'owner',
  'admin',
  /** Owner of the other project. */
  'stranger',
  'expiredSession',
  /** An owner of the project who signed in with a one-time password. */
  'oneTimeOwner',
  'managementKey',
  'inferenceKey',
  'strangerKey',
  'strangerInferenceKey',
  'expiredKey',
  'revokedKey',
  /** An agent's access token in the place of a key. */
  'agent',
] as const;
export type CastName = (typeof castNames)[number];

/** Headers of one call; a session is a new one each time, since some calls end it. */
export type Credentials = () => Promise<Record<string, string>>;

export interface CastProject {
  id: string;
  slug: string;
  canary: string;
  ownerId: string;
  agentId: string;
  joinKeyId: string;
  apiKeyId: string;
  modelId: string;
  endpointId: string;
  invitationId: string;
  requestId: string;
}

export interface Cast {
  own: CastProject;
  foreign: CastProject;
  /** What is nobody's but the operator's. */
  platform: { agentId: string; joinKeyId: string; modelId: string };
  callers: Readonly<Record<CastName, Credentials>>;
}

const ofProject = (project: string): OwnerRef => ({ kind: 'project', project });

type Base = Pick<ControlHarness, 'store' | 'control' | 'clock' | 'admin'>;

/** `base` is the origin of pages of ours. */
export async function inviteCast(harness: Base, { base }: { base: string }): Promise<Cast> {
  const { store, clock, admin } = harness;
  const own = await newProject(harness, 'alpha');
  const foreign = await newProject(harness, 'beta');
  const member = await newUser(store, 'member');
  const audit = auditNote();
  const oneTime = await newUser(store, 'one-time', { mustChangePassword: true });
  const joins = { projectId: own.id, nowMs: clock.now(), audit } as const;
  await store.addMember({ ...joins, userId: member, role: 'member' });
  await store.addMember({ ...joins, userId: oneTime, role: 'owner' });

  const page = { origin: base, 'content-type': 'application/json' };
  const signedIn =
    (userId: string, { expired = false } = {}): Credentials =>
    async () => {
      const cookie = await openSession({ store, clock }, { userId, expired });
      return { ...page, cookie };
    };
  const withToken = (token: string): Credentials => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    return () => Promise.resolve(headers);
  };
  const key = async (
    project: CastProject,
    scopes: readonly ('inference' | 'management')[],
    end: { expired?: boolean; revoked?: boolean } = {},
  ): Promise<Credentials> => withToken((await newKey(harness, project, { scopes, ...end })).text);
  const both = ['inference', 'management'] as const;
  return {
    own,
    foreign,
    platform: await newPlatformThings(harness),
    callers: {
      none: () => Promise.resolve(page),
      member: signedIn(member),
      owner: signedIn(own.ownerId),
      admin: signedIn(admin.principal.userId),
      stranger: signedIn(foreign.ownerId),
      expiredSession: signedIn(own.ownerId, { expired: true }),
      oneTimeOwner: signedIn(oneTime),
      managementKey: await key(own, ['management']),
      inferenceKey: await key(own, ['inference']),
      strangerKey: await key(foreign, ['management']),
      strangerInferenceKey: await key(foreign, ['inference']),
      expiredKey: await key(own, both, { expired: true }),
      revokedKey: await key(own, both, { revoked: true }),
      agent: withToken((await newAgent(harness, ofProject(own.slug), own.canary)).accessToken),
    },
  };
}

async function newUser(
  store: Store,
  name: string,
  over: { mustChangePassword?: boolean } = {},
): Promise<string> {
  const id = newId('user', systemRandom);
  const email = `${name}@cast.example`;
  const user = userRow({ id, email, role: 'user', mustChangePassword: false, ...over });
  const made = await store.insertUser({ user, audit: auditNote() });
  if (!made.ok) throw new Error(made.reason);
  return id;
}

async function newProject(harness: Base, slug: string): Promise<CastProject> {
  const { store, clock, control } = harness;
  const canary = `canary-${slug}`;
  const ownerId = await newUser(store, `${canary}-owner`);
  const project: ProjectRow = {
    id: newId('proj', systemRandom),
    slug,
    name: canary,
    sharedAccess: true,
    version: 1,
    createdAtMs: clock.now(),
  };
  const audit = auditNote({ projectId: project.id });
  const made = await store.insertProject({
    project,
    ownerId,
    ownedLimit: null,
    sharesAlone: false,
    audit,
  });
  if (!made.ok) throw new Error(made.reason);
  const { agentId } = await newAgent(harness, ofProject(slug), canary);
  const owner = { kind: 'project', project: slug } as const;
  const wish = { name: canary };
  const joinKey = await control.createJoinKey({ caller: harness.admin, owner, wish });
  if (!joinKey.ok) throw new Error(joinKey.reason);
  const named = { id: project.id, slug, canary };
  return {
    ...named,
    ownerId,
    agentId,
    joinKeyId: joinKey.joinKey.id,
    apiKeyId: (await newKey(harness, named, { scopes: ['inference'] })).id,
    ...(await newEndpoint(store, named)),
    invitationId: await newInvitation(harness, named),
    requestId: await newRequest(store, named),
  };
}

/** One that was served. */
async function newRequest(
  store: Store,
  { id: projectId, canary }: Pick<CastProject, 'id' | 'canary'>,
): Promise<string> {
  const requestId = newId('req', systemRandom);
  await store.recordUsage([usageRow(1, { requestId, projectId, endpointSlug: canary })]);
  return requestId;
}

/** On a model of the project's own. */
async function newEndpoint(
  store: Store,
  { id: projectId, canary }: Pick<CastProject, 'id' | 'canary'>,
): Promise<Pick<CastProject, 'modelId' | 'endpointId'>> {
  const modelId = newId('model', systemRandom);
  const made = await store.createModel(newModel({ id: modelId, projectId, name: canary }));
  if (!made.ok) throw new Error(made.reason);
  const endpointId = newId('ep', systemRandom);
  const wanted = { id: endpointId, projectId, slug: canary, modelId };
  const served = await store.createEndpoint(newEndpointInput(wanted));
  if (!served.ok) throw new Error(served.reason);
  return { modelId, endpointId };
}

async function newPlatformThings(harness: Base): Promise<Cast['platform']> {
  const { control, admin: caller } = harness;
  const owner = { kind: 'platform' } as const;
  const { agentId } = await newAgent(harness, owner, 'shared');
  const joinKey = await control.createJoinKey({ caller, owner, wish: {} });
  if (!joinKey.ok) throw new Error(joinKey.reason);
  const file = { name: 'of the catalogue', source: 'hf:catalogue/model:model.gguf' };
  const model = await control.createModel({ caller, owner, wish: file });
  if (!model.ok) throw new Error(model.reason);
  return { agentId, joinKeyId: joinKey.joinKey.id, modelId: model.model.id };
}

async function newInvitation(
  { store, clock, admin }: Base,
  { id: projectId, canary }: Pick<CastProject, 'id' | 'canary'>,
): Promise<string> {
  const id = newId('inv', systemRandom);
  const made = await store.insertInvitation({
    invitation: {
      id,
      projectId,
      projectRole: 'member',
      userRole: 'user',
      email: `${canary}-invited@cast.example`,
      tokenSha256: sha256Hex(id),
      createdBy: `user:${admin.principal.userId}`,
      createdAtMs: clock.now(),
      expiresAtMs: clock.now() + 3_600_000,
      acceptedAtMs: null,
      acceptedBy: null,
      revokedAtMs: null,
    },
    openLimit: 100,
    audit: auditNote({ projectId }),
  });
  if (!made.ok) throw new Error(made.reason);
  return id;
}

async function newAgent(
  { control, admin }: Base,
  owner: OwnerRef,
  name: string,
): Promise<{ agentId: string; accessToken: string }> {
  const made = await control.createJoinKey({ caller: admin, owner, wish: { name } });
  if (!made.ok) throw new Error(made.reason);
  const outcome = await newTestAgent(control).enroll({ joinKey: made.text });
  if (!outcome.ok) throw new Error(outcome.reason);
  return { agentId: outcome.agent.agentId, accessToken: outcome.credentials.accessToken };
}

async function newKey(
  { store, clock }: Base,
  project: Pick<CastProject, 'id' | 'slug' | 'canary'>,
  wish: {
    scopes: readonly ('inference' | 'management')[];
    expired?: boolean;
    revoked?: boolean;
  },
): Promise<{ id: string; text: string }> {
  const { row, text } = newApiKeyRow(
    { random: systemRandom, clock },
    {
      project,
      name: project.canary,
      scopes: wish.scopes,
      createdBy: 'system',
      expiresAtMs: wish.expired === true ? clock.now() - 1 : null,
    },
  );
  const audit = auditNote({ projectId: project.id });
  const made = await store.insertApiKey({ key: row, livingLimit: 1_000, audit });
  if (!made.ok) throw new Error(made.reason);
  if (wish.revoked === true) {
    const at = { id: row.id, projectId: project.id, nowMs: clock.now() };
    await store.revokeApiKey({ ...at, audit });
  }
  return { id: row.id, text };
}

/** The cookie of somebody who is signed in. */
export async function openSession(
  { store, clock }: Pick<Base, 'store' | 'clock'>,
  { userId, expired = false }: { userId: string; expired?: boolean },
): Promise<string> {
  const token = systemRandom.bytes(32).toString('base64url');
  const nowMs = clock.now();
  const made = await store.insertSession({
    session: {
      tokenSha256: sha256Hex(token),
      userId,
      method: 'password',
      createdAtMs: expired ? nowMs - 2_000 : nowMs,
      expiresAtMs: expired ? nowMs - 1_000 : nowMs + 3_600_000,
    },
    checkedHash: null,
  });
  if (!made.ok) throw new Error(made.reason);
  return `xim_session=${token}`;
}
