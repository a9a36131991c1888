/** Who has waited for so long that less room is enough. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, modelEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import { Scheduler } from './scheduler.ts';
import { maxUrgent, patienceMs } from './limits.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import type { GrantedInstance } from './instancePools.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from './schedulerEvents.ts';

const small = { bodyBytes: 4000 };
const large = { bodyBytes: 24_000 };

/** Runs by the timer that the scheduler sets, and by nothing else. */
function rig(concurrentPerProject = 1000) {
  const scheduler = new Scheduler({
    random: seededRandom(1),
    config: { tiers: unlimitedTiers({ concurrentPerProject }) },
  });
  const state = { nowMs: 1000, timerAtMs: Infinity, timers: 0 };
  const send = (event: UntimedEvent): Dispatch[] => {
    const commands = scheduler.handle({ ...event, atMs: state.nowMs } as SchedulerEvent);
    for (const one of commands) if (one.type === 'set_timer') state.timerAtMs = one.atMs;
    return commands.filter((command) => command.type === 'dispatch');
  };
  const link = (id: string, over: Partial<GrantedInstance> = {}): void => {
    send({ type: 'agent', entry: agentEntry({ id }) });
    send({ type: 'join', agentId: id, nonce: 'n1' });
    const instance = { instance: 'i1', modelId: 'model_a', slots: 4, abilities: [] };
    const instances = [{ ...instance, holdsTokens: 12_000, ...over }];
    send({ type: 'grant', agentId: id, nonce: 'n1', instances });
  };
  const arrive = (id: string, over: Partial<RoutedRequest>): Dispatch | undefined =>
    send({ type: 'arrive', request: routedRequest({ id, ...over }) })[0];
  /** Decodes from now on. */
  const begins = (dispatch: Dispatch | undefined): Dispatch => {
    assert.ok(dispatch);
    send({ type: 'first_byte', claim: dispatch.claim });
    return dispatch;
  };
  const ends = ({ claim }: Dispatch): Dispatch[] =>
    send({ type: 'end', claim, slotFree: true, health: 'good' });
  /** What is dispatched until then. */
  const until = (ms: number): string[] => {
    const found: string[] = [];
    const endMs = state.nowMs + ms;
    while (state.timerAtMs <= endMs) {
      state.nowMs = state.timerAtMs;
      state.timerAtMs = Infinity;
      state.timers += 1;
      found.push(...send({ type: 'tick' }).map(({ requestId }) => requestId));
    }
    state.nowMs = endMs;
    return found;
  };
  const hangsUp = (requestId: string): Dispatch[] =>
    send({ type: 'hang_up', requestId, outcome: 'client_closed' });
  return { scheduler, state, send, link, arrive, begins, ends, hangsUp, until };
}

/**
 * Three small ones run on one agent, one of them after it waited, and a large one waits. `before`:
 * who comes in front of it.
 */
function largeWaits(all = rig(), before: () => void = () => {}) {
  const { link, arrive, begins, ends } = all;
  link('one');
  const running = Array.from({ length: 4 }, (_, n) => begins(arrive(`s${n}`, small)));
  assert.equal(arrive('waited', small), undefined);
  before();
  assert.equal(arrive('large', large), undefined);
  const [next] = ends(running[0] as Dispatch);
  begins(next);
  assert.deepEqual(ends(running[1] as Dispatch), [], 'it has no room for the large one');
  return all;
}

test('who becomes urgent by waiting is not looked at until something else happens', () => {
  const { until } = largeWaits();
  assert.deepEqual(until(patienceMs - 1), []);
  assert.deepEqual(until(1), ['large']);
});

test('each that waits is woken again and again', () => {
  const { scheduler, state, arrive, until } = largeWaits();
  for (let n = 0; n < 20; n += 1) arrive(`l${n}`, large);
  assert.deepEqual(until(29_000).length, 1);
  assert.equal(scheduler.counts().waiting, 20);
  assert.ok(state.timers <= 3, `${state.timers} timers`);
});

const idsOf = (dispatches: readonly Dispatch[]): string[] =>
  dispatches.map(({ requestId }) => requestId);

test('S3: who has waited for long stands behind others that leave, and waits on', () => {
  const all = rig();
  const { link, arrive, hangsUp, until } = all;
  const tools = { ...small, abilities: ['tools'] };
  link('full', { slots: 1, abilities: ['tools'] });
  arrive('running', tools);
  largeWaits(all, () => {
    for (let n = 0; n < maxUrgent; n += 1) assert.equal(arrive(`t${n}`, tools), undefined);
  });
  assert.deepEqual(until(patienceMs), []);
  // Only so many are looked at, and the first ones wait for the agent that is full.
  assert.deepEqual(idsOf(hangsUp('t0')), ['large']);
});

test('S3: who has waited for long is let go by a limit, and waits on for more room', () => {
  const all = rig(6);
  const { link, arrive, begins, ends, until } = all;
  const other = { ...small, model: modelEntry({ id: 'model_b' }) };
  link('other', { modelId: 'model_b' });
  const first = begins(arrive('b0', other));
  largeWaits(all);
  for (const id of ['b1', 'b2']) begins(arrive(id, other));
  assert.deepEqual(until(patienceMs), [], 'six of its project run');
  assert.deepEqual(idsOf(ends(first)), ['large']);
});

test('S3: who has waited for long waits on when its project has earned the turn', () => {
  const { link, arrive, begins, ends, until } = rig();
  const tools = { abilities: ['tools'] };
  link('one', tools);
  begins(arrive('l0', { ...large, ...tools }));
  for (const id of ['s0', 's1']) begins(arrive(id, { ...small, ...tools }));
  link('two', { slots: 1 });
  const last = begins(arrive('s2', small));
  assert.equal(last.agentId, 'two');
  assert.equal(arrive('large', { ...large, ...tools }), undefined);
  assert.equal(arrive('s3', small), undefined);
  assert.deepEqual(until(patienceMs), [], 'nothing was computed for its project in turn');
  assert.deepEqual(idsOf(ends(last)), ['s3', 'large']);
});
