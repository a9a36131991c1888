import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RotateInput, RotateOutcome } from '../../store/contract/enrolmentStore.ts';
import { rotationsAtOnce, rotationsWaiting } from '../limits.ts';
import { createRotations } from './rotations.ts';

interface Call {
  agentIds: string[];
  answer: () => void;
  fail: (error: Error) => void;
}

/** A store that answers when it is told to, and moves each agent to the generation asked. */
function slowStore() {
  const calls: Call[] = [];
  const rotateTokens = (inputs: readonly RotateInput[]): Promise<RotateOutcome[]> =>
    new Promise((resolve, reject) => {
      calls.push({
        agentIds: inputs.map(({ agentId }) => agentId),
        answer: () =>
          resolve(inputs.map(({ generation }) => ({ ok: true, generation, ahead: false }))),
        fail: reject,
      });
    });
  return { calls, rotateTokens };
}

const input = (number: number): RotateInput => ({
  agentId: `agent-${number}`,
  presented: { generation: 1, hash: '' },
  generation: number,
  nextHash: '',
  nowMs: 0,
});

test('a slow database commits once for each agent of a rack', async () => {
  const store = slowStore();
  const rotate = createRotations(store);
  const all = Array.from({ length: rotationsAtOnce + 2 }, (_none, at) => rotate(input(at)));
  assert.deepEqual(
    store.calls.map(({ agentIds }) => agentIds.length),
    [1],
  );
  for (let number = 0; number < 3; number += 1) {
    store.calls[number]?.answer();
    await all[number === 0 ? 0 : number * rotationsAtOnce];
    await new Promise(setImmediate);
  }
  assert.deepEqual(
    store.calls.map(({ agentIds }) => agentIds.length),
    [1, rotationsAtOnce, 1],
  );
  const generations = (await Promise.all(all)).map((outcome) => outcome.ok && outcome.generation);
  assert.deepEqual(generations, [...generations.keys()], 'everybody has their own outcome');
});

test('after a failure of the store nobody refreshes any more', async () => {
  const store = slowStore();
  const rotate = createRotations(store);
  const first = rotate(input(1));
  const second = rotate(input(2));
  store.calls[0]?.fail(new Error('away'));
  await assert.rejects(first, /away/);
  await new Promise(setImmediate);
  store.calls[1]?.answer();
  assert.ok((await second).ok);
  const third = rotate(input(3));
  await new Promise(setImmediate);
  store.calls[2]?.answer();
  assert.ok((await third).ok);
});

test('agents without number wait in memory while the database hangs', async () => {
  const store = slowStore();
  const rotate = createRotations(store);
  void rotate(input(0));
  for (let number = 1; number <= rotationsWaiting; number += 1) void rotate(input(number));
  assert.deepEqual(await rotate(input(-1)), { ok: false, reason: 'stale' });
});
