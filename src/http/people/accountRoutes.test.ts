/** One's own account, and accounts by operators, as a browser uses them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { BegunSecondFactorAnswer, SessionAnswer } from '../../api/control/sessions.ts';
import type { UserAnswer } from '../../api/control/users.ts';
import { secondFactorFailuresPerAccount } from '../../control/limits.ts';
import { totpCode, totpStepAt, totpStepMs } from '../../lib/crypto/totp.ts';
import { openHttpHarness, type HttpHarness, type Reply } from '../../testing/http/httpHarness.ts';

const generous = Object.fromEntries(
  ['sign_in', 'nonce', 'enroll', 'refresh', 'link', 'change'].map((name) => [
    name,
    { burst: 10_000, perSecond: 10_000 },
  ]),
) as never;

let harness: HttpHarness;
let admin: Record<string, string>;
before(async () => {
  harness = await openHttpHarness({ limits: { perAddress: generous } });
  admin = await harness.signIn();
});
after(() => harness.close());

const codeOf = (reply: Reply): unknown => (reply.json as { error: { code: unknown } }).error.code;

function ask<Answer>(reply: Reply, status = 200): Answer {
  assert.equal(reply.status, status, reply.text);
  return reply.json as Answer;
}

const page = (): Record<string, string> => ({
  origin: harness.base,
  'content-type': 'application/json',
});

const users = '/api/v1/platform/users';
const own = '/api/v1/session';
const asAdmin = (method: string, path: string, body?: unknown): Promise<Reply> =>
  harness.call(method, path, { headers: admin, ...(body === undefined ? {} : { body }) });

type Created = UserAnswer & { one_time_password: string };
async function newUser(email: string): Promise<Created> {
  return ask<Created>(await asAdmin('POST', users, { email }), 201);
}

interface Credentials {
  email: string;
  password: string;
  code?: string;
}
const signInReply = (body: Credentials): Promise<Reply> =>
  harness.call('POST', '/api/v1/sign-in', { headers: page(), body });

/** What a page sends from here on. */
async function signIn(credentials: Credentials): Promise<Record<string, string>> {
  const reply = await signInReply(credentials);
  assert.equal(reply.status, 200, reply.text);
  const cookie = reply.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  return { ...page(), cookie };
}

const chosen = 'a password of one’s own';

/** Somebody with a password of their own, signed in. */
async function settled(email: string): Promise<{ user: Created; headers: Record<string, string> }> {
  const user = await newUser(email);
  const headers = await signIn({ email, password: user.one_time_password });
  const body = { old_password: user.one_time_password, new_password: chosen };
  ask(await harness.call('POST', `${own}/password`, { headers, body }));
  return { user, headers };
}

test('a one-time password opens more than its own change', async () => {
  const user = await newUser('one@example.org');
  assert.match(user.one_time_password, /^\w{5}(-\w{5}){3}$/);
  const credentials = { email: user.email, password: user.one_time_password };
  const headers = await signIn(credentials);
  const session = ask<SessionAnswer>(await harness.call('GET', own, { headers }));
  assert.equal(session.must_change_password, true);
  assert.deepEqual(session.projects, []);
  const closed = [
    ['GET', '/api/v1/projects'],
    ['GET', '/api/v1/projects/default'],
    ['GET', `${own}/second-factor`],
    ['POST', `${own}/second-factor`],
    ['GET', users],
    ['POST', '/api/v1/projects/default/join-keys'],
  ] as const;
  for (const [method, path] of closed) {
    const reply = await harness.call(method, path, { headers, body: '{}' });
    assert.deepEqual([reply.status, codeOf(reply)], [403, 'password_change_required'], path);
  }
  const change = (old_password: string, new_password: string): Promise<Reply> =>
    harness.call('POST', `${own}/password`, { headers, body: { old_password, new_password } });
  const wrong = await change('not the one', chosen);
  assert.deepEqual([wrong.status, codeOf(wrong)], [401, 'invalid_credentials']);
  for (const weak of ['short', user.one_time_password]) {
    const refused = await change(user.one_time_password, weak);
    assert.deepEqual([refused.status, codeOf(refused)], [400, 'invalid_value']);
  }
  const changed = ask<SessionAnswer>(await change(user.one_time_password, chosen));
  assert.equal(changed.must_change_password, false);
  assert.equal((await harness.call('GET', '/api/v1/projects', { headers })).status, 200);
  assert.equal((await signInReply(credentials)).status, 401, 'it is good once');
});

test('a change of the password leaves other sessions, or ends its own', async () => {
  const { user, headers } = await settled('two@example.org');
  const other = await signIn({ email: user.email, password: chosen });
  const body = { old_password: chosen, new_password: `${chosen} again` };
  ask(await harness.call('POST', `${own}/password`, { headers, body }));
  assert.equal((await harness.call('GET', own, { headers })).status, 200);
  assert.equal((await harness.call('GET', own, { headers: other })).status, 401);
});

