import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BoundedQueue } from './boundedQueue.ts';

test('a full queue refuses by count and by weight and holds no more than it said', () => {
  const queue = new BoundedQueue<string>({ maxItems: 2, maxWeight: 10 });
  assert.equal(queue.push('a', 6), 'accepted');
  assert.equal(queue.push('b', 5), 'full');
  assert.equal(queue.push('c', 4), 'accepted');
  assert.equal(queue.push('d', 0), 'full');
  assert.equal(queue.shift(), 'a');
  assert.equal(queue.push('e', 6), 'accepted');
  assert.deepEqual(queue.drain(), ['c', 'e']);
  assert.equal(queue.weight, 0);
  assert.equal(queue.shift(), undefined);
});

test('order and account are those of a plain array', () => {
  const step = fc.oneof(fc.nat({ max: 9 }), fc.constant('shift' as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const queue = new BoundedQueue<number>({ maxItems: 20, maxWeight: 60 });
      const model: number[] = [];
      for (const next of steps) {
        if (next === 'shift') assert.equal(queue.shift(), model.shift());
        else if (queue.push(next, next) === 'accepted') model.push(next);
        assert.equal(queue.size, model.length);
        assert.equal(queue.peek(), model[0]);
        assert.equal(
          queue.weight,
          model.reduce((sum, weight) => sum + weight, 0),
        );
        assert.ok(queue.size <= 20 && queue.weight <= 60);
      }
      assert.deepEqual(queue.drain(), model);
    }),
  );
});
