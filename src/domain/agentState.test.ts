import assert from 'node:assert/strict';
import test from 'node:test';
import { agentStates, agentTransitions, derivedAgentState, mayBecome } from './agentState.ts';

test('a dead agent never comes back', () => {
  assert.deepEqual(agentTransitions.dead, []);
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
      if (movable && from !== to) assert.ok(agentTransitions[from].includes(to), `${from}→${to}`);
    }
  }
});

test('every state has a row', () => {
  assert.deepEqual(Object.keys(agentTransitions), [...agentStates]);
});
