/** Projects, people and keys: what is sent, asked before, and shown. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import type { ApiKeyAnswer } from '../../api/control/apiKeys.ts';
import type { InvitationAnswer, MemberAnswer } from '../../api/control/members.ts';
import type { ProjectAnswer } from '../../api/control/projects.ts';
import type { UserAnswer } from '../../api/control/users.ts';
import { systemClock } from '../../lib/clock.ts';
import { decodeCursor, encodeCursor } from '../../lib/page.ts';
import {
  cliNow as now,
  openCliHarness,
  wholePage,
  type CliHarness,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { serverCommands } from '../commands.ts';

const clock = { ...systemClock, now: () => Date.parse(now) };
const yesterday = '2026-02-28T12:00:00.000Z';
const inAWeek = '2026-03-08T12:00:00.000Z';
const ids = {
  key: 'key_00000000000000000000000001',
  user: 'usr_00000000000000000000000001',
};
let cli: CliHarness;

before(async () => {
  cli = await openCliHarness(serverCommands, clock);
});
after(() => cli.close());

const project: ProjectAnswer = {
  id: 'proj_1',
  slug: 'nordlab',
  name: 'Nord Lab',
  shared_access: true,
  role: 'owner',
  created_at: yesterday,
  version: 3,
};

test('a project that is changed otherwise than it was asked for', async () => {
  cli.answers({
    'GET /api/v1/projects': { body: wholePage([project, { ...project, slug: 'attic' }]) },
    'GET /api/v1/projects/default': { body: { ...project, slug: 'default' } },
    'GET /api/v1/projects/nordlab': { body: project },
    'POST /api/v1/projects': { status: 201, body: project },
    'PATCH /api/v1/projects/nordlab': { body: { ...project, shared_access: false, version: 4 } },
    'DELETE /api/v1/projects/nordlab': { body: { id: 'proj_1', deleted: true } },
  });
  const lines = [
    'projects list',
    'projects show',
    'projects show nordlab -o json',
    'projects create Nordlab --slug nordlab',
    'projects set nordlab --no-shared-access --if-version 3',
    'projects set nordlab',
    'projects delete nordlab',
    'projects delete nordlab --yes',
    'projects delete nordlab <<< no',
    'projects delete nordlab <<< yes',
    'projects use nordlab',
  ];
  assertGolden('cli/projects.txt', await cli.transcript(lines));
});

test('members and invitations that are not the ones that were named', async () => {
  const member: MemberAnswer = {
    user_id: ids.user,
    email: 'ada@example.org',
    role: 'member',
    disabled: false,
    created_at: yesterday,
  };
  const invitation: InvitationAnswer = {
    id: 'inv_1',
    email: 'ines@example.org',
    role: 'member',
    user_role: 'user',
    state: 'open',
    created_by: `user:${ids.user}`,
    created_at: now,
    expires_at: inAWeek,
    accepted_at: null,
    accepted_by: null,
  };
  const created = { ...invitation, token: 't', url: 'http://h/ui/#invitation=t' };
  const here = '/api/v1/projects/default';
  cli.answers({
    [`GET ${here}/members`]: { body: wholePage([member]) },
    [`POST ${here}/members`]: { status: 201, body: { ...member, role: 'owner' } },
    [`PUT ${here}/members/${ids.user}`]: { body: { ...member, role: 'owner' } },
    [`DELETE ${here}/members/${ids.user}`]: { body: { user_id: ids.user, removed: true } },
    [`GET ${here}/invitations`]: { body: wholePage([invitation]) },
    [`POST ${here}/invitations`]: { status: 201, body: created },
    [`DELETE ${here}/invitations/inv_1`]: { body: { id: 'inv_1', revoked: true } },
    'GET /api/v1/platform/invitations': {
      body: wholePage([{ ...invitation, role: null, user_role: 'admin' }]),
    },
    'DELETE /api/v1/platform/invitations/inv_1': { body: { id: 'inv_1', revoked: true } },
  });
  const lines = [
    'members list',
    'members add ada@example.org --role owner',
    'members add ada@example.org',
    'members set ada@example.org --role owner',
    'members set eve@example.org --role owner',
    `members remove ${ids.user}`,
    'invitations list',
    'invitations list --platform',
    'invitations create ines@example.org --role member',
    'invitations revoke inv_1',
    'invitations revoke inv_1 --platform',
  ];
  assertGolden('cli/members.txt', await cli.transcript(lines));
});

test('an account that is disabled, reset or promoted by mistake', async () => {
  const user: UserAnswer = {
    id: ids.user,
    email: 'ada@example.org',
    role: 'user',
    disabled_at: null,
    has_password: true,
    must_change_password: true,
    second_factor: true,
    last_sign_in_at: null,
    created_at: yesterday,
    version: 1,
  };
  const once = { one_time_password: 'aaaaa-bbbbb-ccccc-ddddd' };
  const at = `/api/v1/platform/users/${ids.user}`;
  const elsewhere = {
    ...user,
    email: 'bo@example.org',
    has_password: false,
    disabled_at: yesterday,
  };
  cli.answers({
    'GET /api/v1/platform/users': { body: wholePage([user, elsewhere]) },
    'POST /api/v1/platform/users': { status: 201, body: { ...user, ...once } },
    [`GET ${at}`]: { body: user },
    [`PATCH ${at}`]: { body: { ...user, disabled_at: now, version: 2 } },
    [`POST ${at}/reset-password`]: { body: { id: ids.user, ...once } },
    [`DELETE ${at}/second-factor`]: { body: { id: ids.user, second_factor: false } },
    'POST /api/v1/platform/invitations': {
      status: 201,
      body: {
        id: 'inv_1',
        email: 'ines@example.org',
        role: null,
        user_role: 'admin',
        state: 'open',
        created_by: `user:${ids.user}`,
        created_at: now,
        expires_at: inAWeek,
        accepted_at: null,
        accepted_by: null,
        token: 't',
        url: 'http://h/ui/#invitation=t',
      },
    },
  });
  const lines = [
    'users list',
    'users show ada@example.org',
    'users create ada@example.org',
    'users invite ines@example.org --role admin',
    'users set ada@example.org --disabled',
    'users set ada@example.org --no-disabled --role admin',
    'users reset-password ada@example.org',
    'users drop-second-factor ada@example.org',
  ];
  assertGolden('cli/users.txt', await cli.transcript(lines));
});

const key: ApiKeyAnswer = {
  id: ids.key,
  name: 'ci',
  masked: 'xim_default_…c41e',
  scopes: ['inference'],
  endpoint_id: null,
  expires_at: null,
  ip_allow_list: [],
  quota: { requests_per_minute: 60, tokens_per_minute: null, tokens_per_day: null },
  state: 'active',
  created_at: yesterday,
  created_by: `user:${ids.user}`,
  rotated_at: null,
  previous_valid_until: null,
  revoked_at: null,
  last_used_at: null,
  version: 2,
};

test('a key whose other limits go when one is set, or that is revoked by a slip', async () => {
  const twin = { ...key, id: ids.key.replace(/1$/, '2'), name: 'twin' };
  const shown = { ...key, key: 'xim_default_secret' };
  const at = `/api/v1/projects/default/api-keys/${ids.key}`;
  cli.answers({
    'GET /api/v1/projects/default/api-keys': {
      body: wholePage([
        key,
        twin,
        { ...twin, id: ids.key.replace(/1$/, '3') },
        { ...key, id: ids.key.replace(/1$/, '4'), state: 'revoked' },
      ]),
    },
    'POST /api/v1/projects/default/api-keys': { status: 201, body: shown },
    [`GET ${at}`]: { body: key },
    [`PATCH ${at}`]: { body: { ...key, version: 3 } },
    [`POST ${at}/rotate`]: {
      body: { ...shown, rotated_at: now, previous_valid_until: '2026-03-02T12:00:00.000Z' },
    },
    [`DELETE ${at}`]: { body: { id: ids.key, revoked: true } },
  });
  const lines = [
    'keys list',
    'keys show ci',
    'keys create ci',
    'keys create ops --scopes management --endpoint chat --expires-in 7d ' +
      '--allow-ip 10.0.0.0/8,::1 --requests-per-minute 60',
    'keys create ops --scopes admin',
    'keys create ci -o json',
    'keys set ci --tokens-per-day 1000000',
    'keys set ci --unset requests-per-minute,expires-in,allow-ip',
    'keys set ci --expires-in 7d --unset expires-in',
    'keys set ci --unset name',
    'keys set ci',
    'keys rotate ci',
    'keys rotate ci --grace 0s',
    'keys revoke ci',
    'keys revoke ci --yes',
    'keys revoke twin --yes',
    'keys revoke none --yes',
  ];
  assertGolden('cli/keys.txt', await cli.transcript(lines));
});

test('a long list that ends early, repeats itself, or hides that there is more', async () => {
  const rows = Array.from({ length: 1200 }, (_, n) => ({ ...key, name: `key ${n}` }));
  cli.answer = ({ url }) => {
    const query = new URL(url, 'http://h').searchParams;
    const after = decodeCursor(query.get('after') ?? '', ['number', 'string']);
    const from = Number(after?.[0] ?? 0);
    const end = from + Number(query.get('limit'));
    const next_cursor = end < rows.length ? encodeCursor([end, 'x']) : null;
    return { body: { data: rows.slice(from, end), has_more: next_cursor !== null, next_cursor } };
  };
  const some = await cli.run('keys list --limit 3');
  assert.equal(some.out.split('\n').length, 5);
  assert.equal(some.notes, 'There are more; show them with --limit 6.\n');
  const all = await cli.run('keys list --limit 2000');
  assert.equal(all.notes, '');
  assert.deepEqual(
    all.out
      .split('\n')
      .slice(1, -1)
      .map((line) => line.split('  ')[0]),
    rows.map(({ name }) => name),
  );
  const json = JSON.parse((await cli.run('keys list --limit 700 -o json')).out) as {
    data: unknown[];
    has_more: boolean;
  };
  assert.deepEqual([json.data.length, json.has_more], [700, true]);
});
