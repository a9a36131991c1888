/** F1: who counts as somebody else, so that an agent that has failed is passed over. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, endpointEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from '../scheduler/schedulerEvents.ts';
import type { TierOverride } from '../tiers/tiers.ts';

const own = agentEntry({ id: 'own', projectId: 'proj_a' });
const others = endpointEntry({ id: 'ep_b', projectId: 'proj_b' });
const stop = { scope: 'project', amountMicros: 1, spentMicros: 1 } as const;
const tools = ['chat', 'tools'];

/** A project's own agent that has just failed a request. */
function rig(limits: TierOverride = {}) {
  const config = { tiers: unlimitedTiers(limits) };
  const scheduler = new Scheduler({ random: seededRandom(1), config });
  let nowMs = 1000;
  const send = (event: UntimedEvent): string[] => {
    const commands = scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent);
    assert.deepEqual(scheduler.audit().claimable, [], 'W1');
    const dispatches = commands.filter((one): one is Dispatch => one.type === 'dispatch');
    for (const one of dispatches) claims.set(one.requestId, one.claim);
    return dispatches.map(({ requestId, agentId }) => `${requestId} ${agentId}`);
  };
  const claims = new Map<string, number>();
  const link = (entry: typeof own, slots = 4, abilities = ['chat']): string[] => {
    const { id: agentId } = entry;
    send({ type: 'agent', entry });
    send({ type: 'join', agentId, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities }];
    return send({ type: 'grant', agentId, nonce: 'n1', instances });
  };
  const arrive = (id: string, over: Partial<RoutedRequest> = {}): string[] =>
    send({ type: 'arrive', request: routedRequest({ id, ...over }) });
  const taken = (id: string): number => {
    const claim = claims.get(id) ?? 0;
    claims.delete(id);
    return claim;
  };
  const ends = (id: string, health: 'good' | 'bad' = 'good'): string[] =>
    send({ type: 'end', claim: taken(id), slotFree: true, health });
  const fails = (id: string): string[] =>
    send({ type: 'failed', claim: taken(id), slotFree: true, health: 'bad' });
  const pass = (ms: number): string[] => {
    nowMs += ms;
    return send({ type: 'tick' });
  };
  link(own, 4, tools);
  arrive('r0');
  ends('r0', 'bad');
  const running = (): string[] => [...claims.keys()];
  return { send, link, arrive, ends, fails, pass, running };
}

const project = { ...routedRequest({ id: '' }).project, id: 'proj_b' };
const ofOthers = { endpoint: others, project };

test('the last candidate is passed over for one that a budget rules out', () => {
  const { send, link, arrive } = rig();
  link(agentEntry({ id: 'two' }));
  assert.deepEqual(arrive('r1'), ['r1 two']);
  send({ type: 'budget', id: 'proj_a', stop });
  assert.deepEqual(arrive('r2'), ['r2 own']);
});

test('the last candidate is passed over when a budget ends for one that waits', () => {
  const { send, link, arrive } = rig();
  link(agentEntry({ id: 'two' }), 1);
  arrive('b1', ofOthers);
  assert.deepEqual(arrive('r1'), [], 'it waits for the other one, which is busy');
  assert.deepEqual(send({ type: 'budget', id: 'proj_a', stop }), ['r1 own']);
});

for (const [limit, figures] of [
  ['concurrency', { concurrentPerProject: 1 }],
  ['requests', { requestsPerMinute: 1 }],
  ['tokens', { tokensPerMinute: 500 }],
] as const) {
  test(`the last candidate is passed over for one that a limit of ${limit} rules out`, () => {
    const { link, arrive, pass } = rig(figures);
    link(agentEntry({ id: 'two' }));
    let served = '';
    for (let n = 1; n <= 9 && served !== `r${n - 1} own`; n += 1) [served = ''] = arrive(`r${n}`);
    assert.match(served, / own$/);
    // As soon as the limit lets it, the other one is preferred again.
    if (limit === 'concurrency') return;
    pass(120_000);
    assert.deepEqual(arrive('late'), ['late two']);
  });
}

test('the last candidate is passed over when another one uses up what the limit leaves', () => {
  const { link, arrive } = rig({ concurrentPerProject: 1 });
  link(agentEntry({ id: 'two' }), 1, tools);
  arrive('b1', ofOthers);
  const waits = arrive('r1', { abilities: tools });
  assert.deepEqual(waits, [], 'for the other one, which is busy');
  const abilities = ['chat', 'image'];
  link(agentEntry({ id: 'three' }), 1, abilities);
  assert.deepEqual(arrive('r2', { abilities }), ['r2 three', 'r1 own']);
});

