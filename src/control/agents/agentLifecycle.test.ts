import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  enrolledAgent,
  openControlHarness,
  type ControlHarness,
} from '../../testing/http/controlHarness.ts';
import { longestDetail } from '../limits.ts';

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

const owner = { kind: 'project', project: 'default' } as const;

async function eventsOf(agentId: string): Promise<string[]> {
  const { items: events } = await harness.store.agentEvents({
    agentId: agentId,
    page: { after: null, limit: 100 },
  });
  return events.map(({ kind, actor, detail }) => `${kind} ${actor} ${detail}`).toReversed();
}

test('a change of an agent hides who made it and why, or the router is not told', async () => {
  const { control, admin: caller, store } = harness;
  const { agentId } = await enrolledAgent(harness);
  const { revision } = await control.directoryFeed.snapshot();
  const command = { caller, owner, agentId };
  const suspended = await control.suspendAgent({ ...command, reason: ' moving house ' });
  assert.ok(suspended.ok && suspended.agent.state === 'suspended');
  assert.equal(suspended.agent.suspendedReason, 'moving house');
  assert.ok((await control.suspendAgent(command)).ok, 'idempotent');
  const resumed = await control.resumeAgent(command);
  assert.ok(resumed.ok && resumed.agent.state === 'enrolled');
  assert.equal(resumed.agent.suspendedReason, null);
  assert.ok((await control.removeAgent(command)).ok);
  const actor = `user:${harness.admin.principal.userId}`;
  assert.deepEqual(await eventsOf(agentId), [
    'enrolled agent enrolled',
    `suspended ${actor} moving house`,
    `resumed ${actor} resumed by its owner`,
    `died ${actor} removed by its owner`,
  ]);
  const told = await store.changesSince({ revision, limit: 100 });
  assert.ok(told.ok);
  const last = told.changes.findLast(({ id }) => id === agentId);
  assert.ok(last?.kind === 'agent' && last.entry?.state === 'dead');
});

test('a dead agent lives again', async () => {
  const { control, admin: caller } = harness;
  const { agentId } = await enrolledAgent(harness);
  const command = { caller, owner, agentId };
  assert.ok((await control.removeAgent(command)).ok);
  assert.deepEqual(await control.resumeAgent(command), { ok: false, reason: 'agent_dead' });
  assert.deepEqual(await control.suspendAgent(command), { ok: false, reason: 'agent_dead' });
  const again = await control.removeAgent(command);
  assert.ok(again.ok && again.agent.state === 'dead', 'idempotent');
});

test('revoked credentials still open something, or look like any removal', async () => {
  const { control, admin: caller, store } = harness;
  const { agentId, machine, rotationToken } = await enrolledAgent(harness);
  const command = { caller, owner, agentId };
  assert.ok((await control.removeAgent({ ...command, mode: 'drain' })).ok);
  const revoked = await control.revokeAgentCredentials({ ...command, reason: 'laptop\nstolen' });
  assert.ok(revoked.ok && revoked.agent.state === 'dead');
  assert.equal(revoked.agent.stopMode, 'cut', 'a drain that goes on is cut');
  assert.deepEqual(await machine.refresh({ agentId, rotationToken }), {
    ok: false,
    reason: 'agent_dead',
  });
  const actor = `user:${harness.admin.principal.userId}`;
  assert.equal((await eventsOf(agentId)).at(-1), `credentials_revoked ${actor} laptop stolen`);
  const page = { after: null, limit: 1 };
  const { items } = await store.auditNotes({ projectId: undefined, targetId: agentId, page });
  assert.equal(items[0]?.action, 'agent.revoke_credentials');
  assert.ok((await control.revokeAgentCredentials(command)).ok, 'idempotent');
});

test('an answer shows the hashes of an agent’s tokens, or a reason without bound', async () => {
  const { control, admin: caller, store } = harness;
  const { agentId } = await enrolledAgent(harness);
  const reason = 'r'.repeat(100_000);
  const outcome = await control.suspendAgent({ caller, owner, agentId, reason });
  assert.ok(outcome.ok && outcome.agent.suspendedReason?.length === longestDetail);
  const row = await store.agentById(agentId);
  assert.ok(row);
  const shown = JSON.stringify([outcome, await control.agents({ caller, owner })]);
  assert.ok(!shown.includes(row.tokenHash));
});

test('an agent’s first link is not told from later ones', async () => {
  const { control, store, clock } = harness;
  const { agentId } = await enrolledAgent(harness);
  const firstAtMs = clock.now();
  const event = { agentId, kind: 'connected', detail: 'x'.repeat(10_000) };
  await control.presenceSink.event({ ...event, atMs: firstAtMs });
  await control.presenceSink.event({ ...event, atMs: firstAtMs + 1000 });
  const seen = [{ agentId, lastSeenAtMs: firstAtMs + 60_000 }];
  await control.presenceSink.seen(seen);
  const row = await store.agentById(agentId);
  assert.equal(row?.firstLinkedAtMs, firstAtMs);
  assert.equal(row.lastSeenAtMs, firstAtMs + 60_000);
  const {
    items: [newest],
  } = await store.agentEvents({ agentId: agentId, page: { after: null, limit: 1 } });
  assert.equal(newest?.detail.length, longestDetail);
});

test('an agent whose first event was lost is taken for one that never linked', async () => {
  const { control, store, clock } = harness;
  const { agentId } = await enrolledAgent(harness);
  const lastSeenAtMs = clock.now();
  await control.presenceSink.seen([{ agentId, lastSeenAtMs }]);
  assert.equal((await store.agentById(agentId))?.firstLinkedAtMs, lastSeenAtMs);
  const gone = [{ agentId: '00000000-0000-4000-8000-000000000000', lastSeenAtMs }];
  await control.presenceSink.seen(gone);
});
