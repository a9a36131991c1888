import assert from 'node:assert/strict';
import { tierTable } from '../../domain/tiers/tiers.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { openStore } from '../../store/openStore.ts';
import {
  harnessModel,
  newTestAgent,
  openControlHarness,
  type ControlHarness,
} from '../../testing/http/controlHarness.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { createPasswords } from '../access/password.ts';
import { acceptedKeys } from './acceptedKeys.ts';
import { bootstrap, type BootstrapCredentials } from './bootstrap.ts';

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

const firstStart = {
  adminEmail: 'Admin@Localhost',
  tier: 'cpu_amd_optimized',
  model: harnessModel,
} as const;

test('the first start leaves out what a first request needs', async () => {
  const { credentials, control } = harness;
  const { projects, apiKeys, endpoints, models } = await control.directoryFeed.snapshot();
  assert.deepEqual(
    projects.map(({ slug, sharedAccess }) => [slug, sharedAccess]),
    [['default', true]],
  );
  assert.equal(models[0]?.projectId, null, 'a catalogue model');
  const bySlug = new Map(endpoints.map((endpoint) => [endpoint.slug, endpoint]));
  assert.deepEqual([...bySlug.keys()].toSorted(), ['default', 'own']);
  assert.equal(bySlug.get('default')?.tier, 'cpu_intel_optimized');
  assert.equal(bySlug.get('default')?.fallback.enabled, true);
  assert.equal(bySlug.get('own')?.tier, 'self_hosted');
  assert.equal(bySlug.get('own')?.fallback.enabled, false);
  for (const { modelId } of endpoints) assert.equal(modelId, models[0]?.id);
  const scopes = new Map(apiKeys.map((key) => [key.sha256, key.scopes]));
  assert.deepEqual(scopes.get(sha256Hex(credentials.apiKey)), ['inference']);
  assert.deepEqual(scopes.get(sha256Hex(credentials.managementKey)), ['management']);
  assert.match(credentials.apiKey, /^xim_default_[\w-]{43}$/);
  assert.match(credentials.admin.password, /^\w{5}(-\w{5}){3}$/);
});

test('the first join key enrols an agent that does not carry the tier of `default`', async () => {
  const { control, credentials, store } = harness;
  const outcome = await newTestAgent(control).enroll({ joinKey: credentials.joinKey.text });
  assert.ok(outcome.ok);
  const row = await store.agentById(outcome.agent.agentId);
  assert.ok(row?.effectiveTiers.includes('cpu_intel_optimized'));
  const later = await control.newPlatformJoinKey({ tier: 'free' });
  const again = await newTestAgent(control).enroll({ joinKey: later.text });
  assert.ok(again.ok && again.agent.ownership === 'shared');
  assert.notEqual(again.agent.name, outcome.agent.name);
});

test('a second start makes a second platform', async () => {
  const outcome = await harness.control.bootstrap({
    ...firstStart,
    keep: () => Promise.reject(new Error('must not be asked')),
  });
  assert.deepEqual(outcome, { ok: false, reason: 'already_bootstrapped' });
});

test('a crash on either side of the commit leaves keys that nobody has', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'xim-bootstrap-'));
  const [clock, random, log] = [new FakeClock(), systemRandom, silentLogger];
  const store = await openStore({ url: path.join(directory, 'xim.db'), log, clock, random });
  const config = {
    disconnectedDiesAfterMs: null,
    defaultRegion: 'local',
    usersCreateProjects: false,
    allowUnsandboxed: false,
    tiers: tierTable(),
  };
  const parts = { store, clock, random, log, config, passwords: createPasswords(random) };
  const kept: BootstrapCredentials[] = [];
  try {
    const crash = (credentials: BootstrapCredentials) => {
      kept.push(credentials);
      return Promise.reject(new Error('the disk is full'));
    };
    await assert.rejects(bootstrap(parts, { ...firstStart, keep: crash }), /disk is full/);
    assert.equal(await store.isBootstrapped(), false);
    const ofKept = () => acceptedKeys(parts, kept[0] ?? { apiKey: '', managementKey: '' });
    assert.deepEqual(await ofKept(), { apiKey: false, managementKey: false });

    const keep = async (credentials: BootstrapCredentials) => {
      assert.equal(await store.isBootstrapped(), false, 'kept before the commit');
      kept.push(credentials);
    };
    const outcome = await bootstrap(parts, { ...firstStart, keep });
    assert.ok(outcome.ok);
    assert.deepEqual(kept[1], outcome.credentials);
    const accepted = await acceptedKeys(parts, outcome.credentials);
    assert.deepEqual(accepted, { apiKey: true, managementKey: true });
    assert.deepEqual(await ofKept(), { apiKey: false, managementKey: false });
    assert.equal((await store.userByEmail('admin@localhost'))?.mustChangePassword, true);
  } finally {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  }
});

test('another --model at a later start is ignored, or the same one is written again', async () => {
  const { control } = harness;
  const same = await control.ensureDefaultModel(harnessModel);
  assert.ok(same.ok && !same.changed);
  const { revision } = await control.directoryFeed.snapshot();
  const wish = { ...harnessModel, name: 'Other', source: 'https://models.test/other.gguf' };
  const other = await control.ensureDefaultModel(wish);
  assert.ok(other.ok && other.changed);
  assert.equal(other.model.id, same.model.id);
  assert.deepEqual(await control.defaultModel(), other.model);
  const told = await control.directoryFeed.changesSince(revision, 10);
  assert.ok(told.ok);
  const [change] = told.changes;
  assert.ok(change?.kind === 'model' && change.entry?.source === wish.source);
});
