import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import type { ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import type { Store } from '../../store/store.ts';
import { openControlHarness, type ControlHarness } from '../../testing/http/controlHarness.ts';
import { auditNote } from '../../testing/database/storeRows.ts';
import { createPasswords } from '../access/password.ts';
import { rotationGraceMs } from '../limits.ts';
import { renewCredentials, type RenewedCredentials, type RenewInput } from './renewCredentials.ts';

let harness: ControlHarness;
beforeEach(async () => {
  harness = await openControlHarness();
});
afterEach(() => harness.close());

const kept: RenewedCredentials[] = [];
const keep = (credentials: RenewedCredentials): Promise<void> => {
  kept.push(credentials);
  return Promise.resolve();
};

async function renew(known: RenewInput['known'] = {}): Promise<RenewedCredentials> {
  const outcome = await harness.control.renewCredentials({ known, keep });
  assert.ok(outcome.ok, JSON.stringify(outcome));
  assert.deepEqual(kept.at(-1), outcome.credentials);
  return outcome.credentials;
}

/** By name, then age. */
async function keys(): Promise<ApiKeyRow[]> {
  const { project } = harness.credentials;
  const { items } = await harness.store.apiKeysOf({
    projectId: project.id,
    page: { after: null, limit: 100 },
  });
  const order = ({ name, createdAtMs }: ApiKeyRow): string => `${name} ${createdAtMs}`;
  return items.toSorted((one, other) => (order(one) < order(other) ? -1 : 1));
}

const both = { apiKey: true, managementKey: true };
const neither = { apiKey: false, managementKey: false };

test('a lost file that takes clients their key at once, or leaves the management key', async () => {
  const { control, store, credentials: lost, admin, clock } = harness;
  const [, first] = await keys();
  assert.ok(first !== undefined);
  const quota = { requestsPerMinute: 7, tokensPerMinute: null, tokensPerDay: null };
  const wish = { quota };
  const about = { caller: admin, project: 'default', apiKeyId: first.id, expectedVersion: null };
  assert.ok((await control.updateApiKey({ ...about, wish })).ok);
  const made = await renew();
  assert.deepEqual(await control.acceptedKeys(made), both);
  assert.deepEqual(await control.acceptedKeys(lost), neither);
  const [management, inference, ...others] = await keys();
  assert.equal(others.length, 0, 'in place');
  assert.deepEqual(inference?.quota, quota);
  assert.deepEqual(inference?.previous, {
    sha256: sha256Hex(lost.apiKey),
    untilMs: clock.now() + rotationGraceMs,
  });
  assert.equal(management?.previous, null);
  assert.deepEqual(made.admin, { email: 'admin@localhost' }, 'the password was changed already');
  const { items } = await store.auditNotes({
    projectId: undefined,
    page: { after: null, limit: 10 },
  });
  const rotations = items.filter(({ action }) => action === 'api_key.rotate');
  assert.deepEqual(
    rotations.map(({ actor }) => actor),
    ['system', 'system'],
  );
});

test('a renewal that takes keys of people, or changes what is known', async () => {
  const { control, admin, credentials } = harness;
  const wish = { caller: admin, project: 'default', name: 'laptop', wish: {} };
  const theirs = await control.createApiKey({ ...wish, scopes: ['inference'] });
  assert.ok(theirs.ok);
  const before = await keys();
  assert.equal(before[2]?.name, 'laptop');
  const { apiKey, managementKey } = credentials;
  const known = { apiKey, managementKey, admin: { email: 'admin@localhost' } };
  const made = await renew(known);
  assert.deepEqual([made.apiKey, made.managementKey], [apiKey, managementKey]);
  assert.deepEqual(await keys(), before);
  await renew();
  const [, , laptop] = await keys();
  assert.deepEqual(laptop, before[2]);
});

test('a key that its owners revoked is good again, or there is none', async () => {
  const { control, admin, clock } = harness;
  const [first, second] = await keys();
  for (const key of [first, second]) {
    const about = { caller: admin, project: 'default', apiKeyId: key?.id ?? '' };
    assert.ok((await control.revokeApiKey(about)).ok);
  }
  clock.advance(1);
  const made = await renew();
  assert.deepEqual(await control.acceptedKeys(made), both);
  const rows = await keys();
  assert.deepEqual(
    rows.map(({ name, revoked, createdBy }) => [name, revoked, createdBy]),
    [
      ['command line', true, 'system'],
      ['command line', false, 'system'],
      ['first key', true, 'system'],
      ['first key', false, 'system'],
    ],
  );
  await renew();
  assert.equal((await keys()).length, 4, 'the later ones are renewed in place');
});

test('a crash between two changes that leaves keys which nobody has', async () => {
  const { control, store, clock } = harness;
  let rotations = 0;
  const cut: Store = Object.create(store, {
    rotateApiKey: {
      value: (input: Parameters<Store['rotateApiKey']>[0]) => {
        rotations += 1;
        return rotations === 2 ? Promise.reject(new Error('power cut')) : store.rotateApiKey(input);
      },
    },
  }) as Store;
  const passwords = createPasswords(systemRandom);
  const parts = { store: cut, clock, random: systemRandom, log: silentLogger, passwords };
  await assert.rejects(renewCredentials(parts, { known: {}, keep }), /power cut/);
  const half = kept.at(-1);
  assert.ok(half !== undefined);
  const accepted = await control.acceptedKeys(half);
  assert.deepEqual(accepted, { apiKey: true, managementKey: false });
  const whole = await renew({ apiKey: half.apiKey, admin: half.admin });
  assert.equal(whole.apiKey, half.apiKey);
  assert.deepEqual(await control.acceptedKeys(whole), both);
});

test('an admin whose one-time password was lost unused is kept out for ever', async () => {
  const { control, store, admin, credentials } = harness;
  const { userId } = admin.principal;
  const user = await store.userById(userId);
  await store.setPassword({
    userId,
    passwordHash: user?.passwordHash ?? '',
    mustChangePassword: true,
    keepSessionSha256: null,
    audit: auditNote({ action: 'user.reset_password', targetKind: 'user', projectId: null }),
  });
  const { password } = (await renew()).admin;
  assert.ok(password !== undefined && password !== credentials.admin.password);
  const signedIn = await control.signIn({
    email: 'admin@localhost',
    password,
    address: '192.0.2.1',
  });
  assert.ok(signedIn.ok, JSON.stringify(signedIn));
});

test('a project that was deleted is made again, or ends the start', async () => {
  const { control, admin } = harness;
  const of = { caller: admin, project: 'default' };
  for (const endpoint of ['default', 'own']) {
    assert.ok((await control.deleteEndpoint({ ...of, endpoint })).ok);
  }
  assert.ok((await control.deleteProject(of)).ok);
  const outcome = await control.renewCredentials({ known: {}, keep });
  assert.deepEqual(outcome, { ok: false, reason: 'project_not_found' });
});
