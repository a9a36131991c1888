/** F2: who was found to be better is not remembered for longer than it is so. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  agentEntry,
  endpointEntry,
  modelEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import { SchedulerRig } from '../../testing/router/schedulerRig.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';

const own = agentEntry({ id: 'own', projectId: 'proj_a' });
const [two, three] = [agentEntry({ id: 'two' }), agentEntry({ id: 'three' })];
const noFallback = { enabled: false, afterMs: 0, tier: null };
const ownOnly = endpointEntry({ id: 'ep_own', fallback: noFallback });
const ofOthers = {
  endpoint: endpointEntry({ id: 'ep_b', projectId: 'proj_b' }),
  project: { ...routedRequest({ id: '' }).project, id: 'proj_b' },
};
const [tools, image] = [['tools'], ['image']];
const stop = { scope: 'project', amountMicros: 1, spentMicros: 1 } as const;

/** Shared agents may be held to a concurrency, own ones are not. To audit would be to look anew. */
function rig({ concurrent = 50 } = {}): SchedulerRig {
  const tiers = {
    ...unlimitedTiers({ concurrentPerProject: concurrent }),
    self_hosted: unlimitedTiers({ concurrentPerProject: 50 }).self_hosted,
  };
  return new SchedulerRig({ tiers, auditsEach: false });
}

for (const [what, concurrent] of [
  ['limit', 1],
  ['budget', 50],
] as const) {
  test(`the only agent that a ${what} has left is passed over for one of before`, () => {
    const fleet = rig({ concurrent });
    fleet.link(own, 4, tools);
    for (const id of ['f1', 'f2', 'f3', 'f4']) fleet.arrive(id);
    fleet.link(two, 1, tools);
    fleet.link(three, 1, image);
    fleet.arrive('b1', { ...ofOthers, abilities: tools });
    fleet.ends('f1', 'bad');
    assert.deepEqual(fleet.arrive('w', { abilities: tools }), [], 'for `two`, which is busy');
    fleet.arrive('x', { endpoint: ownOnly });
    fleet.endsHoldingSlot('f2', 'good');
    // Everybody is clear again when `two` comes out of reach.
    if (what === 'limit') assert.deepEqual(fleet.arrive('v', { abilities: image }), ['v three']);
    else fleet.send({ type: 'budget', id: 'proj_a', stop });
    fleet.endsHoldingSlot('f3', 'bad');
    assert.deepEqual(fleet.frees('f2'), ['w own']);
  });
}

test('who was turned away passes over the only agent that a budget has left', () => {
  const fleet = rig();
  fleet.link(own, 2);
  fleet.arrive('o1');
  fleet.arrive('o2');
  fleet.link(two, 1);
  fleet.arrive('b1', ofOthers);
  fleet.ends('o1', 'bad');
  assert.deepEqual(fleet.arrive('w'), [], 'for `two`, which is busy');
  assert.deepEqual(fleet.ends('b1'), ['w two']);
  fleet.arrive('x', { endpoint: ownOnly });
  fleet.send({ type: 'budget', id: 'proj_a', stop });
  fleet.fails('w', 'blameless');
  assert.deepEqual(fleet.ends('x', 'nothing'), ['w own']);
});

test('new settings of an endpoint are judged by who was found under the old ones', () => {
  const endpoint = endpointEntry({ fallback: noFallback });
  const fleet = rig();
  fleet.link({ ...own, boundEndpointIds: [endpoint.id] }, 3);
  for (const id of ['o1', 'o2', 'o3']) fleet.arrive(id);
  fleet.link(agentEntry({ id: 'own2', projectId: 'proj_a' }), 1);
  fleet.arrive('o4', { endpoint: ownOnly });
  fleet.ends('o1', 'bad');
  assert.deepEqual(fleet.arrive('w', { endpoint }), [], 'for `own2`, which is busy');
  const settings = { endpoint: { ...endpoint, exclusive: true }, project: projectEntry() };
  // `own` leaves the box in the moment in which `own2` is out.
  const becomes = { type: 'endpoint', ...settings, model: modelEntry() } as const;
  assert.deepEqual(fleet.sendAfter(1000, becomes), ['w own']);
});

test('a retry that uses up a limit lets who came later overtake', () => {
  const fleet = rig({ concurrent: 1 });
  fleet.link(own, 2, ['tools', 'image']);
  fleet.arrive('f1');
  fleet.arrive('w1', { abilities: image });
  fleet.link(two, 1, tools);
  fleet.link(three, 1, image);
  fleet.arrive('b1', { ...ofOthers, abilities: tools });
  fleet.ends('f1', 'bad');
  assert.deepEqual(fleet.arrive('v', { abilities: tools }), [], 'for `two`, which is busy');
  fleet.arrive('x', { endpoint: ownOnly });
  assert.deepEqual(fleet.arrive('u', { endpoint: ownOnly }), []);
  assert.deepEqual(fleet.fails('w1'), ['w1 three', 'v own']);
});

test('who may go to own agents alone is overtaken there by one with a shared one at hand', () => {
  const fleet = rig();
  fleet.link(two, 2);
  fleet.link(own, 2);
  // Long prompts: for a while both have enough to do.
  fleet.arrive('b1', { ...ofOthers, bodyBytes: 40_000 });
  fleet.arrive('o1', { bodyBytes: 40_400 });
  assert.deepEqual(fleet.arrive('v', { endpoint: ownOnly }), []);
  assert.deepEqual(fleet.arrive('w'), []);
  assert.deepEqual(fleet.pass(200), ['v own', 'w two']);
});

test('who passes over an agent waits on when an endpoint changes and the other one fails', () => {
  const fleet = rig();
  fleet.link(agentEntry({ id: 'one' }), 1);
  fleet.link(two, 1);
  const first = fleet.arrive('a')[0] === 'a two' ? ['a', 'b'] : ['b', 'a'];
  fleet.arrive('b');
  const [onTwo = '', onOne = ''] = first;
  fleet.ends(onTwo, 'bad');
  assert.deepEqual(fleet.arrive('c'), [], 'for `one`, which is busy');
  const { endpoint, project } = ofOthers;
  fleet.send({ type: 'endpoint', endpoint, project, model: modelEntry() });
  assert.equal(fleet.ends(onOne, 'bad').length, 1);
});
