/** F1: who counts as somebody else, so that an agent that has failed is passed over. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  agentEntry,
  endpointEntry,
  modelEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import { SchedulerRig } from '../../testing/router/schedulerRig.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import type { TierOverride } from '../tiers/tiers.ts';

const own = agentEntry({ id: 'own', projectId: 'proj_a' });
const others = endpointEntry({ id: 'ep_b', projectId: 'proj_b' });
const stop = { scope: 'project', amountMicros: 1, spentMicros: 1 } as const;
const tools = ['chat', 'tools'];

/** A project's own agent that has just failed a request. */
function rig(limits: TierOverride = {}, { auditsEach = true } = {}): SchedulerRig {
  const fleet = new SchedulerRig({ tiers: unlimitedTiers(limits), auditsEach });
  fleet.link(own, 4, tools);
  fleet.arrive('r0');
  fleet.ends('r0', 'bad');
  return fleet;
}

const project = { ...routedRequest({ id: '' }).project, id: 'proj_b' };
const ofOthers = { endpoint: others, project };

test('the last candidate is passed over for one that a budget rules out', () => {
  const fleet = rig();
  fleet.link(agentEntry({ id: 'two' }));
  assert.deepEqual(fleet.arrive('r1'), ['r1 two']);
  fleet.send({ type: 'budget', id: 'proj_a', stop });
  assert.deepEqual(fleet.arrive('r2'), ['r2 own']);
});

test('the last candidate is passed over when a budget ends for one that waits', () => {
  const fleet = rig();
  fleet.link(agentEntry({ id: 'two' }), 1);
  fleet.arrive('b1', ofOthers);
  assert.deepEqual(fleet.arrive('r1'), [], 'it waits for the other one, which is busy');
  assert.deepEqual(fleet.send({ type: 'budget', id: 'proj_a', stop }), ['r1 own']);
});

for (const [limit, figures] of [
  ['concurrency', { concurrentPerProject: 1 }],
  ['requests', { requestsPerMinute: 1 }],
  ['tokens', { tokensPerMinute: 500 }],
] as const) {
  test(`the last candidate is passed over for one that a limit of ${limit} rules out`, () => {
    const fleet = rig(figures);
    fleet.link(agentEntry({ id: 'two' }));
    let served = '';
    for (let n = 1; n <= 9 && served !== `r${n - 1} own`; n += 1)
      [served = ''] = fleet.arrive(`r${n}`);
    assert.match(served, / own$/);
    // As soon as the limit lets it, the other one is preferred again.
    if (limit === 'concurrency') return;
    fleet.pass(120_000);
    assert.deepEqual(fleet.arrive('late'), ['late two']);
  });
}

test('the last candidate is passed over when another one uses up what the limit leaves', () => {
  const fleet = rig({ concurrentPerProject: 1 });
  fleet.link(agentEntry({ id: 'two' }), 1, tools);
  fleet.arrive('b1', ofOthers);
  const waits = fleet.arrive('r1', { abilities: tools });
  assert.deepEqual(waits, [], 'for the other one, which is busy');
  const abilities = ['chat', 'image'];
  fleet.link(agentEntry({ id: 'three' }), 1, abilities);
  assert.deepEqual(fleet.arrive('r2', { abilities }), ['r2 three', 'r1 own']);
});

test('the last candidate is passed over for shared agents that never open to the request', () => {
  const fleet = rig();
  fleet.link(agentEntry({ id: 'two' }));
  const fallback = { enabled: true, afterMs: 800, tier: null };
  const never = endpointEntry({ fallback, queueTimeoutMs: 800 });
  assert.deepEqual(fleet.arrive('r1', { endpoint: never }), ['r1 own']);
  assert.deepEqual(fleet.arrive('r2', { endpoint: endpointEntry({ fallback }) }), []);
});

test('a shared agent that is bound to the endpoint is taken for one that fallback opens', () => {
  const fleet = rig();
  fleet.link(agentEntry({ id: 'two', boundEndpointIds: [endpointEntry().id] }));
  const fallback = { enabled: false, afterMs: 0, tier: null };
  const endpoint = endpointEntry({ fallback });
  assert.deepEqual(fleet.arrive('r1', { endpoint }), ['r1 two']);
  fleet.send({ type: 'budget', id: 'proj_a', stop });
  assert.deepEqual(fleet.arrive('r2', { endpoint }), ['r2 own']);
});

const endpoints = [
  endpointEntry(),
  endpointEntry({ id: 'ep_late', fallback: { enabled: true, afterMs: 700, tier: null } }),
  endpointEntry({ id: 'ep_never', fallback: { enabled: true, afterMs: 900, tier: null } }),
].map((endpoint) => ({ ...endpoint, queueTimeoutMs: 900 }));
const healths = ['good', 'bad', 'nothing'] as const;
const agents = [
  own,
  ...['two', 'three'].map((id) => agentEntry({ id })),
  agentEntry({ id: 'bound', boundEndpointIds: ['ep_late'] }),
];

