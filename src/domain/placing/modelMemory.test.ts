import assert from 'node:assert/strict';
import test from 'node:test';
import { agentEntry } from '../../testing/router/directoryEntries.ts';
import type { LatencyModel } from '../prediction/latencyModel.ts';
import { maxMachines, maxModelsOfAgent } from '../scheduler/limits.ts';
import { ModelMemory } from './modelMemory.ts';

const load = { ahead: 0, own: 1000, aheadPairs: 0, ownPairs: 1e6, running: 0, held: 0 };
const where = { instance: 'i', modelId: 'm' };
const [a, b] = [agentEntry({ id: 'a' }), agentEntry({ id: 'b' })];

function taught(model: LatencyModel, { ms = 300, times = 20 } = {}): LatencyModel {
  for (let n = 0; n < times; n += 1) {
    model.learnTtft(load, { measuredMs: ms, predicted: model.predict(load) });
  }
  return model;
}

function near(model: LatencyModel, ms: number): void {
  const foreseen = model.ttftMs(load) ?? 0;
  assert.ok(Math.abs(foreseen / ms - 1) < 0.1, `${foreseen} ms are foreseen instead of ${ms}`);
}

test('a machine that comes back is a stranger, a new one of its kind, too', () => {
  const memory = new ModelMemory();
  const known = taught(memory.grant(a, where));
  memory.left(known);
  assert.equal(memory.grant(a, where), known);
  near(memory.grant(b, where), 300);
  assert.equal(memory.grant(a, { ...where, modelId: 'other' }).ttftMs(load), null);
  const gauges = memory.gauges();
  assert.ok(gauges !== null && gauges.mape < 0.1 && gauges.p90Coverage > 0.9);
  assert.equal(new ModelMemory().gauges(), null);
});

test('a machine whose engine has a new name after a restart is a stranger', () => {
  const memory = new ModelMemory();
  const slow = taught(memory.grant(a, where), { ms: 3000 });
  taught(memory.grant(b, where), { ms: 200, times: 200 });
  memory.left(slow);
  const restarted = memory.grant(a, { ...where, instance: 'restarted' });
  assert.equal(restarted, slow);
  near(restarted, 3000);
});

test('M1: two engines of an agent that are there at one time teach each other', () => {
  const memory = new ModelMemory();
  const [first, second] = ['1', '2'].map((instance) => memory.grant(a, { ...where, instance }));
  assert.ok(first !== undefined && second !== undefined && first !== second);
  taught(first, { ms: 3000 });
  taught(second, { ms: 200 });
  for (const model of [first, second]) memory.left(model);
  // A link that was cut: each is who it was. A restart: no two take the same.
  assert.equal(memory.grant(a, { ...where, instance: '1' }), first);
  assert.equal(memory.grant(a, { ...where, instance: '3' }), second);
  assert.equal(memory.grant(a, { ...where, instance: '4' }).samples, 0);
});

test('M2: one project that answers slowly slows machines of another, or shared ones', () => {
  const memory = new ModelMemory();
  const of = (id: string, projectId: string | null) => agentEntry({ ...a, id, projectId });
  taught(memory.grant(of('hostile', 'p1'), where), { ms: 3000 });
  assert.equal(memory.grant(of('other', 'p2'), where).ttftMs(load), null);
  assert.equal(memory.grant(of('shared', null), where).ttftMs(load), null);
  near(memory.grant(of('own', 'p1'), where), 3000);
});

test('published gauges tell of machines that are gone as much as of one that serves all', () => {
  const memory = new ModelMemory();
  for (let n = 0; n < 50; n += 1) {
    const model = memory.grant(agentEntry({ id: `${n}` }), where);
    for (const ms of [300, 3, 3]) taught(model, { ms, times: 9 });
    memory.left(model);
  }
  assert.equal(memory.gauges(), null);
  taught(memory.grant(a, where), { times: 400 });
  const newcomer = memory.grant(b, where);
  newcomer.learnTtft(load, { measuredMs: 300, predicted: { ttftMs: 3000, p90Ms: 3000 } });
  const { mape = 1 } = memory.gauges() ?? {};
  assert.ok(mape < 0.1, `${mape}`);
});

test('M3: engines that an agent makes up push out what was learned of the fleet', () => {
  const memory = new ModelMemory();
  const shared = taught(memory.grant(a, where));
  memory.left(shared);
  for (let n = 0; n < maxMachines + 10; n += 1) {
    memory.left(memory.grant(b, { instance: `${n}`, modelId: `${n}` }));
  }
  near(memory.grant(agentEntry({ id: 'c' }), where), 300);
  assert.equal(memory.grant(a, where), shared);
});

test('M3: an agent that has served many models pushes out others instead of its own', () => {
  const memory = new ModelMemory();
  const other = taught(memory.grant(a, where));
  memory.left(other);
  const names = Array.from({ length: maxModelsOfAgent + 1 }, (_, n) => `${n}`);
  const served = names.map((modelId) => taught(memory.grant(b, { instance: 'i', modelId })));
  for (const model of served) memory.left(model);
  const again = names.map((modelId) => memory.grant(b, { instance: 'i', modelId }));
  assert.deepEqual(
    again.map((model, n) => model === served[n]),
    names.map((_, n) => n > 0),
  );
  // M4: nothing is left of the kind of the one that went.
  assert.equal(again[0]?.ttftMs(load), null);
  assert.equal(memory.grant(a, where), other);
});

test('S6: machines that come once are remembered for ever', () => {
  const memory = new ModelMemory();
  const [first, second] = [taught(memory.grant(a, where)), taught(memory.grant(b, where))];
  for (const model of [first, second]) memory.left(model);
  for (let n = 0; n < maxMachines - 1; n += 1) {
    memory.left(taught(memory.grant(agentEntry({ id: `${n}` }), where), { times: 1 }));
  }
  assert.equal(memory.grant(b, where), second);
  assert.notEqual(memory.grant(a, where), first);
});
