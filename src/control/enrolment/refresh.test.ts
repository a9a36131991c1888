import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import {
  enrolledAgent,
  newTestAgent,
  openControlHarness,
  type ControlHarness,
  type TestAgent,
} from '../../testing/http/controlHarness.ts';
import { nonceLifetimeMs } from '../limits.ts';
import { createAgentTokens } from './agentTokens.ts';
import type { RefreshOutcome } from './refresh.ts';

let harness: ControlHarness;
before(async () => {
  harness = await openControlHarness();
});
after(() => harness.close());

const owner = { kind: 'project', project: 'default' } as const;

function tokenOf(outcome: RefreshOutcome): string {
  assert.ok(outcome.ok, outcome.ok ? '' : outcome.reason);
  return outcome.credentials.rotationToken;
}

async function stateOf(agentId: string): Promise<{ state: string; generation: number }> {
  const row = await harness.store.agentById(agentId);
  assert.ok(row);
  return { state: row.state, generation: row.generation };
}

async function suspensions(agentId: string): Promise<number> {
  const { items: events } = await harness.store.agentEvents({
    agentId: agentId,
    page: { after: null, limit: 100 },
  });
  const found = events.filter(({ kind }) => kind === 'suspended');
  for (const { actor, detail } of found) {
    assert.deepEqual([actor, detail], ['rule:rotation_token_reused', 'rotation_token_reused']);
  }
  return found.length;
}

test('64 refreshes at once yield more than one successor', async () => {
  const { machine, agentId, rotationToken } = await enrolledAgent(harness);
  const outcomes = await Promise.all(
    Array.from({ length: 64 }, () => machine.refresh({ agentId, rotationToken })),
  );
  assert.equal(new Set(outcomes.map(tokenOf)).size, 1);
  assert.deepEqual(await stateOf(agentId), { state: 'enrolled', generation: 2 });
});

test('an agent that lost an answer is locked out, even after a month', async () => {
  const { machine, agentId, rotationToken } = await enrolledAgent(harness);
  const lost = tokenOf(await machine.refresh({ agentId, rotationToken }));
  harness.clock.advance(30 * 86_400_000);
  assert.equal(tokenOf(await machine.refresh({ agentId, rotationToken })), lost);
  assert.equal(tokenOf(await machine.refresh({ agentId, rotationToken })), lost);
  assert.notEqual(tokenOf(await machine.refresh({ agentId, rotationToken: lost })), lost);
});

test('an old token with the agent’s key goes unnoticed', async () => {
  const { control, admin: caller, clock } = harness;
  const { machine, agentId, rotationToken } = await enrolledAgent(harness);
  const before = await control.directoryFeed.snapshot();
  const second = tokenOf(await machine.refresh({ agentId, rotationToken }));
  const third = tokenOf(await machine.refresh({ agentId, rotationToken: second }));
  const reuse = await machine.refresh({ agentId, rotationToken });
  assert.deepEqual(reuse, { ok: false, reason: 'rotation_token_reused' });
  assert.deepEqual(await stateOf(agentId), { state: 'suspended', generation: 3 });
  assert.equal(await suspensions(agentId), 1);
  const told = await control.directoryFeed.changesSince(before.revision, 100);
  const last = told.ok ? told.changes.findLast(({ id }) => id === agentId) : undefined;
  assert.ok(last?.kind === 'agent' && last.entry?.state === 'suspended', 'so its link is closed');
  const shown = await control.agent({ caller, owner, agentId });
  assert.ok(shown.ok && shown.agent.suspendedReason === 'rotation_token_reused');

  const blocked = await machine.refresh({ agentId, rotationToken: third });
  assert.deepEqual(blocked, { ok: false, reason: 'agent_suspended' });
  clock.advance(1);
  assert.ok((await control.resumeAgent({ caller, owner, agentId })).ok);
  assert.ok((await machine.refresh({ agentId, rotationToken: third })).ok, 'resumed by its owner');
});

test('an old token without the agent’s key stops the agent', async () => {
  const { machine, agentId, rotationToken } = await enrolledAgent(harness);
  const second = tokenOf(await machine.refresh({ agentId, rotationToken }));
  const third = tokenOf(await machine.refresh({ agentId, rotationToken: second }));
  const thief = newTestAgent(harness.control);
  for (const stolen of [rotationToken, second, third]) {
    const outcome = await thief.refresh({ agentId, rotationToken: stolen });
    assert.deepEqual(outcome, { ok: false, reason: 'signature_invalid' });
  }
  assert.deepEqual(await stateOf(agentId), { state: 'enrolled', generation: 3 });
  assert.ok((await machine.refresh({ agentId, rotationToken: third })).ok);
});

test('a damaged or foreign token stops the agent, or an unknown agent is told apart', async () => {
  const { machine, agentId, rotationToken } = await enrolledAgent(harness);
  const other = await enrolledAgent(harness);
  const forged = createAgentTokens({
    secrets: { ...harness.secrets, rotationKey: Buffer.alloc(32) },
    clock: harness.clock,
  }).credentials({ agentId, generation: 1 }).rotationToken;
  for (const text of ['', 'xrt_1_x', rotationToken.slice(0, -2), forged, other.rotationToken]) {
    const outcome = await machine.refresh({ agentId, rotationToken: text });
    assert.deepEqual(outcome, { ok: false, reason: 'rotation_token_invalid' });
  }
  assert.deepEqual(await stateOf(agentId), { state: 'enrolled', generation: 1 });
  const unknown = '00000000-0000-4000-8000-000000000000';
  const outcome = await machine.refresh({ agentId: unknown, rotationToken });
  assert.deepEqual(outcome, { ok: false, reason: 'signature_invalid' });
});

