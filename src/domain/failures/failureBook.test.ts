/** Failures as the scheduler meets them: whom it spares, for whom, and who goes on. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import {
  agentEntry,
  endpointEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import type { AgentEntry } from '../directory.ts';
import type { Moving } from './failureBook.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type {
  Dispatch,
  SchedulerCommand,
  SchedulerEvent,
  UntimedEvent,
} from '../scheduler/schedulerEvents.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import { shortestPenaltyMs } from './limits.ts';

/** A scheduler with a hand on the time. */
function rig(tier: Parameters<typeof unlimitedTiers>[0] = {}) {
  const config = { tiers: unlimitedTiers(tier) };
  const scheduler = new Scheduler({ random: seededRandom(1), config });
  const state = { nowMs: 1000 };
  const send = (event: UntimedEvent): SchedulerCommand[] => {
    const commands = scheduler.handle({ ...event, atMs: state.nowMs } as SchedulerEvent);
    assert.deepEqual(scheduler.audit().claimable, [], 'W1');
    return commands;
  };
  const link = (
    entry: AgentEntry,
    how: { slots?: number; abilities?: string[]; holdsTokens?: number } = {},
  ) => {
    const { slots = 4, abilities = ['chat'], holdsTokens } = how;
    const { id: agentId } = entry;
    send({ type: 'agent', entry });
    send({ type: 'join', agentId, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities, holdsTokens }];
    return dispatched(send({ type: 'grant', agentId, nonce: 'n1', instances }));
  };
  const arrive = (id: string, over: Partial<RoutedRequest> = {}): Dispatch | undefined =>
    dispatched(send({ type: 'arrive', request: routedRequest({ id, ...over }) }))[0];
  const tick = (ms: number): Dispatch[] => {
    state.nowMs += ms;
    return dispatched(send({ type: 'tick' }));
  };
  /** It failed before its first byte. */
  const fails = ({ claim }: Dispatch): Dispatch[] =>
    dispatched(send({ type: 'failed', claim, slotFree: true, health: 'bad' }));
  const ends = ({ claim }: Dispatch, health: 'good' | 'bad' = 'good'): Dispatch[] =>
    dispatched(send({ type: 'end', claim, slotFree: true, health }));
  return { scheduler, send, link, arrive, tick, fails, ends };
}

const one = agentEntry({ id: 'one' });
const two = agentEntry({ id: 'two' });

const dispatched = (commands: readonly SchedulerCommand[]): Dispatch[] =>
  commands.filter((command) => command.type === 'dispatch');
const ids = (dispatches: readonly Dispatch[]): string[] =>
  dispatches.map(({ requestId, agentId }) => `${requestId} ${agentId}`);

function there<Thing>(thing: Thing | undefined): Thing {
  assert.ok(thing !== undefined);
  return thing;
}

test('an engine that fails everything at once is the idlest, and gets every request', () => {
  const { link, arrive, fails, tick } = rig();
  link(one);
  const first = there(arrive('r1'));
  link(two, { slots: 2 });
  assert.deepEqual(ids(fails(first)), ['r1 two']);
  assert.equal(arrive('r2')?.agentId, 'two');
  // The other one is full: to wait for it is better than to fail.
  assert.equal(arrive('r3'), undefined);
  assert.deepEqual(ids(tick(shortestPenaltyMs - 1)), []);
  assert.deepEqual(ids(tick(1)), ['r3 one']);
});

test('an agent that has failed is given all that waits before it has shown that it works', () => {
  const { link, arrive, fails, tick, ends } = rig();
  link(one);
  const first = there(arrive('r1'));
  link(two, { slots: 1 });
  fails(first);
  for (const id of ['r2', 'r3', 'r4']) assert.equal(arrive(id), undefined);
  const [proof] = tick(shortestPenaltyMs);
  assert.equal(proof?.agentId, 'one');
  assert.deepEqual(ids(ends(there(proof))), ['r3 one', 'r4 one']);
});

