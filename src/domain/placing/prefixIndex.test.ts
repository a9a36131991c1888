import assert from 'node:assert/strict';
import test from 'node:test';
import { maxBlockHolders } from '../scheduler/limits.ts';
import fc from 'fast-check';
import {
  correctCapacity,
  newCacheAccount,
  PrefixIndex,
  type CacheAccount,
  type ScopedPrompt,
  type Sent,
} from './prefixIndex.ts';

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, n) => from + n);
const prompt = (blocks: number[], scope = 'a|m') => ({ scope, blocks });
/** It is sent there, and over. */
const runs = (index: PrefixIndex, account: CacheAccount, one: ScopedPrompt): void => {
  index.sent(account, one);
  index.settled(account, one);
};

test('a beginning that was sent to an instance is not found there', () => {
  const index = new PrefixIndex();
  const [one, other] = [newCacheAccount(), newCacheAccount()];
  runs(index, one, prompt(numbers(0, 10)));
  runs(index, other, prompt(numbers(0, 4)));
  const longer = prompt([...numbers(0, 8), 100, 101]);
  assert.equal(index.held(one, longer).blocks, 8);
  const held = [...index.holders(longer)].map((account) => index.held(account, longer).blocks);
  assert.deepEqual(held, [8, 4]);
  assert.equal(index.held(newCacheAccount(), longer).blocks, 0);
});

test('X1: a project finds out what another one has sent', () => {
  const index = new PrefixIndex();
  const account = newCacheAccount();
  index.sent(account, prompt(numbers(0, 10), 'a|m'));
  for (const scope of ['b|m', 'a|n']) {
    assert.equal(index.held(account, prompt(numbers(0, 10), scope)).blocks, 0);
    assert.equal(index.holders(prompt(numbers(0, 10), scope)).size, 0);
  }
});

test('what an engine has dropped long ago is counted on for ever', () => {
  const index = new PrefixIndex();
  const account = newCacheAccount();
  const first = prompt(numbers(0, 10));
  const send = (n: number): void => runs(index, account, prompt(numbers(n * 100, n * 100 + 50)));
  runs(index, account, first);
  // The engine keeps 200 blocks: after four more prompts the first is gone.
  for (let round = 1; round < 40; round += 1) {
    for (let n = 0; n < 5; n += 1) send(round * 10 + n);
    const expected = index.held(account, first);
    correctCapacity(account, { expected, reported: 0 });
    runs(index, account, first);
  }
  for (let n = 0; n < 5; n += 1) send(1000 + n);
  assert.equal(index.held(account, first).blocks, 0);
  for (let n = 0; n < 1; n += 1) send(2000 + n);
  assert.equal(index.held(account, prompt(numbers(200_000, 200_050))).blocks, 50);
  // It was given more room since.
  for (let round = 0; round < 20; round += 1) {
    runs(index, account, first);
    for (let n = 0; n < 5; n += 1) send(3000 + round * 10 + n);
    const expected = index.held(account, first);
    correctCapacity(account, { expected, reported: 10 });
  }
  assert.equal(index.held(account, first).blocks, 10);
});

test('blocks of a request under way are counted on where the engine shares them only later', () => {
  for (const [reported, expected] of [
    [0, 4],
    [12, 11],
  ] as const) {
    const index = new PrefixIndex();
    const account = newCacheAccount();
    runs(index, account, prompt(numbers(0, 4)));
    for (let round = 1; round < 40; round += 1) {
      const long = prompt([...numbers(0, 4), ...numbers(round * 100, round * 100 + 8)]);
      index.sent(account, long);
      const held = index.held(account, long);
      assert.deepEqual([held.settled, held.sent], [4, 12]);
      correctCapacity(account, { expected: held, reported: Math.max(4, reported) });
    }
    const last = prompt([...numbers(0, 4), ...numbers(9000, 9008)]);
    index.sent(account, last);
    assert.equal(index.held(account, last).blocks, expected);
    assert.equal(account.capacity, Infinity, 'what was not ready was taken for dropped');
    index.settled(account, last);
    assert.equal(index.held(account, last).blocks, 12);
  }
});

test('what an engine has dropped is counted on as soon as it is sent once more', () => {
  const index = new PrefixIndex();
  const account = { ...newCacheAccount(), capacity: 10, early: 0 };
  const first = prompt(numbers(0, 4));
  runs(index, account, first);
  runs(index, account, prompt(numbers(100, 120)));
  assert.equal(index.held(account, first).blocks, 0);
  index.sent(account, first);
  assert.equal(index.held(account, first).blocks, 0);
  index.settled(account, first);
  assert.equal(index.held(account, first).blocks, 4);
});

