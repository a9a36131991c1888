import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LongPrompts } from './longPrompts.ts';

interface Machine {
  id: number;
}

const instances = 4;
const machines = Array.from({ length: instances }, (_none, id): Machine => ({ id }));
const [first, second, third, fourth] = machines as [Machine, Machine, Machine, Machine];

/** With usual prompts of 3,000 tokens, and more of them than four machines can compute. */
function rig({ atOnceMs = 10_000_000 } = {}) {
  const long = new LongPrompts<Machine>();
  const took = (machine: Machine, tokens: number, msPerToken = 1) =>
    long.took(machine, { tokens, instances, msPerToken });
  const comes = (what: { tokens?: number; ms: number; waits?: boolean }, nowMs = 0): boolean =>
    long.came({ tokens: 3000, waits: false, ...what }, { instances, nowMs });
  const come = (times: number, waits: boolean): boolean[] =>
    Array.from({ length: times }, () => comes({ ms: 0, waits }));
  const admitted = (): number[] =>
    machines.filter((one) => long.admits(one, instances)).map(({ id }) => id);
  for (let n = 0; n < 200; n += 1) took(first, 3000);
  comes({ ms: atOnceMs });
  return { long, took, come, comes, admitted };
}

test('what is usual counts as long, or what is long where all are short', () => {
  const { long } = rig();
  assert.ok(Math.abs(long.fromTokens - 15_000) < 100);
  const chats = new LongPrompts<Machine>();
  assert.equal(chats.fromTokens, Infinity, 'nothing is known');
  chats.took(first, { tokens: 200, instances, msPerToken: 1 });
  assert.equal(chats.fromTokens, 8000);
});

test('long prompts go anywhere while short ones wait, or nowhere at all', () => {
  const { took, come, admitted } = rig();
  for (const machine of machines) took(machine, 20_000);
  come(50, false);
  assert.deepEqual(admitted(), [0, 1, 2, 3], 'nobody waits');
  come(250, true);
  assert.deepEqual(admitted(), [2, 3], 'the last that took some');
  come(1000, true);
  assert.deepEqual(admitted(), [3], 'B1: never none');
});

test('long prompts stay on few machines after the rush', () => {
  const { come, admitted, took } = rig();
  took(second, 20_000);
  come(1000, true);
  assert.deepEqual(admitted(), [1]);
  const rose = come(7000, false).filter(Boolean);
  assert.ok(rose.length >= 2, 'B2: each rise is told');
  assert.deepEqual(admitted(), [0, 1, 2, 3]);
});

test('seven of a hundred who wait move the number up or down', () => {
  const { long, come } = rig();
  come(250, true);
  const before = long.most(1000);
  for (let round = 0; round < 10; round += 1) {
    come(7, true);
    come(93, false);
  }
  assert.ok(Math.abs(long.most(1000) - before) <= 2, `${before} → ${long.most(1000)}`);
});

test('a slow machine that took a long prompt keeps it from a fast one', () => {
  const { come, admitted, took } = rig();
  assert.ok(took(fourth, 20_000, 3), 'B2: the first is faster than that');
  come(1000, true);
  assert.deepEqual(admitted(), [0, 3], 'how fast the others are is not known');
  assert.ok(took(third, 3000, 1), 'B2');
  assert.ok(!took(third, 3000, 1), 'it was before');
  assert.deepEqual(admitted(), [0, 2, 3]);
  took(third, 20_000, 1);
  assert.ok(!admitted().includes(3), 'the slow one takes them no more');
});

test('nobody takes long prompts when the machine that did has gone', () => {
  const { long, come, admitted, took } = rig();
  took(second, 20_000);
  come(1000, true);
  assert.ok(!long.left(first), 'it had none');
  assert.ok(long.left(second), 'B2');
  assert.deepEqual(admitted(), [0, 1, 2, 3], 'any of them may be the next');
});

test('long prompts wait for the sake of short ones that there is room for', () => {
  const { long, come, comes, admitted, took } = rig({ atOnceMs: 0 });
  took(second, 20_000);
  come(1000, true);
  assert.deepEqual(admitted(), [0, 1, 2, 3], 'a burst that is soon over');
  // 1.2 · 1 + 1 + √1 are fewer than four machines, 1.2 · 2 + 1 + √1 are more.
  comes({ ms: 120_000 });
  comes({ ms: 120_000, tokens: 20_000 });
  assert.equal(long.most(instances), 4);
  comes({ ms: 120_000, tokens: 20_000 });
  assert.deepEqual(admitted(), [1]);
  assert.ok(comes({ ms: 0 }, 120_000), 'B2: two minutes later most of it is done');
  assert.deepEqual(admitted(), [0, 1, 2, 3]);
});
