/** Projects, their members and invitations, as people use them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InvitationAnswer, MemberAnswer } from '../../api/control/members.ts';
import type { ProjectAnswer } from '../../api/control/projects.ts';
import type { InvitationTermsAnswer, SessionAnswer } from '../../api/control/sessions.ts';
import type { UserAnswer } from '../../api/control/users.ts';
import {
  invitationLifetimeMs,
  ownedProjectsPerUser,
  signUpsPerInvitation,
} from '../../control/limits.ts';
import { firstPage } from '../../testing/http/firstPage.ts';
import { openHttpHarness, type HttpHarness, type Reply } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
let admin: Headers;
before(async () => {
  harness = await openHttpHarness();
  admin = await harness.signIn();
});
after(() => harness.close());

type Headers = Record<string, string>;
const projects = '/api/v1/projects';
const chosen = 'a password of one’s own';

const page = (): Headers => ({ origin: harness.base, 'content-type': 'application/json' });

function call(as: Headers, method: string, path: string, body?: unknown): Promise<Reply> {
  return harness.call(method, path, { headers: as, ...(body === undefined ? {} : { body }) });
}
function ask<Answer>(reply: Reply, status = 200): Answer {
  assert.equal(reply.status, status, reply.text);
  return reply.json as Answer;
}
function refused(reply: Reply, status: number, code: string): void {
  const { error } = reply.json as { error: { code: unknown } };
  assert.deepEqual([reply.status, error.code], [status, code], reply.text);
}

const create = async (slug: string): Promise<ProjectAnswer> =>
  ask<ProjectAnswer>(await call(admin, 'POST', projects, { name: slug, slug }), 201);

type Invited = InvitationAnswer & { token: string; url: string };
async function invite(as: Headers, slug: string, body: object): Promise<Invited> {
  return ask<Invited>(await call(as, 'POST', `${projects}/${slug}/invitations`, body), 201);
}
const signUp = (token: string, password = chosen): Promise<Reply> =>
  call(page(), 'POST', '/api/v1/sign-up', { token, password });
const cookieOf = (reply: Reply): string => reply.headers['set-cookie']?.[0]?.split(';')[0] ?? '';

/** Somebody who came into a project by invitation. */
async function join(
  slug: string,
  email: string,
  role: string,
): Promise<{ as: Headers; id: string }> {
  const { token } = await invite(admin, slug, { email, role });
  const reply = await signUp(token);
  const { user } = ask<SessionAnswer>(reply, 201);
  return { as: { ...page(), cookie: cookieOf(reply) }, id: user.id };
}

test('a project is made with a slug that cannot be, or one that is taken', async () => {
  const made = await call(admin, 'POST', projects, { name: ' Nord Lab 7 ' });
  const project = ask<ProjectAnswer>(made, 201);
  assert.deepEqual(
    [project.slug, project.name, project.shared_access, project.role, project.version],
    ['nord-lab-7', 'Nord Lab 7', true, 'owner', 1],
  );
  refused(await call(admin, 'POST', projects, { name: 'x', slug: 'nord-lab-7' }), 409, 'conflict');
  for (const slug of ['api', 'metrics', 'A', 'a--b', 'a_b', '', 'x'.repeat(41), '../etc']) {
    refused(await call(admin, 'POST', projects, { name: 'x', slug }), 400, 'invalid_value');
  }
  for (const name of ['  ', 'x'.repeat(81), 'a\u0000b', '???']) {
    refused(await call(admin, 'POST', projects, { name }), 400, 'invalid_value');
  }
  const session = ask<SessionAnswer>(await call(admin, 'GET', '/api/v1/session'));
  assert.ok(session.projects.some(({ id, role }) => id === project.id && role === 'owner'));
  await harness.router.directory.refresh();
  assert.equal(harness.router.directory.project('nord-lab-7')?.id, project.id);
});