test('the next request of one that proves itself waits for another event', () => {
  const { link, arrive, fails, tick, send } = rig();
  link(one);
  const first = there(arrive('r1'));
  link(two, { slots: 1 });
  fails(first);
  for (const id of ['r2', 'r3']) arrive(id);
  const [proof] = tick(shortestPenaltyMs);
  const { claim } = there(proof);
  // The client has hung up: that says nothing of the agent, and its slot is free.
  assert.deepEqual(ids(dispatched(send({ type: 'end', claim, slotFree: true }))), ['r3 one']);
});

test('bad requests of one project put the agents of everybody into the box', () => {
  const { scheduler, link, arrive, fails, ends } = rig();
  for (const id of ['one', 'two', 'three']) link(agentEntry({ id }));
  const first = there(arrive('bad'));
  const [second] = fails(first);
  assert.equal(scheduler.penalties().agents, 1);
  const [third] = fails(there(second));
  assert.equal(scheduler.penalties().agents, 2);
  assert.deepEqual(fails(there(third)), []);
  assert.deepEqual(scheduler.penalties(), { agents: 0, total: 3 });
  // Where one of them can do it, the others were at fault.
  const [again] = fails(there(arrive('good')));
  const [last] = fails(there(again));
  ends(there(last));
  assert.equal(scheduler.penalties().agents, 2);
});

test('an answer that breaks wherever it goes on boxes those who wrote it', () => {
  const { scheduler, link, arrive, send, ends } = rig();
  for (const id of ['one', 'two']) link(agentEntry({ id }), { abilities: ['chat', 'continue'] });
  const { claim } = there(arrive('bad'));
  send({ type: 'first_byte', claim });
  const resume = { abilities: ['continue'], delivered: 0 };
  const broken = { type: 'failed', claim, slotFree: true, health: 'bad', resume } as const;
  const [next] = dispatched(send(broken));
  assert.equal(scheduler.penalties().agents, 1);
  send({ type: 'first_byte', claim: there(next).claim });
  ends(there(next), 'bad');
  assert.equal(scheduler.penalties().agents, 0);
});

const timedOut: { of: string; asks: Partial<RoutedRequest>; boxed: number }[] = [
  { of: 'a small prompt', asks: {}, boxed: 1 },
  { of: 'a prompt of two million tokens', asks: { bodyBytes: 8_000_000 }, boxed: 0 },
  { of: 'a short answer in one piece', asks: { stream: false, maxTokens: 100 }, boxed: 1 },
  { of: 'a long answer in one piece', asks: { stream: false, maxTokens: 4000 }, boxed: 0 },
];

for (const { of, asks, boxed } of timedOut) {
  test(`silence for 30 s says too much, or too little, of who has ${of} to compute`, () => {
    const { scheduler, link, arrive, send, tick } = rig();
    link(one);
    const { claim } = there(arrive('r1', asks));
    tick(30_000);
    send({ type: 'end', claim, slotFree: false, health: 'silent' });
    assert.equal(scheduler.penalties().agents, boxed);
  });
}

test('what an agent failed before is forgiven with what was none of its own', () => {
  const { scheduler, link, arrive, fails, ends, tick } = rig();
  link(one);
  ends(there(arrive('own')), 'bad');
  tick(shortestPenaltyMs);
  link(two);
  link(agentEntry({ id: 'three' }));
  const [second] = fails(there(arrive('bad', { endpoint: endpointEntry() })));
  const [third] = fails(there(second));
  if (third !== undefined) fails(third);
  assert.equal(scheduler.penalties().agents, 1, 'it still has to prove itself');
});

test('the only agent is spared, and nobody is served', () => {
  const { link, arrive, ends } = rig();
  link(one);
  ends(there(arrive('r1')), 'bad');
  assert.equal(arrive('r2')?.agentId, 'one');
});

test('those who wait for the last other one wait on when it has gone', () => {
  const { link, arrive, fails, send } = rig();
  link(one);
  const first = there(arrive('r1'));
  link(two, { slots: 1 });
  fails(first);
  assert.equal(arrive('r2'), undefined);
  const gone = dispatched(send({ type: 'leave', agentId: 'two', nonce: 'n1' }));
  assert.deepEqual(ids(gone), ['r2 one']);
});