test('S6: many projects, prompts or instances make the index grow for ever', () => {
  const index = new PrefixIndex({ maxInScope: 64, maxBlocks: 300 });
  const accounts = Array.from({ length: 100 }, newCacheAccount);
  let next = 0;
  for (const [n, account] of accounts.entries()) {
    for (const scope of ['one', `${n}`]) {
      index.sent(account, prompt(numbers(next, next + 30), scope));
      next += 30;
      assert.ok(index.size <= 300 + 64, `${index.size}`);
    }
  }
  const same = prompt(numbers(0, 5), 'hot');
  for (const account of accounts) index.sent(account, same);
  assert.ok(index.holders(same).size <= 64);
  // A prompt that is longer than all that a scope may remember.
  index.sent(newCacheAccount(), prompt(numbers(0, 1000), 'long'));
  assert.ok(index.size <= 300 + 64, `${index.size}`);
});

test('the index tells of blocks that were never sent, or forgets the latest prompt', () => {
  const block = fc.nat(3);
  const step = fc.record({
    instance: fc.nat(2),
    scope: fc.constantFrom('a', 'b'),
    path: fc.array(block, { maxLength: 6 }),
    isOver: fc.boolean(),
  });
  // A chained hash is, for the test, the path itself in base 5.
  const chained = (path: number[]): number[] =>
    path.map((_, end) => path.slice(0, end + 1).reduce((sum, one) => sum * 5 + one + 1, 0));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const index = new PrefixIndex();
      const accounts = [newCacheAccount(), newCacheAccount(), newCacheAccount()];
      const sent = new Set<string>();
      for (const { instance, scope, path, isOver } of steps) {
        const account = accounts[instance];
        assert.ok(account !== undefined);
        const blocks = chained(path);
        const expected = blocks.filter((hash) => sent.has(`${instance}|${scope}|${hash}`)).length;
        assert.equal(index.held(account, { scope, blocks }).sent, expected);
        assert.equal(index.holders({ scope, blocks }).has(account), expected > 0);
        index.sent(account, { scope, blocks });
        assert.equal(index.held(account, { scope, blocks }).sent, blocks.length);
        if (isOver) index.settled(account, { scope, blocks });
        for (const hash of blocks) sent.add(`${instance}|${scope}|${hash}`);
      }
    }),
    { numRuns: 100 },
  );
});

test('machines that share a beginning with many others do not know what they hold', () => {
  const index = new PrefixIndex();
  const accounts = Array.from({ length: 3 * maxBlockHolders }, () => newCacheAccount());
  const common = [1, 2, 3, 4, 5, 6, 7, 8];
  const own = (at: number): ScopedPrompt => {
    return { scope: 'p|m', blocks: [...common, ...[0, 1, 2, 3].map((n) => 1000 + 10 * at + n)] };
  };
  for (const [at, account] of accounts.entries()) {
    index.sent(account, own(at));
    index.settled(account, own(at));
  }
  for (const [at, account] of accounts.entries()) {
    assert.deepEqual([index.held(account, own(at)).blocks, at], [12, at]);
    assert.ok(index.holders(own(at)).has(account));
    // Of the others' it has the beginning at most, and nothing is made up of what nobody knows.
    const other = index.held(account, own((at + 1) % accounts.length)).blocks;
    assert.ok(other === 0 || other === 8, String(other));
  }
  assert.equal(index.held(newCacheAccount(), own(0)).blocks, 0);
});

test('X2: blocks of a prompt that never ran stay, or those of others go with them', () => {
  const index = new PrefixIndex();
  const account = newCacheAccount();
  const [early, late] = [prompt(numbers(0, 4)), prompt(numbers(0, 6))];
  const never = index.sent(account, prompt(numbers(0, 10)));
  index.takeBack(never);
  assert.deepEqual([index.size, account.written], [0, 0]);
  assert.equal(index.holders(early).size, 0);
  runs(index, account, early);
  const between = index.sent(account, prompt(numbers(0, 10)));
  index.sent(account, late);
  index.takeBack(between);
  const { settled, sent } = index.held(account, prompt(numbers(0, 10)));
  assert.deepEqual([settled, sent, index.size], [4, 6, 6]);
});