test('shared access is taken by somebody whose machines these are not', async () => {
  await create('frugal');
  const { as: owner } = await join('frugal', 'frugal@example.org', 'owner');
  const patch = (as: Headers, body: object, headers: Headers = {}): Promise<Reply> =>
    call({ ...as, ...headers }, 'PATCH', `${projects}/frugal`, body);
  const off = ask<ProjectAnswer>(await patch(owner, { shared_access: false, name: 'Frugal' }));
  assert.deepEqual([off.shared_access, off.name, off.version], [false, 'Frugal', 2]);
  await harness.router.directory.refresh();
  assert.equal(harness.router.directory.project('frugal')?.sharedAccess, false);
  refused(await patch(owner, { shared_access: true }), 403, 'insufficient_permissions');
  refused(await patch(admin, { name: 'Late' }, { 'if-match': '"1"' }), 409, 'conflict');
  assert.equal(ask<ProjectAnswer>(await patch(admin, { shared_access: true })).version, 3);
});

test('two projects meet in an engine without a sandbox, though nobody allowed it', async () => {
  const guarded = await openHttpHarness({ control: { allowUnsandboxed: false } });
  try {
    const as = await guarded.signIn();
    const send = (method: string, path: string, body: unknown) =>
      guarded.call(method, path, { headers: as, body });
    const second = await send('POST', projects, { name: 'guests' });
    refused(second, 409, 'conflict');
    assert.match(second.text, /--no-shared-access.*--allow-unsandboxed.*XIM_ALLOW_UNSANDBOXED/);
    const alone = { name: 'guests', shared_access: false };
    const made = ask<ProjectAnswer>(await send('POST', projects, alone), 201);
    assert.equal(made.shared_access, false);
    const give = () => send('PATCH', `${projects}/guests`, { shared_access: true });
    refused(await give(), 409, 'conflict');
    ask(await send('PATCH', `${projects}/default`, { shared_access: false }));
    assert.equal(ask<ProjectAnswer>(await give()).shared_access, true);
  } finally {
    await guarded.close();
  }
});

test('a project is made by somebody who may not, or without bound where all may', async () => {
  await create('plain');
  const { as } = await join('plain', 'plain@example.org', 'owner');
  refused(await call(as, 'POST', projects, { name: 'mine' }), 403, 'insufficient_permissions');
  const open = await openHttpHarness({ control: { usersCreateProjects: true } });
  try {
    const { control, admin: caller } = open;
    const person = await control.createUser({ caller, email: 'p@example.org', role: 'user' });
    assert.ok(person.ok);
    const { id: userId, email } = person.user;
    const principal = { kind: 'user', userId, email, role: 'user' } as const;
    const makes = (name: string) =>
      control.createProject({ caller: { ...caller, principal }, name });
    for (let count = 0; count < ownedProjectsPerUser; count += 1) {
      assert.ok((await makes(`p${count}`)).ok);
    }
    const limit = ownedProjectsPerUser;
    assert.deepEqual(await makes('more'), { ok: false, reason: 'too_many_projects', limit });
  } finally {
    await open.close();
  }
});

test('a project that could still serve is deleted, or an empty one is not', async () => {
  const inUse = await call(admin, 'DELETE', `${projects}/default`);
  refused(inUse, 409, 'conflict');
  assert.match(inUse.text, /2 endpoints and 0 agents/);
  await create('empty');
  const { as: owner } = await join('empty', 'empty@example.org', 'owner');
  ask(await call(owner, 'DELETE', `${projects}/empty`));
  refused(await call(owner, 'GET', `${projects}/empty`), 404, 'project_not_found');
  await create('empty');
  refused(await call(owner, 'GET', `${projects}/empty`), 404, 'project_not_found');
});

