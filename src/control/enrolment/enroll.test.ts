import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { joinKeyIdOf } from '../../api/enrollment.ts';
import { newKeyPair, publicKeyFromText, signText } from '../../lib/crypto/ed25519.ts';
import { verifyToken } from '../../lib/crypto/signedToken.ts';
import { agentsOf } from '../../testing/router/agentsOf.ts';
import {
  newTestAgent,
  openControlHarness,
  xeonFacts,
  type ControlHarness,
  testCaller,
} from '../../testing/http/controlHarness.ts';
import { enrolmentRetryGraceMs, nonceLifetimeMs } from '../limits.ts';
import type { EnrollOutcome, EnrollRefusal } from './enroll.ts';

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

const project = { kind: 'project', project: 'default' } as const;
const platform = { kind: 'platform' } as const;
/** What a call brings besides its credentials. */
const unnamed = { facts: xeonFacts, name: undefined, address: '192.0.2.1' } as const;

function refused(outcome: EnrollOutcome, reason: EnrollRefusal): void {
  assert.deepEqual(outcome, { ok: false, reason });
}

async function usesOf(joinKey: string): Promise<number | undefined> {
  const id = `xjk_${joinKeyIdOf(joinKey)}`;
  return (await harness.store.joinKeyById(id))?.uses;
}

test('an enrolled agent is not what its join key says', async () => {
  const { control, store, secrets, clock, credentials } = harness;
  const joinKey = await harness.joinKey({ name: 'bench', region: 'lab-9' });
  const machine = newTestAgent(control);
  const outcome = await machine.enroll({ joinKey });
  assert.ok(outcome.ok);
  const { agent } = outcome;
  assert.equal(agent.name, 'bench');
  assert.equal(agent.region, 'lab-9');
  assert.equal(agent.ownership, 'project');
  const row = await store.agentById(agent.agentId);
  assert.equal(row?.projectId, credentials.project.id);
  assert.deepEqual(row.effectiveTiers, ['cpu_intel_optimized', 'self_hosted']);
  assert.equal(row.publicKey, machine.publicKey);
  assert.ok(!JSON.stringify(row).includes(outcome.credentials.rotationToken), 'C2');
  const ours = await publicKeyOfServer();
  const verdict = verifyToken(outcome.credentials.accessToken, {
    audience: 'link',
    nowMs: clock.now(),
    keyOf: (id) => (id === secrets.signingKey.keyId ? ours : undefined),
  });
  assert.ok(verdict.kind === 'valid');
  assert.equal(verdict.claims.sub, agent.agentId);
});

async function publicKeyOfServer() {
  const [newest] = await harness.secrets.verificationKeys();
  const key = publicKeyFromText(newest?.x ?? '');
  assert.ok(key);
  return key;
}

test('a platform key makes a project’s agent, or an agent chooses its own owner', async () => {
  const { control, credentials, store } = harness;
  const outcome = await newTestAgent(control).enroll({ joinKey: credentials.joinKey.text });
  assert.ok(outcome.ok);
  assert.equal(outcome.agent.ownership, 'shared');
  const row = await store.agentById(outcome.agent.agentId);
  assert.equal(row?.projectId, null);
  assert.deepEqual(row.effectiveTiers, ['free', 'cpu_intel_optimized']);
});

test('a malformed, unknown or wrong join key is taken, or uses up a right one', async () => {
  const { control } = harness;
  const joinKey = await harness.joinKey();
  const machine = newTestAgent(control);
  for (const text of ['', 'xjk_', 'hello', joinKey.slice(0, -1), `${joinKey}x`, 'xim_default_a']) {
    refused(await machine.enroll({ joinKey: text }), 'join_key_malformed');
  }
  const other = await harness.joinKey();
  const secretOfOther = other.slice(-43);
  refused(
    await machine.enroll({ joinKey: joinKey.slice(0, -43) + secretOfOther }),
    'join_key_wrong',
  );
  const unknown = joinKey.replace(/^xjk_.{26}/, `xjk_${'0'.repeat(26)}`);
  refused(await machine.enroll({ joinKey: unknown }), 'join_key_unknown');
  assert.equal(await usesOf(joinKey), 0);
  assert.ok((await machine.enroll({ joinKey: ` ${joinKey}\n` })).ok, 'pasted with white space');
});

