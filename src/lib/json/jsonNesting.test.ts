import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nestsDeeperThan } from './jsonNesting.ts';

function depthOf(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test('brackets inside strings count, or nesting behind an escape does not', () => {
  fc.assert(
    fc.property(
      fc.json({ maxDepth: 6, stringUnit: fc.constantFrom('"', '\\', '[', '}', 'a') }),
      (text) => {
        const depth = depthOf(JSON.parse(text));
        const bytes = Buffer.from(text);
        assert.equal(nestsDeeperThan(bytes, depth), false);
        if (depth > 0) assert.equal(nestsDeeperThan(bytes, depth - 1), true);
      },
    ),
  );
});

test('text that is cut inside a string is read past its end', () => {
  assert.equal(nestsDeeperThan(Buffer.from('{"a\\"'), 1), false);
});
