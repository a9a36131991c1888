import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventQueue } from './eventQueue.ts';

test('calls out of the order of their times, or at one time out of the order of asking', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), fc.array(fc.nat(20)), (first, later) => {
      const queue = new EventQueue();
      const called: [atMs: number, asked: number][] = [];
      let asked = 0;
      const ask = (atMs: number): void => {
        const order = (asked += 1);
        queue.at(atMs, () => {
          called.push([queue.nowMs, order]);
          const next = later.shift();
          // Also a time that has passed: it is now.
          if (next !== undefined) ask(next);
        });
      };
      for (const atMs of first) ask(atMs);
      while (queue.runNext());
      assert.equal(called.length, asked);
      for (const [at, [atMs, order]] of called.entries()) {
        const [before, orderBefore] = called[at - 1] ?? [0, 0];
        assert.ok(atMs > before || (atMs === before && order > orderBefore));
      }
    }),
    { numRuns: 200, seed: 1 },
  );
});