test('old passwords are guessed where they are changed', async () => {
  const { headers } = await settled('three@example.org');
  const body = { old_password: 'a guess', new_password: chosen };
  const outcomes = [];
  for (let guess = 0; guess < 12; guess += 1) {
    const from = { ...headers, 'x-forwarded-for': '192.0.2.99' };
    outcomes.push((await harness.call('POST', `${own}/password`, { headers: from, body })).status);
  }
  assert.ok(outcomes.includes(429), String(outcomes));
  harness.clock.advance(3_600_000);
});

test('an account is made twice, lost from the list, or shown with its password', async () => {
  const user = await newUser('  Four@Example.org ');
  assert.deepEqual([user.email, user.role, user.version], ['four@example.org', 'user', 1]);
  const again = await asAdmin('POST', users, { email: 'FOUR@example.org' });
  assert.deepEqual([again.status, codeOf(again)], [409, 'conflict']);
  for (const email of ['nobody', 'a@', '@b', 'a b@c', `${'x'.repeat(250)}@example.org`]) {
    const refused = await asAdmin('POST', users, { email });
    assert.deepEqual([refused.status, codeOf(refused)], [400, 'invalid_value'], email);
  }
  const listed = await asAdmin('GET', `${users}?limit=500`);
  const { data } = ask<{ data: UserAnswer[] }>(listed);
  assert.ok(data.some(({ id }) => id === user.id));
  assert.doesNotMatch(listed.text, /scrypt|one_time/);
  const one = ask<UserAnswer>(await asAdmin('GET', `${users}/${user.id}`));
  assert.deepEqual([one.must_change_password, one.second_factor], [true, false]);
  assert.equal((await asAdmin('GET', `${users}/usr_x`)).status, 404);
});

test('a disabled person goes on, or an enabled one cannot come back', async () => {
  const { user, headers } = await settled('five@example.org');
  const set = async (disabled: boolean): Promise<UserAnswer> =>
    ask<UserAnswer>(await asAdmin('PATCH', `${users}/${user.id}`, { disabled }));
  assert.notEqual((await set(true)).disabled_at, null);
  assert.equal((await harness.call('GET', own, { headers })).status, 401);
  const refused = await signInReply({ email: user.email, password: chosen });
  assert.deepEqual([refused.status, codeOf(refused)], [403, 'account_disabled']);
  const wrong = await signInReply({ email: user.email, password: 'wrong' });
  assert.equal(codeOf(wrong), 'invalid_credentials', 'only the right password tells');
  assert.equal((await set(false)).disabled_at, null);
  await signIn({ email: user.email, password: chosen });
});

test('the platform is left without an admin', async () => {
  const { data } = ask<{ data: UserAnswer[] }>(await asAdmin('GET', users));
  const self = data.find(({ role }) => role === 'admin');
  for (const change of [{ role: 'user' }, { disabled: true }]) {
    const reply = await asAdmin('PATCH', `${users}/${self?.id}`, change);
    assert.deepEqual([reply.status, codeOf(reply)], [409, 'conflict']);
  }
});

test('a reset password leaves a session, or is a way past one’s own old one', async () => {
  const { user, headers } = await settled('six@example.org');
  const reset = await asAdmin('POST', `${users}/${user.id}/reset-password`);
  const { one_time_password: password } = ask<{ one_time_password: string }>(reset);
  assert.equal((await harness.call('GET', own, { headers })).status, 401);
  assert.equal((await signInReply({ email: user.email, password: chosen })).status, 401);
  const fresh = await signIn({ email: user.email, password });
  const session = ask<SessionAnswer>(await harness.call('GET', own, { headers: fresh }));
  assert.equal(session.must_change_password, true);
  const { user: self } = ask<SessionAnswer>(await asAdmin('GET', own));
  for (const [method, path] of [
    ['POST', 'reset-password'],
    ['DELETE', 'second-factor'],
  ] as const) {
    const refused = await asAdmin(method, `${users}/${self.id}/${path}`);
    assert.deepEqual([refused.status, codeOf(refused)], [403, 'insufficient_permissions']);
  }
});

/** An authenticator app. */
function appWith(base32: string): { code: () => string; next: () => void } {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = base32
    .split('')
    .map((digit) => alphabet.indexOf(digit).toString(2).padStart(5, '0'));
  const bytes = bits.join('').match(/.{8}/g) ?? [];
  const secret = Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)));
  return {
    code: () => totpCode(secret, totpStepAt(harness.clock.now())),
    next: () => harness.clock.advance(totpStepMs),
  };
}

