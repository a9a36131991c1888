/** Accounts as people meet them: a real server, a real Chromium, a real identity provider. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { totpCode, totpStepAt } from '../../src/lib/crypto/totp.ts';
import { openBrowser } from '../../src/testing/http/browser.ts';
import { startFakeEngine, type FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import {
  startIdentityProvider,
  type IdentityProvider,
} from '../../src/testing/http/identityProvider.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../../src/testing/processes/serverProcess.ts';

const chosen = 'a password of one’s own';

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine;
let provider: IdentityProvider;
let server: ServerProcess;
let origin: string;
let admin: Record<string, string>;
let browser: Browser | undefined;
let missing: string | undefined;

before(async () => {
  const opened = await openBrowser();
  if (opened.kind === 'missing') {
    missing = opened.reason;
    return;
  }
  browser = opened.browser;
  base = await temporaryDirectory('accounts');
  engine = await startFakeEngine();
  provider = await startIdentityProvider();
  const oidc = ['--oidc-issuer', provider.issuer, '--oidc-client-id', provider.clientId];
  server = await startServerProcess({
    dataDir: path.join(base.path, 'data'),
    args: ['--engine-url', engine.url, ...oidc, '--oidc-name', 'the lab'],
    env: { XIM_OIDC_CLIENT_SECRET: provider.clientSecret },
  });
  ({ origin } = new URL(server.ready.base_url));
  provider.serve({ redirectUris: [`${origin}/api/v1/oidc/callback`] });
  admin = await settledAdmin();
});
after(async () => {
  await browser?.close();
  if (missing !== undefined) return;
  await server.end();
  await provider.close();
  await engine.close();
  await base.remove();
});

async function post<Answer>(as: Record<string, string>, to: string, body: object): Promise<Answer> {
  const headers = { origin, 'content-type': 'application/json', ...as };
  const reply = await fetch(origin + to, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await reply.text();
  assert.ok(reply.ok, `${reply.status} ${text}`);
  return JSON.parse(text) as Answer;
}

/** The first admin, signed in past the one-time password. */
async function settledAdmin(): Promise<Record<string, string>> {
  const { email, password } = server.ready.admin;
  const reply = await fetch(`${origin}/api/v1/sign-in`, {
    method: 'POST',
    headers: { origin, 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  const cookie = reply.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const change = { old_password: password, new_password: chosen };
  await post({ cookie }, '/api/v1/session/password', change);
  return { cookie };
}

/** A page that fails the test on any script error. */
async function openPage(url: string): Promise<Page> {
  assert.ok(browser !== undefined);
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => assert.fail(`script error: ${error.message}`));
  await page.goto(url);
  return page;
}

async function signIn(page: Page, email: string, password: string): Promise<void> {
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

const overview = (page: Page): Promise<void> =>
  page.getByRole('region', { name: 'Agents' }).waitFor();

test('an invitation’s address leads nowhere, or keeps its token', async (t) => {
  if (missing !== undefined) return t.skip(missing);
  const wish = { email: 'ines@example.org', role: 'member' };
  const to = '/api/v1/projects/default/invitations';
  const { url } = await post<{ url: string }>(admin, to, wish);
  const page = await openPage(url);
  await page.getByText('ines@example.org is invited to the project Default').waitFor();
  assert.ok(!page.url().includes('invitation'), page.url());
  await page.getByLabel('New password').fill(chosen);
  await page.getByRole('button', { name: 'Create account' }).click();
  await overview(page);
  await page.getByText('ines@example.org').waitFor();
  await page.context().close();
  const again = await openPage(url);
  await again.getByRole('alert').getByText('unknown, used, revoked or expired').waitFor();
  await again.getByRole('button', { name: 'Not now' }).click();
  await again.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
  await again.context().close();
});

test('the code of an authenticator app is not asked for, or the wrong one opens', async (t) => {
  if (missing !== undefined) return t.skip(missing);
  const wish = { email: 'tess@example.org' };
  const made = await post<{ one_time_password: string }>(admin, '/api/v1/platform/users', wish);
  const page = await openPage(server.ready.dashboard_url);
  await signIn(page, 'tess@example.org', made.one_time_password);
  await page.getByLabel('New password').fill(chosen);
  await page.getByRole('button', { name: 'Change password' }).click();
  await page.getByRole('heading', { name: 'No project is open to you' }).waitFor();
  const [cookie] = await page.context().cookies(`${origin}/api/v1`);
  const as = { cookie: `xim_session=${cookie?.value}` };
  const own = '/api/v1/session/second-factor';
  const begun = await post<{ otpauth_uri: string }>(as, own, { password: chosen });
  const secret = fromBase32(new URL(begun.otpauth_uri).searchParams.get('secret') ?? '');
  const code = (ahead: number): string => totpCode(secret, totpStepAt(Date.now()) + ahead);
  const confirm = { code: code(-1) };
  const { recovery_codes: codes } = await post<{ recovery_codes: string[] }>(
    as,
    `${own}/confirm`,
    confirm,
  );

  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(page, 'tess@example.org', chosen);
  await page.getByLabel('Code').fill('000000');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('alert').getByText('The code is wrong').waitFor();
  await page.getByLabel('Code').fill(code(0));
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('heading', { name: 'No project is open to you' }).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(page, 'tess@example.org', chosen);
  await page.getByLabel('Code').fill(codes[0] ?? '');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('heading', { name: 'No project is open to you' }).waitFor();
  await page.context().close();
});

function fromBase32(text: string): Buffer {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = text.split('').map((digit) => alphabet.indexOf(digit).toString(2).padStart(5, '0'));
  const bytes = bits.join('').match(/.{8}/g) ?? [];
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)));
}

test('the way over the identity provider does not come back signed in', async (t) => {
  if (missing !== undefined) return t.skip(missing);
  const leave = { name: 'Sign in with the lab' };
  const refused = await openPage(server.ready.dashboard_url);
  provider.person = { subject: '1', email: 'stranger@example.org', emailVerified: true };
  await refused.getByRole('link', leave).click();
  await refused.getByRole('alert').getByText('you have no account here').waitFor();
  assert.ok(!refused.url().includes('sign_in='), refused.url());
  await refused.context().close();
  // Another browser: the provider remembers whom this one belongs to.
  const page = await openPage(server.ready.dashboard_url);
  provider.person = { subject: '2', email: 'ines@example.org', emailVerified: true };
  await page.getByRole('link', leave).click();
  await overview(page);
  await page.getByText('ines@example.org').waitFor();
  await page.reload();
  await overview(page);
  await page.context().close();
});
