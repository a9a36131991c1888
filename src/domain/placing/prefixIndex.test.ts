import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { correctCapacity, newCacheAccount, PrefixIndex } from './prefixIndex.ts';

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, n) => from + n);
const prompt = (blocks: number[], scope = 'a|m') => ({ scope, blocks });

test('a beginning that was sent to an instance is not found there', () => {
  const index = new PrefixIndex();
  const [one, other] = [newCacheAccount(), newCacheAccount()];
  index.sent(one, prompt(numbers(0, 10)));
  index.sent(other, prompt(numbers(0, 4)));
  const longer = prompt([...numbers(0, 8), 100, 101]);
  assert.equal(index.held(one, longer).blocks, 8);
  assert.deepEqual([...index.holders(longer).values()], [8, 4]);
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
  const send = (n: number): void => index.sent(account, prompt(numbers(n * 100, n * 100 + 50)));
  index.sent(account, first);
  // The engine keeps 200 blocks: after four more prompts the first is gone.
  for (let round = 1; round < 40; round += 1) {
    for (let n = 0; n < 5; n += 1) send(round * 10 + n);
    const expected = index.held(account, first);
    correctCapacity(account, { expected, reported: 0 });
    index.sent(account, first);
  }
  for (let n = 0; n < 5; n += 1) send(1000 + n);
  assert.equal(index.held(account, first).blocks, 0);
  for (let n = 0; n < 1; n += 1) send(2000 + n);
  assert.equal(index.held(account, prompt(numbers(200_000, 200_050))).blocks, 50);
  // It was given more room since.
  for (let round = 0; round < 20; round += 1) {
    index.sent(account, first);
    for (let n = 0; n < 5; n += 1) send(3000 + round * 10 + n);
    const expected = index.held(account, first);
    correctCapacity(account, { expected, reported: 10 });
  }
  assert.equal(index.held(account, first).blocks, 10);
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
  });
  // A chained hash is, for the test, the path itself in base 5.
  const chained = (path: number[]): number[] =>
    path.map((_, end) => path.slice(0, end + 1).reduce((sum, one) => sum * 5 + one + 1, 0));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const index = new PrefixIndex();
      const accounts = [newCacheAccount(), newCacheAccount(), newCacheAccount()];
      const sent = new Set<string>();
      for (const { instance, scope, path } of steps) {
        const account = accounts[instance];
        assert.ok(account !== undefined);
        const blocks = chained(path);
        const expected = blocks.filter((hash) => sent.has(`${instance}|${scope}|${hash}`)).length;
        assert.equal(index.held(account, { scope, blocks }).blocks, expected);
        assert.equal(index.holders({ scope, blocks }).get(account) ?? 0, expected);
        index.sent(account, { scope, blocks });
        assert.equal(index.held(account, { scope, blocks }).blocks, blocks.length);
        for (const hash of blocks) sent.add(`${instance}|${scope}|${hash}`);
      }
    }),
    { numRuns: 100 },
  );
});
