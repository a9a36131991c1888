import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from '../scheduler/schedulerEvents.ts';
import { tierTable } from '../tiers/tiers.ts';
import type { Decision } from './decision.ts';

/** Gives what was dispatched. */
function rig() {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers: tierTable() } });
  const send = (event: UntimedEvent): Dispatch[] =>
    scheduler
      .handle({ ...event, atMs: 1000 } as SchedulerEvent)
      .filter((command) => command.type === 'dispatch');
  const agent = (
    id: string,
    options: { slots?: number; abilities?: string[]; projectId?: string | null } = {},
  ): void => {
    const { slots = 1, abilities = ['chat'], projectId = null } = options;
    send({ type: 'agent', entry: agentEntry({ id, projectId }) });
    send({ type: 'join', agentId: id, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities }];
    send({ type: 'grant', agentId: id, nonce: 'n1', instances });
  };
  const arrive = (id: string, over: object = {}): Dispatch | undefined =>
    send({ type: 'arrive', request: routedRequest({ id, ...over }) })[0];
  return { send, agent, arrive };
}

const missesOf = ({ out }: Decision): [string, string][] =>
  out.nearest.map(({ instance, reason }) => [instance.agent.entry.id, reason]);

test('of many candidates the one that was taken is missing, or more than eight are kept', () => {
  const { agent, arrive } = rig();
  for (let n = 0; n < 20; n += 1) agent(`a${n}`, { slots: 2 + n });
  const taken = arrive('r1');
  assert.ok(taken);
  const { decision } = taken;
  assert.deepEqual([decision.how, decision.counted, decision.candidates.length], ['scored', 20, 8]);
  const [first, ...others] = decision.candidates.map(({ scored }) => scored);
  assert.equal(first?.item.agent.entry.id, taken.agentId);
  const products = others.map(({ product }) => product);
  assert.deepEqual(
    products,
    products.toSorted((one, other) => one - other),
  );
});

test('own agents that are busy are forgotten once a shared one serves', () => {
  const { agent, arrive } = rig();
  agent('mine', { projectId: 'proj_a' });
  agent('theirs');
  arrive('r1');
  const taken = arrive('r2');
  assert.equal(taken?.agentId, 'theirs');
  assert.deepEqual(missesOf(taken.decision), [['mine', 'busy']]);
  assert.deepEqual(taken.decision.out.counts, { busy: 1 });
});

test('an instance without an ability that is asked for counts as nothing', () => {
  const { agent, arrive } = rig();
  agent('plain');
  agent('able', { abilities: ['chat', 'tools'] });
  const taken = arrive('r1', { abilities: ['chat', 'tools'] });
  assert.equal(taken?.agentId, 'able');
  assert.deepEqual(missesOf(taken.decision), [['plain', 'ability']]);
});

test('a request that waited for its turn says that it was compared with others', () => {
  const { agent, arrive, send } = rig();
  agent('one');
  agent('two');
  const running = [arrive('r1'), arrive('r2')];
  assert.equal(arrive('r3'), undefined);
  const [turn] = send({ type: 'end', claim: running[0]?.claim ?? 0, slotFree: true });
  assert.ok(turn);
  assert.equal(turn.requestId, 'r3');
  assert.deepEqual([turn.decision.how, turn.decision.counted], ['turn', 1]);
  assert.equal(turn.decision.candidates[0]?.scored.item.agent.entry.id, turn.agentId);
  assert.deepEqual(missesOf(turn.decision), [[running[1]?.agentId, 'busy']]);
});

test('where one candidate is unknown, others than the next best are named', () => {
  const { send, agent, arrive } = rig();
  for (let n = 0; n < 12; n += 1) agent(`a${n}`, { slots: 2 + n });
  const speed = { firstByteMs: 50, perTokenMs: 10 };
  for (let n = 0; n < 11; n += 1) {
    const instances = [
      { instance: 'i1', modelId: 'model_a', slots: 2 + n, abilities: ['chat'], speed },
    ];
    send({ type: 'grant', agentId: `a${n}`, nonce: 'n1', instances });
  }
  const taken = arrive('r1');
  assert.ok(taken);
  const [, ...others] = taken.decision.candidates.map(({ scored }) => scored.product);
  assert.equal(others.length, 7);
  assert.deepEqual(
    others,
    others.toSorted((one, other) => one - other),
  );
});
