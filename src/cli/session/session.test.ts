/** Sign-in and contexts: what is asked, sent, kept and shown. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import type { ProjectAnswer } from '../../api/control/projects.ts';
import type { SessionAnswer } from '../../api/control/sessions.ts';
import { systemClock } from '../../lib/clock.ts';
import {
  cliNow as now,
  openCliHarness,
  refusal,
  wholePage,
  type CliHarness,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { serverCommands } from '../commands.ts';

const clock = { ...systemClock, now: () => Date.parse(now) };
const cookie = 'xim_session=secret-of-the-session';
const withCookie = { 'set-cookie': `${cookie}; Path=/api/v1; HttpOnly; SameSite=Strict` };

const project = (slug: string): ProjectAnswer => ({
  id: `proj_${slug}`,
  slug,
  name: slug,
  shared_access: true,
  role: 'owner',
  created_at: now,
  version: 1,
});

const session: SessionAnswer = {
  user: {
    id: 'usr_1',
    email: 'ada@example.org',
    role: 'user',
    has_password: true,
    second_factor: false,
  },
  must_change_password: false,
  projects: [project('nordlab'), project('attic')],
  expires_at: '2026-03-02T00:00:00.000Z',
};

const options = { body: { oidc: null } };
let cli: CliHarness;

beforeEach(async () => {
  cli?.close();
  cli = await openCliHarness(serverCommands, clock);
});
after(() => cli.close());

function signInWorks(answer: SessionAnswer = session): void {
  cli.answers({
    'GET /api/v1/sign-in/options': options,
    'POST /api/v1/sign-in': { body: answer, headers: withCookie },
    'POST /api/v1/session/password': { body: session },
    'POST /api/v1/sign-out': { body: { signed_out: true } },
    'GET /api/v1/projects/nordlab/requests': { body: wholePage([]) },
    'GET /api/v1/projects/attic/requests': { body: wholePage([]) },
    'GET /api/v1/projects/default/requests': { body: wholePage([]) },
  });
}

const golden = (name: string, text: string): void =>
  assertGolden(`cli/${name}.txt`, text.replaceAll(cli.origin, 'http://127.0.0.1:18080'));
const signIn = (line = 'login URL --name lab'): ReturnType<CliHarness['run']> =>
  cli.run(line.replace('URL', cli.origin), {
    lines: ['ada@example.org', 'correct horse'],
    interactive: true,
  });

test('an account that is changed by a key, or otherwise than it was asked for', async () => {
  const at = '/api/v1/session/second-factor';
  const codes = { body: { recovery_codes: ['aaaa-bbbb', 'cccc-dddd'] } };
  const otpauth_uri = 'otpauth://totp/XIM:ada?secret=ABC';
  const table = {
    'GET /api/v1/session': { body: session },
    'POST /api/v1/session/password': { body: session },
    [`POST ${at}`]: { body: { secret: 'ABC', otpauth_uri } },
    [`POST ${at}/confirm`]: codes,
    [`POST ${at}/recovery-codes`]: codes,
    [`POST ${at}/turn-off`]: { body: { enabled: false, recovery_codes_left: 0 } },
  };
  const withKey = await cli.transcript(['account show', 'account set-password <<< old']);
  signInWorks();
  await signIn();
  cli.answers(table);
  const lines = [
    'account show',
    'account set-password <<< old new newer new new',
    'account set-password',
    'account turn-on-second-factor <<< old 123456',
    'account renew-recovery-codes <<< 123456',
    'account turn-off-second-factor <<< 123456',
  ];
  const signedIn = await cli.transcript(lines);
  const { user } = session;
  const elsewhere = { ...session, user: { ...user, has_password: false, second_factor: true } };
  const wrong = refusal(401, 'second_factor_invalid', 'The code is wrong');
  cli.answers({
    ...table,
    'GET /api/v1/session': { body: elsewhere },
    [`POST ${at}/confirm`]: wrong,
  });
  const more = ['account show', 'account turn-on-second-factor <<< 654321'];
  golden('account', [withKey, signedIn, await cli.transcript(more)].join('\n'));
});

test('a sign-in that another command does not know of, or that others can read', async () => {
  signInWorks();
  const { code, out, notes, asked } = await signIn();
  assert.equal(code, 0, notes);
  golden('login', out);
  assert.deepEqual(asked, ['E-mail address: ', 'Password: ']);
  const [, call] = cli.seen;
  assert.deepEqual(call?.body, { email: 'ada@example.org', password: 'correct horse' });
  assert.equal(call?.headers.origin, cli.origin);
  const contexts = path.join(cli.directory, '..', '..', 'config', 'xim', 'contexts');
  assert.deepEqual(readdirSync(contexts), ['lab.json']);
  assert.equal(statSync(path.join(contexts, 'lab.json')).mode & 0o777, 0o600);
  assert.equal(statSync(contexts).mode & 0o777, 0o700);
  await cli.run('requests list');
  const [asked2] = cli.seen;
  assert.equal(asked2?.url, '/api/v1/projects/nordlab/requests?limit=20');
  assert.equal(asked2?.headers.cookie, cookie);
  assert.equal(asked2?.headers.authorization, undefined);
});

test('a context that is not the one that was asked for', async () => {
  signInWorks();
  await signIn();
  const urls = async (line: string, env: Record<string, string> = {}): Promise<unknown> => {
    await cli.run(line, { env });
    return cli.seen[0]?.url.split('/')[4];
  };
  assert.equal(await urls('requests list --project attic'), 'attic');
  assert.equal(await urls('requests list', { XIM_PROJECT: 'attic' }), 'attic');
  assert.equal(await urls('requests list', { XIM_DATA_DIR: cli.directory }), 'default');
  assert.equal(await urls('requests list --context lab'), 'nordlab');
  assert.equal(await urls('requests list --context local'), 'default');
  assert.equal(await urls(`requests list --context ${cli.directory}/credentials.json`), 'default');
});

test('contexts that cannot be listed, chosen or forgotten, or show their secrets', async () => {
  signInWorks();
  await signIn();
  await signIn('login URL --name other --project attic');
  const shown: string[] = [];
  for (const line of [
    'context list',
    'context show',
    'context use lab',
    'context show lab -o json',
    'context show local',
    'context remove other',
    'context use local',
    'context list',
    'context use other',
    'context remove local',
  ]) {
    const { out, notes } = await cli.run(line);
    shown.push(`$ xim ${line}\n${out}${notes}`);
  }
  assert.ok(!shown.join('').includes('secret'));
  golden('context', shown.join('\n'));
});

test('a project that is chosen, and forgotten by the next command', async () => {
  signInWorks();
  await signIn();
  const usual = cli.answer;
  cli.answer = (call) =>
    call.url === '/api/v1/projects/attic' ? { body: project('attic') } : usual(call);
  const { out } = await cli.run('projects use attic');
  assert.equal(out, 'Commands are about attic now.\n');
  await cli.run('requests list');
  assert.equal(cli.seen[0]?.url, '/api/v1/projects/attic/requests?limit=20');
});

test('a session that goes on behind a context that was removed', async () => {
  signInWorks();
  await signIn();
  await cli.run('context remove lab');
  assert.equal(cli.seen[0]?.url, '/api/v1/sign-out');
  assert.equal(cli.seen[0]?.headers.cookie, cookie);
  await signIn();
  cli.answers({ 'POST /api/v1/sign-out': refusal(503, 'store_unavailable', 'Away.') });
  const { code, notes } = await cli.run('context remove lab');
  assert.equal(code, 0);
  assert.match(notes, /could not be ended there: Away\./);
});

test('a one-time password that is kept', async () => {
  signInWorks({ ...session, must_change_password: true, projects: [] });
  const lines = ['once', 'my own one', 'my own one'];
  const line = `login ${cli.origin} --email ada@example.org --name lab`;
  const { code, out, asked } = await cli.run(line, { lines, interactive: true });
  assert.equal(code, 0);
  assert.deepEqual(asked, ['Password: ', 'New password: ', 'Once more: ']);
  assert.deepEqual(cli.seen[2]?.body, { old_password: 'once', new_password: 'my own one' });
  assert.equal(cli.seen[2]?.headers.cookie, cookie);
  assert.match(out, /Project: nordlab/);
});

test('a new password that a person mistyped, or that the server does not take', async () => {
  signInWorks({ ...session, must_change_password: true });
  const usual = cli.answer;
  cli.answer = (call) => {
    const { new_password: wish } = (call.body ?? {}) as { new_password?: string };
    const short = refusal(400, 'invalid_value', 'A password has 12 characters at least.');
    return wish === 'short' ? short : usual(call);
  };
  const lines = ['once', 'one', 'two', 'short', 'short', 'long enough', 'long enough'];
  const line = `login ${cli.origin} --email ada@example.org`;
  const { code, notes } = await cli.run(line, { lines, interactive: true });
  assert.equal(code, 0);
  golden('login-new-password', notes);
});

test('a second factor that nobody is asked for', async () => {
  const wanted = refusal(401, 'second_factor_required', 'Give the code of your app.');
  cli.answer = ({ url, body }) => {
    if (url.endsWith('/options')) return options;
    const { code } = body as { code?: string };
    return code === undefined ? wanted : { body: session, headers: withCookie };
  };
  const lines = ['pw', '123456'];
  const { code, asked } = await cli.run(`login ${cli.origin} --email ada@example.org`, { lines });
  assert.equal(code, 0);
  assert.deepEqual(asked, ['Password: ', 'Code of your authenticator app: ']);
});

test('an answer that is missing, or wrong, without the way on', async () => {
  signInWorks();
  const silent = await cli.run(`login ${cli.origin}`);
  assert.equal(silent.code, 2);
  golden('login-refused', silent.notes);
  const wrong = refusal(401, 'invalid_credentials', 'Wrong e-mail address or password.');
  cli.answers({ 'GET /api/v1/sign-in/options': options, 'POST /api/v1/sign-in': wrong });
  const refused = await cli.run(`login ${cli.origin}`, { lines: ['a@b', 'x'] });
  assert.equal(refused.code, 7);
  assert.equal(refused.notes, 'xim login: Wrong e-mail address or password.\n');
  assert.match((await cli.run('login')).notes, /give the server’s address/);
  assert.match((await cli.run('login ftp://x')).notes, /is no address of a server/);
  assert.match((await cli.run('login --pin x http://h')).notes, /--pin: .*44 characters/);
});

test('a management key that stands on the command line, or is taken for another', async () => {
  cli.answers({
    'GET /api/v1/sign-in/options': options,
    'GET /api/v1/projects': { body: wholePage([project('attic')]) },
    'GET /api/v1/projects/attic/requests': { body: wholePage([]) },
  });
  const keyed = await cli.run(`login ${cli.origin} --key --name ci`, { lines: ['xim_attic_k'] });
  golden('login-key', keyed.out);
  await cli.run('requests list');
  assert.equal(cli.seen[0]?.headers.authorization, 'Bearer xim_attic_k');
  const scopes = refusal(403, 'insufficient_permissions', 'The key has not the scope management.');
  cli.answers({ 'GET /api/v1/sign-in/options': options, 'GET /api/v1/projects': scopes });
  const inference = await cli.run(`login ${cli.origin} --key`, { lines: ['xim_attic_i'] });
  assert.equal(inference.code, 7);
  assert.match(inference.notes, /xim keys create NAME --scopes management/);
});

test('a session that has ended, without a word on how to go on', async () => {
  signInWorks();
  await signIn();
  cli.answer = () => refusal(401, 'not_signed_in', 'Sign in first.');
  const { notes } = await cli.run('requests list');
  assert.match(notes, /The session has ended\. Sign in again: xim login\n$/);
  signInWorks();
  const again = await cli.run('login', { lines: ['correct horse'] });
  assert.equal(again.code, 0, again.notes);
  assert.deepEqual(again.asked, ['Password: ']);
});

test('a context that is damaged or has no project, taken for a good one', async () => {
  signInWorks({ ...session, projects: [] });
  const { out } = await signIn();
  assert.match(out, /No project is open to you yet/);
  const none = await cli.run('requests list');
  assert.match(none.notes, /no project was chosen.*xim projects use/);
  const file = path.join(cli.directory, '..', '..', 'config', 'xim', 'contexts', 'lab.json');
  const kept = readFileSync(file, 'utf8');
  for (const text of ['{', '{"version":2}', kept.replace('"session"', '"other"')]) {
    writeFileSync(file, text);
    const { code, notes } = await cli.run('requests list');
    assert.equal(code, 2);
    assert.match(notes, /lab\.json is damaged\. Remove it and sign in again/);
  }
});

const terms = {
  email: 'ada@example.org',
  project: { name: 'Nord Lab', role: 'member' },
  expires_at: '2026-03-08T00:00:00.000Z',
} as const;

test('an invitation can be accepted in a browser alone', async () => {
  const url = `${cli.origin}/ui/#invitation=xin_secret-of-the-invitation`;
  const accept = (lines: string[]): ReturnType<CliHarness['run']> =>
    cli.run(['login', url, '--name', 'lab'], { lines, interactive: true });
  const always = {
    'GET /api/v1/sign-in/options': options,
    'POST /api/v1/sign-in': { body: session, headers: withCookie },
  };
  cli.answers({
    ...always,
    'POST /api/v1/sign-up/terms': { body: { ...terms, has_account: false } },
    'POST /api/v1/sign-up': { status: 201, body: session, headers: withCookie },
  });
  const made = await accept(['correct horse battery', 'correct horse battery']);
  assert.equal(made.code, 0, made.notes);
  assert.match(made.notes, /An invitation of ada@example\.org to Nord Lab, as member/);
  assert.match(made.out, /Project: nordlab/);
  const token = 'xin_secret-of-the-invitation';
  assert.deepEqual(cli.seen.find(({ url: to }) => to === '/api/v1/sign-up')?.body, {
    token,
    password: 'correct horse battery',
  });
  assert.deepEqual(made.asked, ['New password: ', 'Once more: ']);

  cli.answers({
    ...always,
    'POST /api/v1/sign-up/terms': { body: { ...terms, has_account: true } },
    'POST /api/v1/session/invitations': { body: session },
  });
  const joined = await accept(['correct horse']);
  assert.equal(joined.code, 0, joined.notes);
  const accepted = cli.seen.find(({ url: to }) => to === '/api/v1/session/invitations');
  assert.deepEqual([accepted?.body, accepted?.headers.cookie], [{ token }, cookie]);
  assert.deepEqual(joined.asked, ['Password: ']);

  const unknown = refusal(404, 'not_found', 'No such invitation.');
  cli.answers({ ...always, 'POST /api/v1/sign-up/terms': unknown });
  const ended = await accept([]);
  assert.notEqual(ended.code, 0);
  assert.ok(!`${ended.out}${ended.notes}`.includes('xin_secret'), 'it stays out of the terminal');
});