test('a shared agent that opens later does not count as another one', () => {
  const { link, arrive, ends, tick } = rig();
  const afterMs = 500;
  const endpoint = endpointEntry({ fallback: { enabled: true, afterMs, tier: null } });
  link(agentEntry({ id: 'own', projectId: 'proj_a' }));
  link(two);
  ends(there(arrive('r1', { endpoint })), 'bad');
  assert.equal(arrive('r2', { endpoint }), undefined);
  assert.deepEqual(ids(tick(afterMs)), ['r2 two']);
});

test('an engine without the ability counts as another one', () => {
  const { link, arrive, ends } = rig();
  link(one, { abilities: ['chat', 'tools'] });
  ends(there(arrive('r1')), 'bad');
  link(two);
  assert.equal(arrive('r2', { abilities: ['chat', 'tools'] })?.agentId, 'one');
  assert.equal(arrive('r3', { abilities: ['chat'] })?.agentId, 'two');
});

test('a process that restarted pays for the one before it', () => {
  const { link, arrive, fails, send, ends } = rig();
  link(one);
  const late = there(arrive('r0'));
  const first = there(arrive('r1'));
  link(two, { slots: 1 });
  fails(first);
  send({ type: 'join', agentId: 'one', nonce: 'n2' });
  ends(late, 'bad');
  const instances = [{ instance: 'i1', modelId: 'model_a', slots: 4, abilities: ['chat'] }];
  send({ type: 'grant', agentId: 'one', nonce: 'n2', instances });
  assert.equal(arrive('r2')?.agentId, 'one');
});

test('an agent whose process dies with each request gets a third of all, for ever', () => {
  const { scheduler, link, arrive, send, ends, tick } = rig();
  for (const other of [two, agentEntry({ id: 'three' })]) link(other, { slots: 1000 });
  send({ type: 'agent', entry: one });
  const instances = [{ instance: 'i1', modelId: 'model_a', slots: 4, abilities: ['chat'] }];
  let life = 0;
  let asked = 0;
  const served = (): Dispatch => {
    for (;;) {
      const dispatch = there(arrive(`r${(asked += 1)}`));
      if (dispatch.agentId === 'one' || asked > 500) return dispatch;
      ends(dispatch);
    }
  };
  /** Gives for how long it is spared. */
  const crash = (how: 'busy' | 'idle' | 'only its link' = 'busy'): number => {
    const nonce = `n${life}`;
    if (how === 'busy') served();
    send({ type: 'leave', agentId: 'one', nonce });
    if (how !== 'only its link') life += 1;
    send({ type: 'join', agentId: 'one', nonce: `n${life}` });
    send({ type: 'grant', agentId: 'one', nonce: `n${life}`, instances });
    const { penalties, agents, pools } = scheduler.fleet;
    return penalties.of(agents.get('one'), pools.nowMs)?.leftMs ?? 0;
  };
  send({ type: 'join', agentId: 'one', nonce: 'n0' });
  send({ type: 'grant', agentId: 'one', nonce: 'n0', instances });
  assert.equal(crash('idle'), 0, 'it was stopped');
  assert.equal(crash(), 0, 'once is a restart');
  const first = crash();
  assert.equal(first, shortestPenaltyMs);
  tick(first);
  assert.equal(crash(), 2 * shortestPenaltyMs);
  tick(2 * shortestPenaltyMs);
  assert.equal(crash('only its link'), 0, 'the same process lives');
  ends(served());
  assert.equal(crash(), 0, 'it has shown that it works');
});

test('a broken stream goes on where it cannot be continued, or waits for who broke it', () => {
  const { link, arrive, send, tick } = rig();
  link(one, { abilities: ['chat', 'continue'] });
  const first = there(arrive('r1'));
  link(two);
  tick(60_000);
  const { claim } = first;
  const resume = { abilities: ['continue'], delivered: 0 };
  const base = { type: 'failed', claim, slotFree: true, health: 'bad' } as const;
  const [verdict] = send({ ...base, resume });
  assert.ok(verdict?.type === 'reject' && verdict.verdict.kind === 'upstream_error');
});