test('the last candidate is passed over for shared agents that never open to the request', () => {
  const { link, arrive } = rig();
  link(agentEntry({ id: 'two' }));
  const fallback = { enabled: true, afterMs: 800, tier: null };
  const never = endpointEntry({ fallback, queueTimeoutMs: 800 });
  assert.deepEqual(arrive('r1', { endpoint: never }), ['r1 own']);
  assert.deepEqual(arrive('r2', { endpoint: endpointEntry({ fallback }) }), []);
});

test('a shared agent that is bound to the endpoint is taken for one that fallback opens', () => {
  const { send, link, arrive } = rig();
  link(agentEntry({ id: 'two', boundEndpointIds: [endpointEntry().id] }));
  const fallback = { enabled: false, afterMs: 0, tier: null };
  const endpoint = endpointEntry({ fallback });
  assert.deepEqual(arrive('r1', { endpoint }), ['r1 two']);
  send({ type: 'budget', id: 'proj_a', stop });
  assert.deepEqual(arrive('r2', { endpoint }), ['r2 own']);
});

const endpoints = [
  endpointEntry(),
  endpointEntry({ id: 'ep_late', fallback: { enabled: true, afterMs: 700, tier: null } }),
  endpointEntry({ id: 'ep_never', fallback: { enabled: true, afterMs: 900, tier: null } }),
].map((endpoint) => ({ ...endpoint, queueTimeoutMs: 900 }));
const kinds = [
  'ends',
  'fails',
  'arrives',
  'others',
  'passes',
  'stops',
  'goes on',
  'leaves',
  'links',
];
const steps = fc.array(fc.tuple(fc.constantFrom(...kinds), fc.nat(50)), {
  maxLength: 80,
  size: 'max',
});

test('F2: somebody waits though a limit, a budget or time took the last other one away', () => {
  const agents = [
    own,
    ...['two', 'three'].map((id) => agentEntry({ id })),
    agentEntry({ id: 'bound', boundEndpointIds: ['ep_late'] }),
  ];
  const limits = { concurrentPerProject: 2, tokensPerMinute: 2000 };
  fc.assert(
    fc.property(steps, (all) => {
      // Each event is audited: nobody waits who could be claimed (W1).
      const { send, link, arrive, ends, fails, pass, running } = rig(limits);
      for (const [at, [kind, pick]] of all.entries()) {
        const agent = agents[pick % agents.length] ?? own;
        const open = running();
        const id = open[pick % open.length] ?? '';
        const bodyBytes = 40 * pick;
        const endpoint = endpoints[pick % endpoints.length] ?? endpointEntry();
        if (kind === 'ends') ends(id, pick % 3 === 0 ? 'bad' : 'good');
        else if (kind === 'fails') fails(id);
        else if (kind === 'arrives') arrive(`r${at}`, { endpoint, bodyBytes });
        else if (kind === 'others') arrive(`b${at}`, ofOthers);
        else if (kind === 'passes') pass(40 * pick);
        else if (kind === 'stops') send({ type: 'budget', id: 'proj_a', stop });
        else if (kind === 'goes on') send({ type: 'budget', id: 'proj_a', stop: null });
        else if (kind === 'leaves') send({ type: 'leave', agentId: agent.id, nonce: 'n1' });
        else link(agent, 1 + (pick % 2));
      }
    }),
    { numRuns: 200 },
  );
});

test('a shared agent that has just failed is taken though an own one is free', () => {
  const { link, arrive, ends } = rig();
  link(agentEntry({ id: 'two' }), 1);
  arrive('b1', ofOthers);
  assert.deepEqual(arrive('r1'), [], 'for the other one, which is busy');
  // Both have failed by now: neither is passed over for the other one.
  assert.deepEqual(ends('b1', 'bad'), ['r1 own']);
});

test('who has waited for an agent that failed is overtaken by one to whom it opens', () => {
  const { send, link, arrive, ends, pass } = rig();
  pass(2000);
  arrive('proof');
  ends('proof');
  link(agentEntry({ id: 'two' }), 2);
  for (const id of ['f1', 'f2', 'f3', 'f4']) arrive(id);
  arrive('b1', ofOthers);
  ends('b1', 'bad');
  const endpoint = endpointEntry({ fallback: { enabled: true, afterMs: 700, tier: null } });
  arrive('r1', { endpoint });
  assert.deepEqual(pass(700), [], 'shared agents are open to it; its own one is the better one');
  arrive('r2', { endpoint });
  const entry = { ...own, state: 'suspended' } as const;
  assert.deepEqual(send({ type: 'agent', entry }), ['r1 two', 'r2 two']);
});