test('an expired, revoked or used-up join key still enrols', async () => {
  const { control, clock, admin: caller } = harness;
  const expired = await harness.joinKey({ ttlMs: 1000 });
  clock.advance(999);
  const inTime = await harness.joinKey({ ttlMs: 1000 });
  clock.advance(1);
  refused(await newTestAgent(control).enroll({ joinKey: expired }), 'join_key_expired');
  assert.ok((await newTestAgent(control).enroll({ joinKey: inTime })).ok);
  refused(await newTestAgent(control).enroll({ joinKey: inTime }), 'join_key_used_up');

  const revoked = await harness.joinKey();
  const joinKeyId = `xjk_${joinKeyIdOf(revoked)}`;
  const command = { caller, owner: project, joinKeyId };
  assert.deepEqual(await control.revokeJoinKey(command), { ok: true });
  refused(await newTestAgent(control).enroll({ joinKey: revoked }), 'join_key_revoked');
});

test('a join key for one use is used twice at the same instant', async () => {
  const { control } = harness;
  const joinKey = await harness.joinKey();
  const outcomes = await Promise.all(
    Array.from({ length: 16 }, () => newTestAgent(control).enroll({ joinKey })),
  );
  assert.equal(outcomes.filter((outcome) => outcome.ok).length, 1);
  for (const outcome of outcomes) {
    if (!outcome.ok) refused(outcome, 'join_key_used_up');
  }
  assert.equal(await usesOf(joinKey), 1);
});

test('machines with one join key and one name cannot be told apart', async () => {
  const { control } = harness;
  const joinKey = await harness.joinKey({ maxUses: 12, name: 'rack' });
  const outcomes = await Promise.all(
    Array.from({ length: 12 }, () => newTestAgent(control).enroll({ joinKey })),
  );
  const names = outcomes.map((outcome) => (outcome.ok ? outcome.agent.name : outcome.reason));
  const expected = ['rack', ...Array.from({ length: 11 }, (_, index) => `rack-${index + 2}`)];
  assert.deepEqual(names.toSorted(), expected.toSorted());
  assert.equal(await usesOf(joinKey), 12);
});

test('an answer that was lost costs a second use, or leaves the first tokens good', async () => {
  const { control, store } = harness;
  const joinKey = await harness.joinKey();
  const machine = newTestAgent(control);
  const first = await machine.enroll({ joinKey });
  const second = await machine.enroll({ joinKey });
  assert.ok(first.ok && second.ok);
  assert.equal(second.agent.agentId, first.agent.agentId);
  assert.equal(second.agent.resumed, true);
  assert.equal(await usesOf(joinKey), 1);
  const { agentId } = first.agent;
  const row = await store.agentById(agentId);
  assert.ok(row !== null && row.generation - 1 > 1, 'access tokens of the first answer are void');
  const { rotationToken } = second.credentials;
  assert.ok((await machine.refresh({ agentId, rotationToken })).ok);
});

test('the rotation token of a voided enrolment still works', async () => {
  const { control } = harness;
  const joinKey = await harness.joinKey();
  const machine = newTestAgent(control);
  const first = await machine.enroll({ joinKey });
  assert.ok(first.ok && (await machine.enroll({ joinKey })).ok);
  const { agentId } = first.agent;
  const { rotationToken } = first.credentials;
  const outcome = await machine.refresh({ agentId, rotationToken });
  assert.deepEqual(outcome, { ok: false, reason: 'rotation_token_reused' });
});