test('a broken stream that is to be continued keeps a deadline of long ago', () => {
  const { link, arrive, send, tick } = rig();
  link(one, { abilities: ['chat', 'continue'] });
  const { claim } = there(arrive('r1'));
  link(two, { abilities: ['chat', 'continue'], slots: 1 });
  const other = there(arrive('r2', { abilities: ['continue'] }));
  const busy = other.agentId === 'two' ? other : there(arrive('r3'));
  tick(60_000);
  const resume = { abilities: ['continue'], delivered: 0 };
  const commands = send({ type: 'failed', claim, slotFree: true, health: 'bad', resume });
  assert.deepEqual(dispatched(commands), []);
  assert.deepEqual(ids(tick(29_000)), []);
  const freed = dispatched(send({ type: 'end', claim: busy.claim, slotFree: true }));
  assert.deepEqual(ids(freed), ['r1 two']);
});

test('a request is moved away from a slow agent though nobody else could take it', () => {
  const { scheduler, link, arrive, ends } = rig();
  link(one);
  const { claim } = there(arrive('r1'));
  const late: Moving = { abilities: [], isNewBreak: false };
  const could = (moving = late): boolean => scheduler.couldMove(claim, moving);
  assert.equal(could(), false);
  link(two, { slots: 1 });
  assert.equal(could(), true);
  assert.equal(could({ ...late, abilities: ['continue'] }), false);
  const other = there(arrive('r2'));
  assert.equal(other.agentId, 'two');
  assert.equal(could(), false, 'it is busy');
  ends(other);
  assert.equal(could(), true);
});

test('what is taken from a slow agent is refused at once because it is old', () => {
  const { link, arrive, send, tick, ends } = rig();
  link(one);
  const { claim } = there(arrive('r1'));
  link(two, { slots: 1 });
  const other = there(arrive('r2'));
  const busy = other.agentId === 'two' ? other : there(arrive('r3'));
  assert.equal(busy.agentId, 'two');
  tick(40_000);
  assert.deepEqual(
    send({ type: 'failed', claim, slotFree: false, health: 'bad' }).length <= 1,
    true,
  );
  assert.deepEqual(ids(tick(20_000)), []);
  assert.deepEqual(ids(ends(busy)), ['r1 two']);
});

test('a shared agent that is bound to the endpoint does not count as its own', () => {
  const { scheduler, link, arrive } = rig();
  const bound = (id: string): AgentEntry =>
    agentEntry({ id, projectId: null, boundEndpointIds: [endpointEntry().id] });
  link(bound('b1'));
  const { claim } = there(arrive('r1'));
  link(bound('b2'));
  assert.equal(scheduler.couldMove(claim, { abilities: [], isNewBreak: false }), true);
});

test('a slow agent loses its request to one that is full, or is being spared', () => {
  const { scheduler, link, arrive, send } = rig();
  link(one);
  const { claim } = there(arrive('r1'));
  const late: Moving = { abilities: [], isNewBreak: false };
  link(two, { holdsTokens: 1000 });
  const full = there(arrive('r2', { bodyBytes: 40_000 }));
  assert.equal(full.agentId, 'two');
  assert.equal(scheduler.couldMove(claim, late), false, 'it has no room');
  send({ type: 'end', claim: full.claim, slotFree: true, health: 'bad' });
  assert.equal(scheduler.couldMove(claim, late), true, 'there is nobody else (F1)');
});

/** Enough requests for one that may have a second agent. */
function saveUp({ arrive, ends }: ReturnType<typeof rig>): void {
  for (let n = 0; n < 50; n += 1) ends(there(arrive(`saved${n}`)));
}

test('more than one request in fifty has two agents', () => {
  const all = rig();
  const { link, arrive, send, ends } = all;
  link(one, { slots: 8 });
  link(two, { slots: 8 });
  let hedged = 0;
  for (let n = 0; n < 200; n += 1) {
    const first = there(arrive(`r${n}`));
    const [second] = dispatched(send({ type: 'hedge', claim: first.claim }));
    if (second !== undefined) {
      hedged += 1;
      assert.deepEqual([second.hedge, second.requestId], [true, first.requestId]);
      assert.notEqual(second.agentId, first.agentId);
      assert.deepEqual(dispatched(send({ type: 'hedge', claim: first.claim })), []);
      send({ type: 'drop', claim: second.claim, slotFree: true });
    }
    ends(first);
  }
  assert.equal(hedged, 4);
  assert.equal(all.scheduler.audit().claims, 0);
});

