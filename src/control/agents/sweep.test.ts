import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { ClockJumps } from '../../lib/process/clockJumps.ts';
import { disconnectedDiesAfterMs, pendingDiesAfterMs } from '../../domain/agents/agentState.ts';
import {
  enrolledAgent,
  openControlHarness,
  type ControlHarness,
} from '../../testing/http/controlHarness.ts';

let harness: ControlHarness;
let jumps: ClockJumps;
beforeEach(async () => {
  harness = await openControlHarness();
  jumps = new ClockJumps(harness.clock);
});
afterEach(() => harness.close());

const owner = { kind: 'project', project: 'default' } as const;

async function sweep(linkedAgentIds: string[] = []): Promise<string[]> {
  return (await harness.control.sweep({ linkedAgentIds, jumps })).died;
}

async function linkedAgent(): Promise<string> {
  const { agentId } = await enrolledAgent(harness);
  const atMs = harness.clock.now();
  const detail = '';
  await harness.control.presenceSink.event({ agentId, atMs, kind: 'connected', detail });
  return agentId;
}

test('an agent that never linked stays for ever, or dies before its hour is over', async () => {
  const { agentId, machine, rotationToken } = await enrolledAgent(harness);
  harness.clock.advance(pendingDiesAfterMs);
  assert.deepEqual(await sweep(), []);
  harness.clock.advance(1);
  assert.deepEqual(await sweep(), [agentId]);
  assert.deepEqual(await sweep(), []);
  const outcome = await machine.refresh({ agentId, rotationToken });
  assert.deepEqual(outcome, { ok: false, reason: 'agent_dead' });
  const {
    items: [event],
  } = await harness.store.agentEvents({ agentId: agentId, page: { after: null, limit: 1 } });
  assert.deepEqual([event?.kind, event?.actor], ['died', 'rule:never_linked']);
});

test('a slow database makes a linked agent look dead', async () => {
  const { agentId } = await enrolledAgent(harness);
  harness.clock.advance(pendingDiesAfterMs * 2);
  assert.deepEqual(await sweep([agentId]), []);
  assert.deepEqual(await sweep(), [agentId]);
});

test('an agent that was silent for 30 days lives on, or dies of 29', async () => {
  const silent = await linkedAgent();
  const seen = await linkedAgent();
  harness.clock.advance(disconnectedDiesAfterMs - 1000);
  const lastSeenAtMs = harness.clock.now();
  await harness.control.presenceSink.seen([{ agentId: seen, lastSeenAtMs }]);
  assert.deepEqual(await sweep(), []);
  harness.clock.advance(1001);
  assert.deepEqual(await sweep(), [silent]);
});

test('a server whose clock is set forward, or that slept, lets its agents die', async () => {
  const { clock } = harness;
  const { agentId: pending } = await enrolledAgent(harness);
  const away = await linkedAgent();
  clock.jumpWall(2 * disconnectedDiesAfterMs);
  assert.deepEqual(await sweep(), []);
  // One that comes now is stamped with the new time, and has its hour as well.
  const { agentId: late } = await enrolledAgent(harness);
  clock.advance(pendingDiesAfterMs + 1);
  assert.deepEqual(await sweep(), [pending, late].toSorted());
  clock.advance(disconnectedDiesAfterMs);
  assert.deepEqual(await sweep(), [away]);
});

test('a server whose clock is set back never lets an agent die', async () => {
  const { clock } = harness;
  const { agentId } = await enrolledAgent(harness);
  clock.jumpWall(-3 * 3_600_000);
  clock.advance(pendingDiesAfterMs + 1);
  assert.deepEqual(await sweep(), [], 'late is right');
  clock.advance(3 * 3_600_000);
  assert.deepEqual(await sweep(), [agentId]);
});

test('a suspended agent dies of its silence, or at once when it is resumed', async () => {
  const { control, admin: caller, clock } = harness;
  const command = { caller, owner, agentId: await linkedAgent() };
  await control.suspendAgent(command);
  clock.advance(disconnectedDiesAfterMs * 2);
  assert.deepEqual(await sweep(), []);
  await control.resumeAgent(command);
  clock.advance(60_000);
  assert.deepEqual(await sweep(), [], 'it has time to come back');
  clock.advance(disconnectedDiesAfterMs);
  assert.deepEqual(await sweep(), [command.agentId]);
});

test('an operator who said "never" loses silent agents', async () => {
  const patient = await openControlHarness({ disconnectedDiesAfterMs: null });
  try {
    const { agentId } = await enrolledAgent(patient);
    const event = { agentId, atMs: patient.clock.now(), kind: 'connected', detail: '' };
    await patient.control.presenceSink.event(event);
    patient.clock.advance(disconnectedDiesAfterMs * 100);
    const input = { linkedAgentIds: [], jumps: new ClockJumps(patient.clock) };
    assert.deepEqual(await patient.control.sweep(input), { died: [] });
  } finally {
    await patient.close();
  }
});
