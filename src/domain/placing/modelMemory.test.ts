import assert from 'node:assert/strict';
import test from 'node:test';
import { agentEntry } from '../../testing/router/directoryEntries.ts';
import { ModelMemory } from './modelMemory.ts';

const load = { ahead: 0, own: 1000, aheadPairs: 0, ownPairs: 1e6, running: 0, held: 0 };
const where = { instance: 'i', modelId: 'm' };

test('a machine that comes back is a stranger, a new one of its kind, too', () => {
  const memory = new ModelMemory();
  const known = memory.of(agentEntry({ id: 'a' }), where);
  for (let n = 0; n < 20; n += 1) {
    known.learnTtft(load, { measuredMs: 300, predicted: known.predict(load) });
  }
  assert.equal(memory.of(agentEntry({ id: 'a' }), where), known);
  const ofItsKind = memory.of(agentEntry({ id: 'b' }), where).ttftMs(load) ?? 0;
  assert.ok(Math.abs(ofItsKind - 300) < 30, `${ofItsKind}`);
  const ofAnother = { ...where, modelId: 'other' };
  assert.equal(memory.of(agentEntry({ id: 'a' }), ofAnother).ttftMs(load), null);
  const gauges = memory.gauges();
  assert.ok(gauges !== null && gauges.mape < 0.1 && gauges.p90Coverage > 0.9);
  assert.equal(new ModelMemory().gauges(), null);
});

test('S6: machines that come once are remembered for ever', () => {
  const memory = new ModelMemory();
  const first = memory.of(agentEntry({ id: 'first' }), where);
  for (let n = 0; n < 16_384; n += 1) memory.of(agentEntry({ id: `${n}` }), where);
  assert.notEqual(memory.of(agentEntry({ id: 'first' }), where), first);
});
