import assert from 'node:assert/strict';
import { tierTable } from '../../domain/tiers/tiers.ts';
import { after, before, test } from 'node:test';
import { openControlHarness, type ControlHarness } from '../../testing/http/controlHarness.ts';
import { firstPage } from '../../testing/http/firstPage.ts';
import { auditNote } from '../../testing/database/storeRows.ts';
import { openJoinKeysPerOwner } from '../limits.ts';
import { newJoinKey, type InvalidJoinKey, type JoinKeyWish } from './createJoinKey.ts';
import { parseJoinKey } from './joinKeyText.ts';

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

const project = { kind: 'project', project: 'default' } as const;
const platform = { kind: 'platform' } as const;

async function create(wish: JoinKeyWish, owner: typeof project | typeof platform = project) {
  return harness.control.createJoinKey({ caller: harness.admin, owner, wish });
}

async function refusal(
  wish: JoinKeyWish,
  owner: typeof project | typeof platform = project,
): Promise<InvalidJoinKey> {
  const outcome = await create(wish, owner);
  assert.ok(!outcome.ok && outcome.reason === 'invalid_value', JSON.stringify(wish));
  return outcome;
}

test('a join key takes other defaults than documented, or its text is stored', async () => {
  const { control, store, admin: caller } = harness;
  const outcome = await create({});
  assert.ok(outcome.ok);
  const { joinKey, text } = outcome;
  assert.match(text, /^xjk_[0-9a-z]+_[\w-]{43}$/);
  assert.equal(joinKey.expiresAtMs - joinKey.createdAtMs, 900_000);
  assert.deepEqual([joinKey.maxUses, joinKey.uses, joinKey.state], [1, 0, 'open']);
  assert.deepEqual([joinKey.supportedTiers, joinKey.storageLimitBytes], [null, null]);
  assert.equal(joinKey.createdBy, `user:${harness.admin.principal.userId}`);
  const secret = text.slice(-43);
  assert.ok(!JSON.stringify(await store.joinKeyById(joinKey.id)).includes(secret));
  const listed = await control.joinKeys({ caller, owner: project, page: firstPage });
  assert.ok(listed.ok && listed.joinKeys.items.some(({ id }) => id === joinKey.id));
  const hash = parseJoinKey(text)?.secretSha256 ?? '';
  assert.ok(!JSON.stringify(listed).includes(hash), 'C2: not even the hash is shown');
});

test('a join key lives longer than an hour, or a refusal does not name the limit', async () => {
  const { message, param } = await refusal({ ttlMs: 3_600_001 });
  assert.equal(param, 'ttl_seconds');
  assert.match(message, /3600\.001.*3600.*at most 1 hour/);
  await refusal({ ttlMs: 999 });
  await refusal({ ttlMs: -1 });
  await refusal({ ttlMs: Number.NaN });
  for (const ttlMs of [1000, 3_600_000]) assert.ok((await create({ ttlMs })).ok);
});

test('uses, region, name or storage limit out of range are stored', async () => {
  for (const maxUses of [0, 1001, 1.5, -1]) {
    assert.match((await refusal({ maxUses })).message, /max_uses is .* from 1 to 1000/);
  }
  for (const region of ['', 'x'.repeat(25), 'eu west', 'zürich', 'a\n']) {
    assert.equal((await refusal({ region })).param, 'region');
  }
  assert.equal((await refusal({ name: 'x'.repeat(65) })).param, 'name');
  assert.equal((await refusal({ name: 'a\nb' })).param, 'name');
  for (const storageLimitBytes of [0, -1, 999_999, 1e6 + 0.5, Number.POSITIVE_INFINITY]) {
    assert.equal((await refusal({ storageLimitBytes })).param, 'storage_limit_bytes');
  }
  const good = await create({ region: 'Datacenter-3', maxUses: 1000, storageLimitBytes: 1e9 });
  assert.ok(good.ok);
  assert.equal(good.joinKey.region, 'Datacenter-3', 'case is kept');
});

test('a tier that is unknown or not the owner’s is stored, or no warning is given', async () => {
  const unknown = await refusal({ supportedTiers: ['gpu_nvidia_shared', 'gold'] });
  assert.match(unknown.message, /"gold".*self_hosted/);
  assert.match((await refusal({ supportedTiers: ['free'] })).message, /only shared agents/);
  const misplaced = await refusal({ supportedTiers: ['self_hosted'] }, platform);
  assert.match(misplaced.message, /own agents/);

  const supportedTiers = ['self_hosted', 'gpu_nvidia_dedicated', 'gpu_nvidia_shared'];
  const outcome = await create({ supportedTiers });
  assert.ok(outcome.ok);
  assert.deepEqual(outcome.joinKey.supportedTiers, ['gpu_nvidia_shared', 'self_hosted']);
  assert.deepEqual(outcome.warnings, [
    'gpu_nvidia_dedicated is deprecated and was stored as gpu_nvidia_shared.',
  ]);
});

test('a join key shows open when it no longer enrols', async () => {
  const { control, clock, admin: caller } = harness;
  const outcome = await create({ ttlMs: 5000 });
  assert.ok(outcome.ok);
  const { id } = outcome.joinKey;
  const stateNow = async () => {
    const listed = await control.joinKeys({ caller, owner: project, page: firstPage });
    return listed.ok ? listed.joinKeys.items.find((key) => key.id === id)?.state : undefined;
  };
  assert.equal(await stateNow(), 'open');
  clock.advance(5000);
  assert.equal(await stateNow(), 'expired');
  const revocation = { caller, owner: project, joinKeyId: id };
  assert.ok((await control.revokeJoinKey(revocation)).ok);
  assert.ok((await control.revokeJoinKey(revocation)).ok, 'idempotent');
  assert.equal(await stateNow(), 'revoked');
});

test('a key of the platform is revoked through a project, or a stranger learns of it', async () => {
  const { control, credentials, store, admin: caller } = harness;
  const joinKeyId = credentials.joinKey.id;
  const outcome = await control.revokeJoinKey({ caller, owner: project, joinKeyId });
  assert.deepEqual(outcome, { ok: false, reason: 'not_found' });
  assert.equal((await store.joinKeyById(joinKeyId))?.revokedAtMs, null);
});

test('join keys pile up without bound', async () => {
  const { store, admin: caller, control, clock } = harness;
  const parts = { clock, random: { bytes: (n: number) => Buffer.alloc(n), float: () => 0 } };
  const config = {
    disconnectedDiesAfterMs: null,
    defaultRegion: 'local',
    usersCreateProjects: false,
    allowUnsandboxed: false,
    tiers: tierTable(),
  };
  const made = newJoinKey({ ...parts, config }, { projectId: null, wish: {}, createdBy: 'system' });
  assert.ok(made.ok);
  const open = await control.joinKeys({ caller, owner: platform, page: firstPage });
  assert.ok(open.ok);
  const missing = openJoinKeysPerOwner - open.joinKeys.items.length;
  for (let count = 0; count < missing; count += 1) {
    await store.insertJoinKey({ row: { ...made.row, id: `xjk_${count}` }, audit: auditNote() });
  }
  const outcome = await create({}, platform);
  assert.deepEqual(outcome, {
    ok: false,
    reason: 'too_many_join_keys',
    limit: openJoinKeysPerOwner,
  });
  clock.advance(3_600_000);
  assert.ok((await create({}, platform)).ok, 'expired ones do not count');
});
