import assert from 'node:assert/strict';
import test from 'node:test';
import { agentStates, agentStateTable, derivedAgentState, mayBecome } from './agentState.ts';

test('a dead agent never comes back', () => {
  assert.deepEqual(agentStateTable.dead.leavesTo, []);
  assert.equal(mayBecome({ from: 'dead', to: 'enrolled' }), false);
  const linked = { stored: 'dead', linked: true, everLinked: true } as const;
  assert.equal(derivedAgentState(linked), 'dead');
});

test('a suspended agent gets no work although its link is up', () => {
  const agent = { stored: 'suspended', linked: true, everLinked: true } as const;
  assert.equal(derivedAgentState(agent), 'suspended');
});

test('an agent that never linked is pending, one that lost its link is disconnected', () => {
  const stored = 'enrolled' as const;
  assert.equal(derivedAgentState({ stored, linked: false, everLinked: false }), 'pending');
  assert.equal(derivedAgentState({ stored, linked: false, everLinked: true }), 'disconnected');
  assert.equal(derivedAgentState({ stored, linked: true, everLinked: true }), 'active');
});

test('every change of presence or of the stored state is a legal transition', () => {
  const stored = ['enrolled', 'suspended', 'dead'] as const;
  const views = stored.flatMap((from) =>
    [false, true].flatMap((linked) => [{ stored: from, linked, everLinked: linked }]),
  );
  for (const before of views) {
    for (const after of views) {
      const movable =
        before.stored === after.stored || mayBecome({ from: before.stored, to: after.stored });
      const everLinked = before.everLinked || after.everLinked;
      const [from, to] = [derivedAgentState(before), derivedAgentState({ ...after, everLinked })];
      if (movable && from !== to)
        assert.ok(agentStateTable[from].leavesTo.includes(to), `${from}→${to}`);
    }
  }
});

test('every state has a row', () => {
  assert.deepEqual(Object.keys(agentStateTable), [...agentStates]);
});

test('what is stored and linked has no state, or two', () => {
  for (const stored of ['enrolled', 'suspended', 'dead'] as const) {
    for (const linked of [false, true]) {
      for (const everLinked of [linked, true]) {
        const state = derivedAgentState({ stored, linked, everLinked });
        const row = agentStateTable[state];
        assert.equal(row.stored, stored);
        assert.equal(row.linked ?? linked, linked);
        assert.equal(row.everLinked ?? everLinked, everLinked);
      }
    }
  }
});

test('a stored state changes against the table, or to itself', () => {
  const states = ['enrolled', 'suspended', 'dead'] as const;
  const allowed = states.flatMap((from) =>
    states.filter((to) => mayBecome({ from, to })).map((to) => `${from} ${to}`),
  );
  assert.deepEqual(allowed, [
    'enrolled suspended',
    'enrolled dead',
    'suspended enrolled',
    'suspended dead',
  ]);
});