test('another key pair gets the agent of a used key, or its own without a use', async () => {
  const { control } = harness;
  const joinKey = await harness.joinKey({ maxUses: 2 });
  const first = await newTestAgent(control).enroll({ joinKey });
  const second = await newTestAgent(control).enroll({ joinKey });
  assert.ok(first.ok && second.ok);
  assert.notEqual(second.agent.agentId, first.agent.agentId);
  assert.equal(await usesOf(joinKey), 2);
  refused(await newTestAgent(control).enroll({ joinKey }), 'join_key_used_up');
});

test('64 retries of an enrolment at once make a second agent, or leave no good token', async () => {
  const { control, store } = harness;
  const joinKey = await harness.joinKey();
  const machine = newTestAgent(control);
  const outcomes = await Promise.all(Array.from({ length: 64 }, () => machine.enroll({ joinKey })));
  const ids = new Set(outcomes.map((one) => (one.ok ? one.agent.agentId : one.reason)));
  assert.equal(ids.size, 1);
  assert.equal(await usesOf(joinKey), 1);
  const [agentId = ''] = ids;
  const current = (await store.agentById(agentId))?.generation;
  const last = outcomes.find(
    (one) => one.ok && one.credentials.rotationToken.startsWith(`xrt_${current}_`),
  );
  assert.ok(last?.ok);
  assert.ok((await machine.refresh({ agentId, ...last.credentials })).ok);
});

test('a retry is refused while its answer may still be lost, or accepted ever after', async () => {
  const { control, clock } = harness;
  const joinKey = await harness.joinKey({ ttlMs: 60_000 });
  const machine = newTestAgent(control);
  assert.ok((await machine.enroll({ joinKey })).ok);
  clock.advance(60_000 + enrolmentRetryGraceMs - 1);
  assert.ok((await machine.enroll({ joinKey })).ok);
  clock.advance(1);
  refused(await machine.enroll({ joinKey }), 'join_key_expired');
});

test('a stolen join key and key pair void the tokens of an agent that works', async () => {
  const { control, clock } = harness;
  const joinKey = await harness.joinKey();
  const machine = newTestAgent(control);
  const first = await machine.enroll({ joinKey });
  assert.ok(first.ok);
  const { agentId } = first.agent;
  const event = { agentId, atMs: clock.now(), kind: 'connected', detail: 'link 0' };
  await control.presenceSink.event(event);
  refused(await machine.enroll({ joinKey }), 'already_linked');
  assert.ok((await machine.refresh({ agentId, ...first.credentials })).ok);
});

test('an agent that was suspended or removed comes back by repeating its enrolment', async () => {
  const { control, admin: caller } = harness;
  const joinKey = await harness.joinKey();
  const machine = newTestAgent(control);
  const first = await machine.enroll({ joinKey });
  assert.ok(first.ok);
  const command = { caller, owner: project, agentId: first.agent.agentId };
  assert.ok((await control.suspendAgent(command)).ok);
  refused(await machine.enroll({ joinKey }), 'agent_suspended');
  assert.ok((await control.removeAgent(command)).ok);
  refused(await machine.enroll({ joinKey }), 'agent_dead');
  assert.equal(await usesOf(joinKey), 1);
  const again = await machine.enroll({ joinKey: await harness.joinKey() });
  assert.ok(again.ok && again.agent.agentId !== first.agent.agentId, 'a new key, a new agent');
});

test('a recorded enrolment is played again', async () => {
  const { control } = harness;
  const joinKey = await harness.joinKey({ maxUses: 5 });
  const machine = newTestAgent(control);
  const { nonce } = control.newNonce({ address: '192.0.2.1' });
  assert.ok((await machine.enroll({ joinKey, nonce })).ok);
  refused(await machine.enroll({ joinKey, nonce }), 'nonce_invalid');
  const { nonce: late } = control.newNonce({ address: '192.0.2.1' });
  harness.clock.advance(nonceLifetimeMs);
  refused(await machine.enroll({ joinKey, nonce: late }), 'nonce_invalid');
  refused(await machine.enroll({ joinKey, nonce: 'made up' }), 'nonce_invalid');
});