test('a recorded refresh is played again', async () => {
  const { machine, agentId, rotationToken } = await enrolledAgent(harness);
  const { nonce } = harness.control.newNonce({ address: '192.0.2.1' });
  const next = tokenOf(await machine.refresh({ agentId, rotationToken, nonce }));
  const replay = await machine.refresh({ agentId, rotationToken, nonce });
  assert.deepEqual(replay, { ok: false, reason: 'nonce_invalid' });
  const { nonce: late } = harness.control.newNonce({ address: '192.0.2.1' });
  harness.clock.advance(nonceLifetimeMs);
  const stale = await machine.refresh({ agentId, rotationToken: next, nonce: late });
  assert.deepEqual(stale, { ok: false, reason: 'nonce_invalid' });
  assert.deepEqual(await stateOf(agentId), { state: 'enrolled', generation: 2 });
});

test('a removed agent gets tokens', async () => {
  const { control, admin: caller } = harness;
  const { machine, agentId, rotationToken } = await enrolledAgent(harness);
  assert.ok((await control.removeAgent({ caller, owner, agentId })).ok);
  const outcome = await machine.refresh({ agentId, rotationToken });
  assert.deepEqual(outcome, { ok: false, reason: 'agent_dead' });
});

test('clocks an hour apart: an agent cannot refresh after the server’s clock was set', async () => {
  const { machine, agentId, rotationToken } = await enrolledAgent(harness);
  harness.clock.jumpWall(3_600_000);
  const second = tokenOf(await machine.refresh({ agentId, rotationToken }));
  harness.clock.jumpWall(-7_200_000);
  assert.ok((await machine.refresh({ agentId, rotationToken: second })).ok);
  harness.clock.jumpWall(3_600_000);
});

/** Which token somebody presents, counted back from the newest, and with whose signature. */
interface Presentation {
  age: number;
  signed: boolean;
}

const presentation: fc.Arbitrary<Presentation> = fc.record({
  age: fc.nat({ max: 3 }),
  signed: fc.boolean(),
});

test('some order of presentations forks the tokens, suspends twice or for nothing', async () => {
  const thief = newTestAgent(harness.control);
  const run = async (presentations: readonly Presentation[]): Promise<void> => {
    const { machine, agentId, rotationToken } = await enrolledAgent(harness);
    const issued = [rotationToken];
    let suspended: boolean = false;
    for (const { age, signed } of presentations) {
      const index = Math.max(0, issued.length - 1 - age);
      const from = issued.length - 1 - index;
      const who = signed ? machine : thief;
      const outcome = await who.refresh({ agentId, rotationToken: issued[index] ?? '' });
      if (!signed) assert.deepEqual(outcome, { ok: false, reason: 'signature_invalid' });
      else if (suspended) assert.deepEqual(outcome, { ok: false, reason: 'agent_suspended' });
      else if (from === 0) issued.push(tokenOf(outcome));
      else if (from === 1) assert.equal(tokenOf(outcome), issued.at(-1));
      else {
        assert.deepEqual(outcome, { ok: false, reason: 'rotation_token_reused' });
        suspended = true;
      }
      const expected: string = suspended ? 'suspended' : 'enrolled';
      const generation = issued.length;
      assert.deepEqual(await stateOf(agentId), { state: expected, generation });
    }
    assert.equal(new Set(issued).size, issued.length);
    assert.equal(await suspensions(agentId), suspended ? 1 : 0);
  };
  await fc.assert(fc.asyncProperty(fc.array(presentation, { maxLength: 12 }), run), {
    numRuns: 40,
  });
});

/** Refreshes `times` times; returns every rotation token that the agent was given. */
async function history(
  agent: { machine: TestAgent; agentId: string; rotationToken: string },
  times: number,
): Promise<string[]> {
  const issued = [agent.rotationToken];
  for (let time = 0; time < times; time += 1) {
    const rotationToken = issued.at(-1) ?? '';
    issued.push(tokenOf(await agent.machine.refresh({ agentId: agent.agentId, rotationToken })));
  }
  return issued;
}

test('presentations that race leave two successors, two suspensions or a lost agent', async () => {
  const ages = fc.array(fc.nat({ max: 3 }), { minLength: 2, maxLength: 12 });
  const run = async (presented: readonly number[]): Promise<void> => {
    const agent = await enrolledAgent(harness);
    const { machine, agentId } = agent;
    const issued = await history(agent, 3);
    const newest = issued.length;
    const outcomes = await Promise.all(
      presented.map((age) =>
        machine.refresh({ agentId, rotationToken: issued.at(-1 - age) ?? '' }),
      ),
    );
    const { state, generation } = await stateOf(agentId);
    const given = new Set(outcomes.flatMap((one) => (one.ok ? [tokenOf(one)] : [])));
    given.delete(issued.at(-1) ?? '');
    assert.ok(given.size <= 1, 'one successor');
    assert.equal(generation, newest + given.size);
    const reuses = outcomes.filter((one) => !one.ok && one.reason === 'rotation_token_reused');
    assert.ok(reuses.length <= 1);
    assert.equal(await suspensions(agentId), reuses.length);
    assert.equal(state, reuses.length === 1 ? 'suspended' : 'enrolled');
    const isOneAge = presented.every((age) => age === presented[0]);
    const isHonest = isOneAge && (presented[0] ?? 0) <= 1;
    if (isHonest) {
      assert.ok(
        outcomes.every((one) => one.ok),
        'an agent that repeats itself is served',
      );
      const rotationToken = [...given][0] ?? issued.at(-1) ?? '';
      assert.ok((await machine.refresh({ agentId, rotationToken })).ok);
    }
    if (presented.some((age) => age >= 2)) assert.equal(reuses.length, 1);
  };
  await fc.assert(fc.asyncProperty(ages, run), { numRuns: 40 });
});
