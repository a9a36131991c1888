/** Sign-in with a real OpenID Connect provider, walked as a browser walks it. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { SessionAnswer, SignInOptionsAnswer } from '../../api/control/sessions.ts';
import { oidcLoginLifetimeMs } from '../../control/limits.ts';
import { BrowserWalk, type WalkEnd } from '../../testing/http/browserWalk.ts';
import { firstPage } from '../../testing/http/firstPage.ts';
import { openHttpHarness, type HttpHarness } from '../../testing/http/httpHarness.ts';
import {
  startIdentityProvider,
  type IdentityProvider,
  type Person,
} from '../../testing/http/identityProvider.ts';
import { auditNote, userRow } from '../../testing/database/storeRows.ts';

let provider: IdentityProvider;
let harness: HttpHarness;
before(async () => {
  provider = await startIdentityProvider();
  harness = await open({ createUsers: false });
  provider.serve({ redirectUris: [`${harness.base}/api/v1/oidc/callback`] });
});
after(async () => {
  await harness.close();
  await provider.close();
});
beforeEach(() => {
  provider.person = null;
});

function open(policy: { createUsers: boolean; issuer?: string }): Promise<HttpHarness> {
  const { issuer, clientId, clientSecret } = provider;
  const allowedDomains = ['example.org'];
  const oidc = { issuer, clientId, clientSecret, name: 'Lab', allowedDomains, ...policy };
  return openHttpHarness({ oidc });
}

const person = (over: Partial<Person> = {}): Person => ({
  subject: 'sub-ada',
  email: 'Ada@Example.org',
  emailVerified: true,
  ...over,
});

async function account(email: string): Promise<string> {
  const id = `user_${email.split('@')[0]}`;
  const user = userRow({ id, email, role: 'user', passwordHash: null });
  assert.ok((await harness.store.insertUser({ user, audit: auditNote() })).ok);
  return id;
}

const start = (): string => `${harness.base}/api/v1/oidc/start`;
const walk = (browser = new BrowserWalk()): Promise<WalkEnd> => browser.walk(start());

/** The word that the dashboard is left with; null: signed in. */
function wordOf({ url }: WalkEnd): string | null {
  const at = new URL(url);
  assert.equal(at.origin + at.pathname, `${harness.base}/ui/`);
  return at.searchParams.get('sign_in');
}

async function sessionOf(browser: BrowserWalk): Promise<SessionAnswer | null> {
  const cookie = browser.cookiesFor(`${harness.base}/api/v1/session`);
  const reply = await harness.call('GET', '/api/v1/session', { headers: { cookie } });
  return reply.status === 200 ? (reply.json as SessionAnswer) : null;
}

test('the sign-in page does not know of the provider, or knows its secret', async () => {
  const reply = await harness.call('GET', '/api/v1/sign-in/options');
  const expected: SignInOptionsAnswer = { oidc: { name: 'Lab', start: '/api/v1/oidc/start' } };
  assert.deepEqual(reply.json, expected);
});

test('somebody whom the provider vouches for is not signed in, or as another', async () => {
  const id = await account('ada@example.org');
  provider.person = person();
  const browser = new BrowserWalk();
  assert.equal(wordOf(await walk(browser)), null);
  const session = await sessionOf(browser);
  assert.equal(session?.user.id, id);
  assert.deepEqual([session.user.has_password, session.must_change_password], [false, false]);
  assert.equal(browser.cookiesFor(start()).includes('xim_oidc'), false, 'the login is good once');
  // Bound to the subject: the address may change on the other side.
  provider.person = person({ email: 'ada.lovelace@example.org' });
  const again = new BrowserWalk();
  assert.equal(wordOf(await walk(again)), null);
  assert.equal((await sessionOf(again))?.user.id, id);
  const { items } = await harness.store.auditNotes({ projectId: undefined, page: firstPage });
  const linked = items.filter(({ action }) => action === 'user.link_identity');
  assert.deepEqual(
    linked.map(({ actor, targetId }) => [actor, targetId]),
    [[`user:${id}`, id]],
  );
});

test('another person of the provider takes over an account by its address', async () => {
  provider.person = person({ subject: 'sub-mallory' });
  const browser = new BrowserWalk();
  assert.equal(wordOf(await walk(browser)), 'bound_to_another');
  assert.equal(await sessionOf(browser), null);
});

test('an address that is not verified, not allowed or not known opens the door', async () => {
  await account('grace@example.org');
  const cases: [Partial<Person>, string][] = [
    [{ email: 'grace@example.org', emailVerified: false }, 'email_unverified'],
    [{ email: '\u212agrace@example.org' }, 'email_unverified'],
    [{ email: 'grace@example.com' }, 'domain_not_allowed'],
    [{ email: 'grace@sub.example.org' }, 'domain_not_allowed'],
    [{ email: 'grace@example.org@evil.example' }, 'domain_not_allowed'],
    [{ email: 'nobody@example.org' }, 'unknown_account'],
  ];
  for (const [index, [over, word]] of cases.entries()) {
    provider.person = person({ subject: `sub-${index}`, ...over });
    const browser = new BrowserWalk();
    assert.equal(wordOf(await walk(browser)), word, JSON.stringify(over));
    assert.equal(await sessionOf(browser), null);
  }
  assert.equal(await harness.store.userByEmail('nobody@example.org'), null);
});

