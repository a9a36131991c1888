import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeBytes } from './freeBytes.ts';

test('memory of its own that waits for a collection', () => {
  const bytes = Buffer.alloc(1 << 20, 1);
  const before = process.memoryUsage().arrayBuffers;
  freeBytes(bytes);
  assert.ok(process.memoryUsage().arrayBuffers <= before - (1 << 20));
  assert.equal(bytes.length, 0);
});

test('memory that others look into, or a slab, is taken from them', () => {
  const whole = Buffer.alloc(1 << 20, 1);
  freeBytes(whole.subarray(1));
  assert.equal(whole[5], 1);
  const small = Buffer.from('small');
  freeBytes(small);
  assert.equal(small.toString(), 'small');
});
