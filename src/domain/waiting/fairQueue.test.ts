import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../lib/random.ts';
import {
  addFlow,
  answerCharge,
  charge,
  FairQueue,
  forgive,
  promptCharge,
  valueOf,
  type FairAccount,
} from './fairQueue.ts';

interface Running {
  account: FairAccount;
  endsAtMs: number;
  flow: number;
  startedAtMs: number;
  output: number;
  weight: number;
}

/** A machine of some slots, and projects that always have somebody waiting. */
function contest(options: {
  weights: number[];
  slots: number;
  maxInput: number;
  maxOutput: number;
  seed: number;
}) {
  const { weights, slots, maxInput, maxOutput, seed } = options;
  const random = seededRandom(seed);
  const queue = new FairQueue();
  const accounts = weights.map((_, n) => queue.enter(`p${n}`, 0));
  const served = weights.map(() => 0);
  let running: Running[] = [];
  let nowMs = 0;
  let largestGap = 0;
  const dispatch = (): void => {
    const values = accounts.map((one) => valueOf(one, nowMs));
    const turn = values.indexOf(Math.min(...values));
    const [account, weight = 1] = [accounts[turn] as FairAccount, weights[turn]];
    const input = 1 + Math.floor(maxInput * random.float());
    const output = 1 + Math.floor(maxOutput * random.float());
    charge(account, promptCharge({ input, cached: 0 }) / weight);
    served[turn] = (served[turn] ?? 0) + input / weight;
    // The prediction is off by up to a factor of two, and is settled at the end.
    const flow = answerCharge(0.5 + 1.5 * random.float()) / 10 / weight;
    addFlow(account, flow, nowMs);
    const endsAtMs = nowMs + output * 10;
    running.push({ account, endsAtMs, flow, startedAtMs: nowMs, output, weight });
  };
  const finish = (one: Running): void => {
    nowMs = one.endsAtMs;
    addFlow(one.account, -one.flow, nowMs);
    const charged = one.flow * (nowMs - one.startedAtMs);
    charge(one.account, answerCharge(one.output) / one.weight - charged);
    const turn = accounts.indexOf(one.account);
    served[turn] = (served[turn] ?? 0) + answerCharge(one.output) / one.weight;
  };
  for (let n = 0; n < 600; n += 1) {
    while (running.length < slots) dispatch();
    const [next] = running.toSorted((one, other) => one.endsAtMs - other.endsAtMs);
    assert.ok(next !== undefined);
    running = running.filter((one) => one !== next);
    finish(next);
    const [most, least] = [Math.max(...served), Math.min(...served)];
    largestGap = Math.max(largestGap, most - least);
  }
  return { largestGap, served };
}

test('S4: the service of two projects that always wait drifts apart', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 4 }),
      fc.integer({ min: 1, max: 16 }),
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 1, max: 2000 }),
      fc.nat(),
      (weights, slots, maxInput, maxOutput, seed) => {
        const { largestGap } = contest({ weights, slots, maxInput, maxOutput, seed });
        const bound = (2 * Math.max(maxInput, 2 * slots * maxOutput)) / Math.min(...weights);
        assert.ok(largestGap <= bound, `${largestGap} > ${bound}`);
      },
    ),
    { numRuns: 30 },
  );
});

test('F1: a project that was idle has saved something up', () => {
  const queue = new FairQueue();
  const [busy, idle] = [queue.enter('busy', 0), queue.enter('idle', 0)];
  charge(busy, 100);
  charge(idle, 20);
  queue.leave(idle, 10);
  charge(busy, 5000);
  assert.equal(valueOf(queue.enter('idle', 20), 20), 5100);
  assert.equal(valueOf(queue.enter('new', 20), 20), 5100);
});

test('F1: whoever comes after everybody has left begins before them', () => {
  const queue = new FairQueue();
  const one = queue.enter('one', 0);
  charge(one, 700);
  queue.leave(one, 10);
  assert.equal(valueOf(queue.enter('other', 20), 20), 700);
  const again = queue.enter('one', 30);
  assert.equal(valueOf(again, 30), 700);
});

test('a debt is forgiven to whoever leaves for a moment', () => {
  const queue = new FairQueue();
  const [rich, poor] = [queue.enter('rich', 0), queue.enter('poor', 0)];
  charge(rich, 9000);
  queue.leave(rich, 10);
  assert.equal(poor.counter, 0);
  assert.equal(valueOf(queue.enter('rich', 20), 20), 9000);
});

test('S6: counters of projects that come once are kept for ever', () => {
  const queue = new FairQueue();
  for (let n = 0; n < 5000; n += 1) queue.leave(queue.enter(`p${n}`, n * 1000), n * 1000);
  assert.ok(queue.size <= 400, `${queue.size}`);
});

test('output that streams is charged only when it has ended', () => {
  const account = new FairQueue().enter('a', 0);
  addFlow(account, 0.2, 0);
  assert.equal(valueOf(account, 1000), 200);
  addFlow(account, 0.2, 1000);
  assert.equal(valueOf(account, 2000), 600);
  addFlow(account, -0.2, 2000);
  addFlow(account, -0.2, 3000);
  assert.equal(valueOf(account, 9000), 800);
});

test('F2: a project that begins to wait again and again is forgiven what it was served', () => {
  const queue = new FairQueue();
  const [hog, victim] = [queue.enter('hog', 0), queue.enter('victim', 0)];
  queue.enter('trickle', 0);
  for (const one of [hog, victim]) queue.waits(one, 0);
  for (const one of [hog, victim]) charge(one, 10_000);
  queue.waits(hog, 10);
  queue.waitsNoMore(hog);
  assert.equal(valueOf(hog, 10), 10_000);
  queue.waitsNoMore(hog);
  queue.waits(hog, 20);
  assert.equal(valueOf(hog, 20), 10_000);
  queue.waitsNoMore(victim);
  queue.waitsNoMore(hog);
  queue.waits(hog, 30);
  assert.equal(valueOf(hog, 30), 10_000, 'also while nobody waits');
});

test('F2: whoever meets another one pays more than it was forgiven, or than it is behind', () => {
  for (const forgiven of [0, 300, 900]) {
    const queue = new FairQueue();
    const [alone, other, third] = ['alone', 'other', 'third'].map((id) => queue.enter(id, 0));
    assert.ok(alone !== undefined && other !== undefined && third !== undefined);
    for (const one of [alone, other]) queue.waits(one, 0);
    charge(other, 500);
    charge(alone, forgiven);
    forgive(alone, forgiven);
    assert.equal(valueOf(alone, 10), 0);
    queue.meets(alone, 10);
    assert.equal(valueOf(alone, 10), Math.min(500, forgiven));
    charge(other, 500);
    queue.meets(alone, 20);
    assert.equal(valueOf(alone, 20), Math.min(500, forgiven), 'once');
  }
});

test('F3: a project that always runs a little saves up a flood, for itself or a newcomer', () => {
  const queue = new FairQueue();
  const [busy, trickle] = [queue.enter('busy', 0), queue.enter('trickle', 0)];
  charge(busy, 1_000_000);
  charge(trickle, 500);
  const newcomer = queue.enter('newcomer', 5);
  assert.equal(valueOf(newcomer, 5), 500);
  queue.waits(busy, 9);
  charge(busy, 1_000_000 - valueOf(busy, 9));
  for (const one of [newcomer, trickle]) {
    queue.waits(one, 10);
    assert.equal(valueOf(one, 10), 1_000_000);
  }
});
