/** Budgets, and what their hard stop does in the scheduler. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, endpointEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { budgetState, hasReached, monthOf, type BudgetStop } from './budget.ts';
import type { AgentEntry } from '../directory.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from '../scheduler/schedulerEvents.ts';
import { tierTable } from '../tiers/tiers.ts';

const stop: BudgetStop = { scope: 'project', amountMicros: 1_000_000, spentMicros: 1_000_100 };

function rig(ownConcurrent = 96) {
  const tiers = tierTable({ self_hosted: { concurrentPerProject: ownConcurrent } });
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers } });
  const dispatched: Dispatch[] = [];
  const send = (event: UntimedEvent): string[] => {
    const commands = scheduler.handle({ ...event, atMs: 1000 } as SchedulerEvent);
    const { reservations, reserved, claimable } = scheduler.audit();
    assert.deepEqual([claimable, reserved], [[], reservations], 'W1, L1');
    dispatched.push(...commands.filter((one): one is Dispatch => one.type === 'dispatch'));
    return commands.flatMap((one) => {
      if (one.type === 'dispatch') return [`${one.requestId} served`];
      return one.type === 'reject' ? [`${one.requestId} ${one.verdict.kind}`] : [];
    });
  };
  const agent = (over: Partial<AgentEntry>, slots: number): string[] => {
    const entry = agentEntry(over);
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities: [] }];
    send({ type: 'agent', entry });
    send({ type: 'join', agentId: entry.id, nonce: 'n' });
    return send({ type: 'grant', agentId: entry.id, nonce: 'n', instances });
  };
  let arrived = 0;
  const arrive = (over: Partial<RoutedRequest> = {}): string[] => {
    arrived += 1;
    const request = routedRequest({ id: `r${arrived}`, maxTokens: 10, ...over });
    return send({ type: 'arrive', request });
  };
  const end = (at: number): string[] =>
    send({ type: 'end', claim: dispatched[at]?.claim ?? 0, slotFree: true });
  /** Its client has a part of the answer. */
  const breaks = (at: number): string[] => {
    const claim = dispatched[at]?.claim ?? 0;
    const resume = { abilities: [], delivered: 0 };
    return send({ type: 'failed', claim, slotFree: true, health: 'bad', resume });
  };
  return { send, agent, arrive, end, breaks };
}

const shared = { id: 'shared', projectId: null };
const own = { id: 'own', projectId: 'proj_a' };

test('a budget that is used up goes on costing, or refuses for good', () => {
  const { send, agent, arrive } = rig();
  agent(shared, 10);
  assert.deepEqual(arrive(), ['r1 served']);
  send({ type: 'budget', id: 'proj_a', stop });
  assert.deepEqual(arrive(), ['r2 insufficient_quota']);
  send({ type: 'budget', id: 'proj_a', stop: null });
  assert.deepEqual(arrive(), ['r3 served']);
});

test('a key whose budget is used up stops the others, or goes on', () => {
  const { send, agent, arrive } = rig();
  agent(shared, 10);
  send({ type: 'budget', id: 'key_x', stop: { ...stop, scope: 'api_key' } });
  assert.deepEqual(arrive({ key: { id: 'key_x', quota: null } }), ['r1 insufficient_quota']);
  assert.deepEqual(arrive({ key: { id: 'key_y', quota: null } }), ['r2 served']);
});

test('what costs nothing is stopped too', () => {
  const { send, agent, arrive, end } = rig();
  agent({ ...shared, effectiveTiers: ['free', 'cpu_amd_optimized'] }, 10);
  send({ type: 'budget', id: 'proj_a', stop });
  const free = endpointEntry({ tier: 'free' });
  assert.deepEqual(arrive({ endpoint: free }), ['r1 served'], 'the free tier');
  agent(own, 1);
  assert.deepEqual(arrive(), ['r2 served'], 'an own agent');
  assert.deepEqual(arrive(), [], 'waits for the own agent');
  assert.deepEqual(end(1), ['r3 served']);
});

test('what waits when a budget is used up waits until it is too late', () => {
  const { send, agent, arrive, end } = rig();
  agent(shared, 1);
  assert.deepEqual(arrive(), ['r1 served']);
  assert.deepEqual(arrive(), []);
  assert.deepEqual(send({ type: 'budget', id: 'proj_a', stop }), ['r2 insufficient_quota']);
  assert.deepEqual(end(0), []);
});

test('a stop breaks off an answer that waits to be continued', () => {
  const { send, agent, arrive, breaks, end } = rig();
  agent(shared, 1);
  assert.deepEqual(arrive(), ['r1 served']);
  agent({ ...shared, id: 'other' }, 1);
  assert.deepEqual(arrive(), ['r2 served']);
  assert.deepEqual(breaks(0), [], 'the other one is busy');
  assert.deepEqual(send({ type: 'budget', id: 'proj_a', stop }), []);
  assert.deepEqual(arrive(), ['r3 insufficient_quota']);
  assert.deepEqual(end(1), ['r1 served']);
});

test('what a stop holds back is not tried again at its end', () => {
  const { send, agent, arrive } = rig();
  agent(own, 1);
  agent(shared, 1);
  assert.deepEqual(arrive(), ['r1 served']);
  send({ type: 'budget', id: 'proj_a', stop });
  assert.deepEqual(arrive(), []);
  assert.deepEqual(send({ type: 'budget', id: 'proj_a', stop: null }), ['r2 served']);
});

test('R1: what two limits hold back goes to two agents when both let it go', () => {
  const { send, agent, arrive } = rig(1);
  agent(own, 2);
  agent(shared, 2);
  send({ type: 'budget', id: 'proj_a', stop });
  assert.deepEqual(arrive(), ['r1 served']);
  assert.deepEqual(arrive(), []);
  assert.deepEqual(send({ type: 'budget', id: 'proj_a', stop: null }), ['r2 served']);
});

test('a mark is passed too early or too late', () => {
  const of = (spentMicros: number, hardStop = false) =>
    budgetState({ amountMicros: 1_000, spentMicros, hardStop });
  assert.deepEqual(
    [of(799), of(800), of(999), of(1_000), of(1_000, true), of(800, true)],
    ['ok', 'warning', 'warning', 'used_up', 'stopped', 'warning'],
  );
  assert.equal(budgetState({ amountMicros: 0, spentMicros: 0, hardStop: true }), 'stopped');
  assert.equal(hasReached(80, { amountMicros: 1_000, spentMicros: 799 }), false);
});

test('a month has the wrong length', () => {
  const december = monthOf(Date.UTC(2026, 11, 31, 23, 59));
  assert.equal(december.fromMs, Date.UTC(2026, 11, 1));
  assert.equal(december.toMs, Date.UTC(2027, 0, 1));
  assert.equal(monthOf(december.toMs).fromMs, december.toMs);
});