interface Step {
  /** Of all. */
  at: number;
  /** By which all is picked. */
  pick: number;
  /** A request that runs. */
  id: string;
}

const one = <Item>(of: readonly Item[], pick: number): Item => of[pick % of.length] as Item;
const healthOf = ({ pick }: Step) => one(healths, pick);
const abilitiesOf = ({ pick }: Step) => one([[], ['tools']], pick);
const sized = (step: Step): Partial<RoutedRequest> => ({
  endpoint: one(endpoints, step.pick),
  bodyBytes: 40 * step.pick,
  abilities: abilitiesOf(step),
});

const events: Record<string, (fleet: SchedulerRig, step: Step) => unknown> = {
  ends: (fleet, step) => fleet.ends(step.id, healthOf(step)),
  'ends slowly': (fleet, step) => fleet.endsHoldingSlot(step.id, healthOf(step)),
  'is free': (fleet, { id }) => fleet.frees(id),
  fails: (fleet, { id }) => fleet.fails(id),
  'is turned away': (fleet, { id }) => fleet.fails(id, 'blameless'),
  arrives: (fleet, step) => fleet.arrive(`r${step.at}`, sized(step)),
  others: (fleet, step) =>
    fleet.arrive(`b${step.at}`, { ...ofOthers, abilities: abilitiesOf(step) }),
  passes: (fleet, { pick }) => fleet.pass(40 * pick),
  stops: (fleet) => fleet.send({ type: 'budget', id: 'proj_a', stop }),
  'goes on': (fleet) => fleet.send({ type: 'budget', id: 'proj_a', stop: null }),
  leaves: (fleet, { pick }) =>
    fleet.send({ type: 'leave', agentId: one(agents, pick).id, nonce: 'n1' }),
  links: (fleet, { pick }) =>
    fleet.link(one(agents, pick), 1 + (pick % 2), pick % 3 === 0 ? ['chat'] : tools),
  settings: (fleet, { pick }) => {
    const endpoint = { ...one(endpoints, pick), exclusive: pick % 2 === 0 };
    const settings = { endpoint, project: projectEntry(), model: modelEntry() };
    return fleet.sendAfter(40 * pick, { type: 'endpoint', ...settings });
  },
};
const steps = fc.array(fc.tuple(fc.constantFrom(...Object.values(events)), fc.nat(50)), {
  maxLength: 80,
  size: 'max',
});

// Where each event is audited it is known which one went wrong; but to ask is to look anew.
for (const auditsEach of [true, false]) {
  const when = auditsEach ? 'ever' : 'at the end';
  test(`F2: somebody waits ${when} though a limit, a budget or time took who was better`, () => {
    fc.assert(
      fc.property(steps, (all) => {
        const fleet = rig({ concurrentPerProject: 2, tokensPerMinute: 2000 }, { auditsEach });
        for (const [at, [event, pick]] of all.entries()) {
          const { running } = fleet;
          event(fleet, { at, pick, id: running[pick % running.length] ?? '' });
        }
        fleet.audit();
      }),
      { numRuns: 200 },
    );
  });
}

test('a shared agent that has just failed is taken though an own one is free', () => {
  const fleet = rig();
  fleet.link(agentEntry({ id: 'two' }), 1);
  fleet.arrive('b1', ofOthers);
  assert.deepEqual(fleet.arrive('r1'), [], 'for the other one, which is busy');
  // Both have failed by now: neither is passed over for the other one.
  assert.deepEqual(fleet.ends('b1', 'bad'), ['r1 own']);
});

test('who has waited for an agent that failed is overtaken by one to whom it opens', () => {
  const fleet = rig();
  fleet.pass(2000);
  fleet.arrive('proof');
  fleet.ends('proof');
  fleet.link(agentEntry({ id: 'two' }), 2);
  for (const id of ['f1', 'f2', 'f3', 'f4']) fleet.arrive(id);
  fleet.arrive('b1', ofOthers);
  fleet.ends('b1', 'bad');
  const endpoint = endpointEntry({ fallback: { enabled: true, afterMs: 700, tier: null } });
  fleet.arrive('r1', { endpoint });
  assert.deepEqual(
    fleet.pass(700),
    [],
    'shared agents are open to it; its own one is the better one',
  );
  fleet.arrive('r2', { endpoint });
  const entry = { ...own, state: 'suspended' } as const;
  assert.deepEqual(fleet.send({ type: 'agent', entry }), ['r1 two', 'r2 two']);
});