test('a second agent takes the place of somebody who waits', () => {
  const all = rig();
  const { link, arrive, send, ends } = all;
  link(one, { slots: 1 });
  saveUp(all);
  const first = there(arrive('r1'));
  assert.equal(arrive('r2'), undefined);
  link(agentEntry({ id: 'other', projectId: 'proj_b' }));
  assert.deepEqual(dispatched(send({ type: 'hedge', claim: first.claim })), []);
  assert.deepEqual(ids(ends(first)), ['r2 one']);
});

test('no request has two agents while somebody waits for other agents, or for a limit', () => {
  const all = rig({ concurrentPerProject: 2 });
  const { link, arrive, send, ends } = all;
  link(one, { slots: 8 });
  saveUp(all);
  const first = there(arrive('r1'));
  link(two, { slots: 8 });
  const asks = (): string[] => ids(dispatched(send({ type: 'hedge', claim: first.claim })));
  /** For an agent of its project's own, for one of another tier, and for its project's limit. */
  const project = projectEntry({ id: 'proj_b' });
  const alone = { enabled: false, afterMs: 0, tier: null };
  const of = { projectId: 'proj_b', fallback: alone };
  const free = endpointEntry({ id: 'ep_free', projectId: 'proj_b', tier: 'gpu_nvidia_shared' });
  link(agentEntry({ id: 'mine', projectId: 'proj_b' }), { slots: 1 });
  const mine = endpointEntry({ id: 'ep_mine', ...of });
  there(arrive('b1', { project, endpoint: mine }));
  assert.equal(arrive('b2', { project, endpoint: mine }), undefined);
  link(agentEntry({ id: 'gpu', effectiveTiers: ['gpu_nvidia_shared'] }), { slots: 1 });
  there(arrive('b3', { project, endpoint: free }));
  assert.equal(arrive('b4', { project, endpoint: free }), undefined);
  const limited = { project: projectEntry({ id: 'proj_c' }) };
  const many = endpointEntry({ id: 'ep_c', projectId: 'proj_c' });
  link(agentEntry({ id: 'own', projectId: 'proj_c' }), { slots: 1 });
  for (const id of ['c0', 'c1', 'c2']) there(arrive(id, { ...limited, endpoint: many }));
  assert.equal(arrive('c3', { ...limited, endpoint: many }), undefined);
  assert.equal(all.scheduler.counts().waiting, 3);
  assert.deepEqual(asks(), ['r1 two']);
  ends(first);
});

test('a second agent takes the room that somebody who waits needs', () => {
  const all = rig();
  const { link, arrive, send } = all;
  link(one, { slots: 8 });
  saveUp(all);
  const first = there(arrive('r1'));
  link(two, { slots: 8, holdsTokens: 10_000 });
  const onTwo = there(arrive('r2', { bodyBytes: 4000 }));
  assert.equal(onTwo.agentId, 'two');
  send({ type: 'leave', agentId: 'one', nonce: 'n1' });
  assert.equal(arrive('r3', { bodyBytes: 60_000 }), undefined);
  assert.deepEqual(dispatched(send({ type: 'hedge', claim: first.claim })), []);
});

test('a request with two agents ends, or is tried again, when one of them fails', () => {
  const all = rig();
  const { link, arrive, send, ends, scheduler } = all;
  link(one, { slots: 2 });
  saveUp(all);
  link(two, { slots: 2 });
  const first = there(arrive('r1'));
  const [second] = dispatched(send({ type: 'hedge', claim: first.claim }));
  const { claim } = there(second);
  const base = { type: 'drop', slotFree: true, health: 'bad' } as const;
  assert.deepEqual(send({ ...base, claim: first.claim }), []);
  assert.deepEqual(scheduler.counts().running, 1);
  // The second drop of it, and one of the last that is left, do nothing.
  assert.deepEqual(send({ ...base, claim: first.claim }), []);
  assert.deepEqual(send({ ...base, claim }), []);
  ends({ ...first, claim });
  const { claims, inFlight, reserved } = scheduler.audit();
  assert.deepEqual({ claims, inFlight, reserved }, { claims: 0, inFlight: 0, reserved: 0 });
});