test('an invitation tells a stranger more than its terms, or works twice', async () => {
  await create('club');
  const made = await invite(admin, 'club', { email: 'New@Example.org', role: 'member' });
  assert.equal(made.url, `${harness.base}/ui/#invitation=${made.token}`);
  assert.deepEqual([made.email, made.role, made.state], ['new@example.org', 'member', 'open']);
  const termsOf = (token: string): Promise<Reply> =>
    call(page(), 'POST', '/api/v1/sign-up/terms', { token });
  const terms = ask<InvitationTermsAnswer>(await termsOf(made.token));
  assert.deepEqual(terms, {
    email: 'new@example.org',
    project: { name: 'club', role: 'member' },
    expires_at: made.expires_at,
    has_account: false,
  });
  refused(await termsOf('xin_forged'), 404, 'not_found');
  refused(await signUp(made.token, 'short'), 400, 'invalid_value');
  const came = await signUp(made.token);
  const session = ask<SessionAnswer>(came, 201);
  assert.deepEqual(
    session.projects.map(({ slug, role }) => [slug, role]),
    [['club', 'member']],
  );
  assert.equal(session.must_change_password, false);
  refused(await signUp(made.token), 404, 'not_found');
  refused(await termsOf(made.token), 404, 'not_found');
  const revoke = `${projects}/club/invitations/${made.id}`;
  refused(await call(admin, 'DELETE', revoke), 409, 'conflict');
  const listed = await call(admin, 'GET', `${projects}/club/invitations`);
  const [row] = ask<{ data: InvitationAnswer[] }>(listed).data;
  assert.deepEqual([row?.state, row?.accepted_by], ['used', session.user.id]);
  assert.ok(!listed.text.includes(made.token.slice(4)));
  const { items } = await harness.store.auditNotes({ projectId: undefined, page: firstPage });
  assert.ok(!JSON.stringify(items).includes(made.token.slice(4)), 'C2');
});

test('a revoked or an old invitation lets somebody in', async () => {
  await create('gone');
  const revoked = await invite(admin, 'gone', { email: 'r@example.org', role: 'member' });
  const path = `${projects}/gone/invitations/${revoked.id}`;
  ask(await call(admin, 'DELETE', path));
  ask(await call(admin, 'DELETE', path));
  refused(await signUp(revoked.token), 404, 'not_found');
  const old = await invite(admin, 'gone', { email: 'o@example.org', role: 'member' });
  harness.clock.jumpWall(invitationLifetimeMs);
  refused(await signUp(old.token), 404, 'not_found');
  admin = await harness.signIn();
  assert.equal(await harness.store.userByEmail('o@example.org'), null);
});

test('whoever has one invitation keeps everybody else from signing in', async () => {
  await create('flooded');
  const made = await invite(admin, 'flooded', { email: 'flood@example.org', role: 'member' });
  for (let count = 0; count < signUpsPerInvitation.burst; count += 1) {
    refused(await signUp(made.token, 'short'), 400, 'invalid_value');
  }
  const late = await signUp(made.token);
  refused(late, 429, 'rate_limit_exceeded');
  assert.ok(Number(late.headers['retry-after']) > 0);
});

test('an invitation makes a second account, or is taken by another one', async () => {
  await create('second');
  const { as, id } = await join('second', 'known@example.org', 'member');
  const { as: other } = await join('second', 'other@example.org', 'member');
  await create('third');
  const made = await invite(admin, 'third', { email: 'known@example.org', role: 'owner' });
  const terms = await call(page(), 'POST', '/api/v1/sign-up/terms', { token: made.token });
  assert.equal(ask<InvitationTermsAnswer>(terms).has_account, true);
  refused(await signUp(made.token), 409, 'conflict');
  const accept = (who: Headers): Promise<Reply> =>
    call(who, 'POST', '/api/v1/session/invitations', { token: made.token });
  refused(await accept(other), 403, 'insufficient_permissions');
  const { projects: seen } = ask<SessionAnswer>(await accept(as));
  assert.deepEqual(
    // Both were made at once: which is the older one is not said.
    seen.map(({ slug, role }) => `${slug} ${role}`).toSorted(),
    ['second member', 'third owner'],
  );
  const { data } = ask<{ data: MemberAnswer[] }>(
    await call(as, 'GET', `${projects}/third/members`),
  );
  assert.ok(data.some(({ user_id }) => user_id === id));
});