test('X2: a prompt that never ran makes what it had in common with others last for longer', () => {
  const index = new PrefixIndex();
  const account = { ...newCacheAccount(), capacity: 10 };
  const first = prompt(numbers(0, 4));
  runs(index, account, first);
  runs(index, account, prompt(numbers(100, 108)));
  assert.equal(index.held(account, first).age, 8);
  const never = index.sent(account, prompt(numbers(0, 6)));
  assert.equal(index.held(account, first).age, 0);
  index.takeBack(never);
  assert.equal(index.held(account, first).age, 8);
  assert.equal(account.written, 12);
  runs(index, account, prompt(numbers(200, 203)));
  assert.equal(index.held(account, first).blocks, 0, 'eleven were written since');
});

test('X2: an instance is not known to lack what one that never ran had pushed it out of', () => {
  const index = new PrefixIndex();
  const accounts = Array.from({ length: maxBlockHolders }, () => newCacheAccount());
  const common = prompt(numbers(0, 8));
  const whole = (at: number): ScopedPrompt => prompt([...numbers(0, 8), 1000 + at]);
  for (const [at, account] of accounts.entries()) runs(index, account, whole(at));
  const [first] = accounts;
  assert.ok(first !== undefined);
  index.takeBack(index.sent(newCacheAccount(), common));
  assert.equal(index.held(first, whole(0)).blocks, 9);
  assert.equal(index.held(newCacheAccount(), common).blocks, 0);
});

test('prompts that are turned away one after another are kept for ever', () => {
  const index = new PrefixIndex();
  const account = newCacheAccount();
  const same = prompt(numbers(0, 8));
  const reachable = (from: Sent): number => {
    const all = new Set([from]);
    for (const { before } of all) {
      for (const { use } of before) if (use?.takenBack) all.add(use.takenBack);
    }
    return all.size - 1;
  };
  runs(index, account, same);
  // Three are under way at any time.
  const open = [1, 2, 3].map(() => index.sent(account, same));
  for (let n = 0; n < 50; n += 1) {
    const next = index.sent(account, same);
    const [gone] = open.splice((n * 7) % 3, 1, next);
    assert.ok(gone);
    index.takeBack(gone);
    for (const one of open) assert.ok(reachable(one) <= 3, `${reachable(one)} after ${n}`);
  }
  for (const one of open) index.takeBack(one);
  assert.deepEqual([index.held(account, same).settled, index.size], [8, 8]);
});

test('X2: prompts that come, end and are taken back in any order leave what did not run', () => {
  const step = fc.record({
    kind: fc.constantFrom(...(['sent', 'sent', 'sent', 'over', 'back', 'back'] as const)),
    which: fc.nat(20),
    instance: fc.nat(1),
    path: fc.array(fc.nat(1), { minLength: 1, maxLength: 4 }),
  });
  const chained = (path: number[]): number[] =>
    path.map((_, end) => path.slice(0, end + 1).reduce((sum, one) => sum * 3 + one + 1, 0));
  interface Live {
    sent: Sent;
    state: 'under_way' | 'over';
  }
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      const index = new PrefixIndex();
      const accounts = [newCacheAccount(), newCacheAccount()];
      let live: Live[] = [];
      for (const { kind, which, instance, path } of steps) {
        const account = accounts[instance];
        assert.ok(account !== undefined);
        const open = live.filter(({ state }) => state === 'under_way');
        const one = open[which % Math.max(1, open.length)];
        if (kind === 'sent') {
          const sent = index.sent(account, prompt(chained(path)));
          live.push({ sent, state: 'under_way' });
        } else if (one !== undefined && kind === 'over') {
          index.settled(one.sent.account, one.sent.prompt);
          one.state = 'over';
        } else if (one !== undefined) {
          index.takeBack(one.sent);
          live = live.filter((other) => other !== one);
        }
        const known = new Set(live.flatMap(({ sent }) => sent.prompt.blocks));
        assert.equal(index.size, known.size);
        for (const holder of accounts) {
          const of = live.filter(({ sent }) => sent.account === holder);
          const has = (hash: number, among: Live[]): boolean =>
            among.some(({ sent }) => sent.prompt.blocks.includes(hash));
          const over = of.filter(({ state }) => state === 'over');
          const asked = chained(path);
          const held = index.held(holder, prompt(asked));
          assert.equal(held.sent, asked.filter((hash) => has(hash, of)).length);
          assert.equal(held.settled, asked.filter((hash) => has(hash, over)).length);
          assert.ok(held.age >= 0, `${held.age}`);
        }
      }
    }),
    { numRuns: 300 },
  );
});