test('a second factor is asked for too early, not at all, or taken twice', async () => {
  const { user, headers } = await settled('seven@example.org');
  const credentials = { email: user.email, password: chosen };
  const factor = (path: string, body: object): Promise<Reply> =>
    harness.call('POST', `${own}/second-factor${path}`, { headers, body });
  assert.equal((await factor('', {})).status, 401, 'a browser that was left open is enough');
  assert.equal(codeOf(await factor('/confirm', { code: '123456' })), 'conflict');
  const begun = ask<BegunSecondFactorAnswer>(await factor('', { password: chosen }));
  assert.ok(begun.otpauth_uri.includes(`secret=${begun.secret}&issuer=XIM`));
  await signIn(credentials);
  const app = appWith(begun.secret);
  assert.equal(codeOf(await factor('/confirm', { code: '000000' })), 'second_factor_invalid');
  const confirmed = await factor('/confirm', { code: app.code() });
  const { recovery_codes: codes } = ask<{ recovery_codes: string[] }>(confirmed);
  assert.equal(new Set(codes).size, 10);

  const asked = await signInReply(credentials);
  assert.deepEqual([asked.status, codeOf(asked)], [401, 'second_factor_required']);
  const stranger = await signInReply({ ...credentials, password: 'wrong' });
  assert.equal(codeOf(stranger), 'invalid_credentials', 'only the right password tells');
  const replay = await signInReply({ ...credentials, code: app.code() });
  assert.equal(codeOf(replay), 'second_factor_invalid', 'the code that turned it on');
  app.next();
  const code = app.code();
  await signIn({ ...credentials, code: `${code.slice(0, 3)} ${code.slice(3)}` });
  assert.equal((await signInReply({ ...credentials, code })).status, 401, 'a code twice');
  harness.clock.advance(3_600_000);
  const once = app.code();
  const together = await Promise.all(
    Array.from({ length: 4 }, () => signInReply({ ...credentials, code: once })),
  );
  assert.equal(together.filter(({ status }) => status === 200).length, 1);

  harness.clock.advance(3_600_000);
  const [recovery = ''] = codes;
  await signIn({ ...credentials, code: recovery.toUpperCase() });
  assert.equal((await signInReply({ ...credentials, code: recovery })).status, 401);
  const status = await harness.call('GET', `${own}/second-factor`, { headers });
  assert.deepEqual(status.json, { enabled: true, recovery_codes_left: 9 });
  harness.clock.advance(3_600_000);
  const renewed = await factor('/recovery-codes', { code: app.code() });
  const fresh = ask<{ recovery_codes: string[] }>(renewed).recovery_codes;
  assert.equal((await signInReply({ ...credentials, code: codes[1] ?? '' })).status, 401);
  ask(await factor('/turn-off', { code: fresh[0] ?? '' }));
  await signIn(credentials);
  assert.equal(codeOf(await factor('/turn-off', { code: fresh[1] ?? '' })), 'conflict');
});

test('codes are guessed without end by somebody who has the password', async () => {
  const { user, headers } = await settled('eight@example.org');
  const credentials = { email: user.email, password: chosen };
  const path = `${own}/second-factor`;
  const begin = { headers, body: { password: chosen } };
  const { secret } = ask<BegunSecondFactorAnswer>(await harness.call('POST', path, begin));
  const app = appWith(secret);
  ask(await harness.call('POST', `${path}/confirm`, { headers, body: { code: app.code() } }));
  const codes = [];
  for (let guess = 0; guess < secondFactorFailuresPerAccount.burst; guess += 1) {
    codes.push(codeOf(await signInReply({ ...credentials, code: `99999${guess}` })));
  }
  assert.ok(codes.every((code) => code === 'second_factor_invalid'));
  app.next();
  const limited = await signInReply({ ...credentials, code: app.code() });
  assert.deepEqual([limited.status, codeOf(limited)], [429, 'rate_limit_exceeded']);
  assert.ok(Number(limited.headers['retry-after']) > 0);
  assert.equal((await asAdmin('DELETE', `${users}/${user.id}/second-factor`)).status, 200);
  await signIn(credentials);
});

test('the secret of a second factor lies readable in the database', async () => {
  const { user, headers } = await settled('nine@example.org');
  const begin = { headers, body: { password: chosen } };
  const begun = await harness.call('POST', `${own}/second-factor`, begin);
  const { secret } = ask<BegunSecondFactorAnswer>(begun);
  const row = await harness.store.secondFactor(user.id);
  const sealed = row?.sealedSecret ?? '';
  assert.ok(sealed.length > 40 && !sealed.includes(secret));
  const other = harness.secrets.unseal({ name: 'second factor of somebody else', sealed });
  assert.equal(other, undefined, 'it opens for another account');
});