test('an invitation to the platform lets somebody in by an account that there is', async () => {
  const path = '/api/v1/platform/invitations';
  const body = { email: 'op@example.org', user_role: 'admin' };
  const made = ask<Invited>(await call(admin, 'POST', path, body), 201);
  assert.deepEqual([made.role, made.user_role], [null, 'admin']);
  const came = ask<SessionAnswer>(await signUp(made.token), 201);
  assert.equal(came.user.role, 'admin');
  await create('fourth');
  const { as } = await join('fourth', 'climber@example.org', 'member');
  const again = { email: 'climber@example.org', user_role: 'admin' };
  const trap = ask<Invited>(await call(admin, 'POST', path, again), 201);
  const accept = { token: trap.token };
  refused(await call(as, 'POST', '/api/v1/session/invitations', accept), 409, 'conflict');
  const { user } = ask<SessionAnswer>(await call(as, 'GET', '/api/v1/session'));
  assert.equal(user.role, 'user', 'an account became an admin by a text');
});

test('a member does what owners do, or an owner learns who has an account', async () => {
  await create('crew');
  const { as: owner, id: ownerId } = await join('crew', 'boss@example.org', 'owner');
  const { as: member, id: memberId } = await join('crew', 'hand@example.org', 'member');
  const members = `${projects}/crew/members`;
  const denied = 'insufficient_permissions';
  refused(await call(member, 'PUT', `${members}/${ownerId}`, { role: 'member' }), 403, denied);
  refused(await call(member, 'DELETE', `${members}/${ownerId}`), 403, denied);
  refused(await call(member, 'GET', `${projects}/crew/invitations`), 403, denied);
  for (const email of ['admin@localhost', 'nobody@example.org']) {
    refused(await call(owner, 'POST', members, { email, role: 'member' }), 403, denied);
  }
  const add = { email: 'Hand@example.org', role: 'owner' };
  refused(await call(admin, 'POST', members, add), 409, 'conflict');
  refused(
    await call(admin, 'POST', members, { ...add, email: 'no@example.org' }),
    404,
    'not_found',
  );
  const raised = await call(owner, 'PUT', `${members}/${memberId}`, { role: 'owner' });
  assert.equal(ask<MemberAnswer>(raised).role, 'owner');
  ask(await call(member, 'PUT', `${members}/${ownerId}`, { role: 'member' }));
  ask(await call(owner, 'DELETE', `${members}/${ownerId}`));
  refused(await call(owner, 'GET', `${projects}/crew`), 404, 'project_not_found');
  ask(await call(admin, 'POST', members, { email: 'boss@example.org', role: 'member' }), 201);
  ask(await call(owner, 'GET', `${projects}/crew`));
});

test('the last owner leaves, or a key speaks of people', async () => {
  await create('alone');
  const { data } = ask<{ data: MemberAnswer[] }>(
    await call(admin, 'GET', `${projects}/alone/members`),
  );
  const [last] = data;
  const at = `${projects}/alone/members/${last?.user_id}`;
  refused(await call(admin, 'DELETE', at), 409, 'conflict');
  refused(await call(admin, 'PUT', at, { role: 'member' }), 409, 'conflict');
  const { managementKey: key } = harness.credentials;
  for (const path of ['members', 'invitations']) {
    const reply = await harness.call('GET', `${projects}/default/${path}`, { key });
    refused(reply, 401, 'not_signed_in');
  }
  const users = await harness.call('GET', '/api/v1/platform/users', { key });
  refused(users, 403, 'insufficient_permissions');
});

test('somebody who was disabled is counted as an owner who stays', async () => {
  await create('left');
  const { id } = await join('left', 'left@example.org', 'owner');
  const user = `/api/v1/platform/users/${id}`;
  ask<UserAnswer>(await call(admin, 'PATCH', user, { disabled: true }));
  const { data } = ask<{ data: MemberAnswer[] }>(
    await call(admin, 'GET', `${projects}/left/members`),
  );
  assert.deepEqual(data.find(({ user_id }) => user_id === id)?.disabled, true);
  const self = data.find(({ user_id }) => user_id !== id)?.user_id;
  refused(await call(admin, 'DELETE', `${projects}/left/members/${self}`), 409, 'conflict');
});

test('who makes a project with a management key is told to send one', async () => {
  const key = harness.credentials.managementKey;
  const reply = await harness.call('POST', projects, { key, body: { name: 'Lab' } });
  assert.equal(reply.status, 401);
  const { error } = reply.json as { error: { code: string; message: string } };
  assert.equal(error.code, 'not_signed_in');
  assert.match(error.message, /takes a person who has signed in; an API key was sent/);
});
