/** Failures as the scheduler meets them: whom it spares, for whom, and who goes on. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, endpointEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import type { AgentEntry } from '../directory.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type {
  Dispatch,
  SchedulerCommand,
  SchedulerEvent,
  UntimedEvent,
} from '../scheduler/schedulerEvents.ts';
import { tierTable } from '../tiers/tiers.ts';
import { shortestPenaltyMs } from './limits.ts';

/** A scheduler with a hand on the time. */
function rig() {
  const config = { tiers: tierTable() };
  const scheduler = new Scheduler({ random: seededRandom(1), config });
  const state = { nowMs: 1000 };
  const send = (event: UntimedEvent): SchedulerCommand[] => {
    const commands = scheduler.handle({ ...event, atMs: state.nowMs } as SchedulerEvent);
    assert.deepEqual(scheduler.audit().claimable, [], 'W1');
    return commands;
  };
  const link = (entry: AgentEntry, how: { slots?: number; abilities?: string[] } = {}) => {
    const { slots = 4, abilities = ['chat'] } = how;
    const { id: agentId } = entry;
    send({ type: 'agent', entry });
    send({ type: 'join', agentId, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities }];
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

test('a broken stream goes on where it cannot be continued, or waits for who broke it', () => {
  const { link, arrive, send, tick } = rig();
  link(one, { abilities: ['chat', 'continue'] });
  const first = there(arrive('r1'));
  link(two);
  tick(60_000);
  const { claim } = first;
  const resume = { abilities: ['continue'] };
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
  const resume = { abilities: ['continue'] };
  const commands = send({ type: 'failed', claim, slotFree: true, health: 'bad', resume });
  assert.deepEqual(dispatched(commands), []);
  assert.deepEqual(ids(tick(29_000)), []);
  const freed = dispatched(send({ type: 'end', claim: busy.claim, slotFree: true }));
  assert.deepEqual(ids(freed), ['r1 two']);
});

test('a request is moved away from a slow agent though nobody else could take it', () => {
  const { scheduler, link, arrive } = rig();
  link(one);
  const { claim } = there(arrive('r1'));
  assert.equal(scheduler.couldMove(claim), false);
  link(two);
  assert.equal(scheduler.couldMove(claim), true);
  assert.equal(scheduler.couldMove(claim, ['continue']), false);
});