test('a signature of another key, over other facts or for another server is taken', async () => {
  const { control } = harness;
  const joinKey = await harness.joinKey();
  const thief = newKeyPair();
  const { publicKey } = newTestAgent(control);
  const request = (signedMessages: Buffer[], signature: string) =>
    control.enroll({
      ...unnamed,
      joinKey,
      publicKey,
      signature,
      signedMessages,
      nonce: control.newNonce(unnamed).nonce,
    });
  const message = Buffer.from('what was signed');
  const foreign = signText({ message, privateKey: thief.privateKey });
  refused(await request([message], foreign), 'signature_invalid');
  refused(await request([], foreign), 'signature_invalid');
  refused(await request([message], 'not base64url!'), 'signature_invalid');
  assert.equal(await usesOf(joinKey), 0);
});

test('what is no public key reaches the database as one', async () => {
  const { control } = harness;
  const joinKey = await harness.joinKey();
  for (const publicKey of ['', 'A', `${'A'.repeat(42)}B`, 'A'.repeat(44)]) {
    const outcome = await control.enroll({
      ...unnamed,
      joinKey,
      publicKey,
      signature: '',
      signedMessages: [Buffer.alloc(0)],
      nonce: control.newNonce(unnamed).nonce,
    });
    refused(outcome, 'public_key_malformed');
  }
});

test('an agent whose clock, or a server whose clock, is an hour off cannot enrol', async () => {
  const { control, clock } = harness;
  const joinKey = await harness.joinKey();
  const { nonce } = control.newNonce({ address: '192.0.2.1' });
  clock.jumpWall(-3_600_000);
  const machine = newTestAgent(control);
  const outcome = await machine.enroll({ joinKey, nonce });
  assert.ok(outcome.ok);
  assert.equal(outcome.credentials.expiresInMs, 600_000, 'a span, counted from receipt');
  clock.jumpWall(7_200_000);
  const { agentId } = outcome.agent;
  assert.ok((await machine.refresh({ agentId, ...outcome.credentials })).ok);
});

test('a clock that was set back lets a join key live for hours', async () => {
  const { control, clock } = harness;
  const joinKey = await harness.joinKey({ maxUses: 2 });
  const machine = newTestAgent(control);
  assert.ok((await machine.enroll({ joinKey })).ok);
  clock.jumpWall(-5 * 3_600_000);
  const { nonce } = control.newNonce({ address: '192.0.2.1' });
  const outcome = await newTestAgent(control).enroll({ joinKey, nonce });
  assert.deepEqual(outcome, { ok: false, reason: 'join_key_expired' });
  assert.ok((await machine.enroll({ joinKey })).ok, 'a lost answer is still had again');
  clock.jumpWall(5 * 3_600_000);
});

test('shared agents are shown to, or changed by, whoever owns only a project', async () => {
  const { control, store } = harness;
  const [shared] = await agentsOf(store, null);
  assert.ok(shared);
  const { credentials } = harness;
  const key = testCaller({
    kind: 'api_key',
    keyId: 'key_1',
    projectId: credentials.project.id,
    scopes: ['management'],
  });
  const input = { caller: key, agentId: shared.id };
  const viaProject = await control.suspendAgent({ ...input, owner: project });
  assert.deepEqual(viaProject, { ok: false, reason: 'not_found' });
  const viaPlatform = await control.suspendAgent({ ...input, owner: platform });
  assert.deepEqual(viaPlatform, { ok: false, reason: 'insufficient_permissions' });
  const listed = await control.agents({ caller: key, owner: project });
  assert.ok(listed.ok && listed.agents.items.every(({ ownership }) => ownership === 'project'));
});