test('a disabled account comes back by the provider', async () => {
  const id = await account('dora@example.org');
  provider.person = person({ subject: 'sub-dora', email: 'dora@example.org' });
  const browser = new BrowserWalk();
  assert.equal(wordOf(await walk(browser)), null);
  const change = { disabledAtMs: harness.clock.now() };
  await harness.store.updateUser({ id, expectedVersion: null, change, audit: auditNote() });
  assert.equal(await sessionOf(browser), null, 'its session ends at once');
  assert.equal(wordOf(await walk()), 'account_disabled');
});

test('a person who says no at the provider is told nothing', async () => {
  assert.equal(wordOf(await walk()), 'denied');
});

test('an answer is taken from a browser that did not ask, late, twice or changed', async () => {
  await account('eve@example.org');
  provider.person = person({ subject: 'sub-eve', email: 'eve@example.org' });
  const walked = await walk();
  assert.equal(wordOf(walked), null);
  const callback = walked.visited.find((url) => url.includes('/oidc/callback?'));
  assert.ok(callback !== undefined);
  const sent = (cookie: string, target: string) =>
    harness.call('GET', target.slice(harness.base.length), { headers: { cookie } });
  const wordAt = async (cookie: string, target = callback): Promise<string | null> => {
    const { headers, status } = await sent(cookie, target);
    assert.equal(status, 302);
    const at = new URL(headers.location ?? '', harness.base);
    const session = headers['set-cookie']?.some((line) => line.startsWith('xim_session=')) ?? false;
    assert.equal(session, at.search === '', 'a session without a word, or the other way round');
    return at.searchParams.get('sign_in');
  };
  assert.equal(await wordAt(''), 'login_expired', 'another browser');
  assert.equal(await wordAt('xim_oidc=forged'), 'login_expired');

  const own = await harness.call('GET', '/api/v1/oidc/start');
  const login = own.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  assert.equal(await wordAt(login), 'failed', 'the state is another browser’s');
  const state = new URL(own.headers.location ?? '').searchParams.get('state') ?? '';
  const mixed = callback.replace(/state=[^&]+/, `state=${state}`);
  assert.equal(await wordAt(login, mixed), 'failed', 'the code is another browser’s');
  harness.clock.jumpWall(oidcLoginLifetimeMs);
  assert.equal(await wordAt(login, mixed), 'login_expired');
});

test('the cookie of a sign-in goes where it has no business', async () => {
  const { headers } = await harness.call('GET', '/api/v1/oidc/start');
  const [line = ''] = headers['set-cookie'] ?? [];
  assert.match(
    line,
    /^xim_oidc=[\w.-]+; Max-Age=600; Path=\/api\/v1\/oidc; HttpOnly; SameSite=Lax$/,
  );
  const to = new URL(headers.location ?? '');
  assert.equal(to.origin, provider.issuer);
  assert.equal(to.searchParams.get('code_challenge_method'), 'S256');
  for (const name of ['state', 'nonce', 'code_challenge']) {
    const value = to.searchParams.get(name) ?? '';
    assert.ok(value.length >= 43 && !line.includes(value), name);
  }
});

test('somebody new is turned away where accounts are made, or is an admin', async () => {
  const other = await startIdentityProvider();
  const { issuer, clientId, clientSecret } = other;
  const oidc = { issuer, clientId, clientSecret, name: 'Lab', allowedDomains: [] };
  const open = await openHttpHarness({ oidc: { ...oidc, createUsers: true } });
  try {
    const redirectUris = [`${open.base}/api/v1/oidc/callback`];
    other.serve({ redirectUris, emailInToken: true });
    other.person = person({ subject: 'new', email: 'new@anywhere.example' });
    const browsers = Array.from({ length: 4 }, () => new BrowserWalk());
    const ends = await Promise.all(
      browsers.map((browser) => browser.walk(`${open.base}/api/v1/oidc/start`)),
    );
    assert.deepEqual(
      ends.map(({ url }) => url),
      ends.map(() => `${open.base}/ui/`),
    );
    const user = await open.store.userByEmail('new@anywhere.example');
    assert.deepEqual([user?.role, user?.passwordHash], ['user', null]);
    const { items } = await open.store.users({ page: firstPage });
    assert.equal(items.length, 2, 'one account, however many came at once');
  } finally {
    await open.close();
    await other.close();
  }
});

test('a provider that is away takes the sign-in page with it', async () => {
  const away = await startIdentityProvider();
  const { issuer, clientId, clientSecret } = away;
  const oidc = { issuer, clientId, clientSecret, name: 'Lab', allowedDomains: [] };
  const open = await openHttpHarness({ oidc: { ...oidc, createUsers: true } });
  await away.close();
  try {
    const { headers } = await open.call('GET', '/api/v1/oidc/start');
    assert.equal(headers.location, '/ui/?sign_in=provider_unavailable');
    assert.equal((await open.call('GET', '/api/v1/sign-in/options')).status, 200);
    await open.signIn();
  } finally {
    await open.close();
  }
});

test('a server without a provider says that it has one', async () => {
  const plain = await openHttpHarness();
  try {
    const reply = await plain.call('GET', '/api/v1/sign-in/options');
    assert.deepEqual(reply.json, { oidc: null });
    for (const path of ['start', 'callback?code=x&state=y']) {
      const { headers } = await plain.call('GET', `/api/v1/oidc/${path}`);
      assert.equal(headers.location, '/ui/?sign_in=not_configured');
    }
  } finally {
    await plain.close();
  }
});
