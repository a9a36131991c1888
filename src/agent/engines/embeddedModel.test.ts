import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseShape } from './embeddedModel.ts';

const facts = {
  cores: 2,
  maxSlots: 0,
  wantedTokens: null,
  trainedTokens: 8192,
  memoryBytes: 4e9,
  bytesPerToken: 23_040,
};

test('the owner’s bound on slots, or the model’s on its context, is exceeded', () => {
  assert.deepEqual(chooseShape(facts), { slots: 4, contextTokens: 8192 });
  assert.deepEqual(chooseShape({ ...facts, cores: 64 }), { slots: 8, contextTokens: 8192 });
  assert.deepEqual(chooseShape({ ...facts, maxSlots: 1 }), { slots: 1, contextTokens: 8192 });
  assert.equal(chooseShape({ ...facts, trainedTokens: 2048 }).contextTokens, 2048);
  assert.equal(chooseShape({ ...facts, wantedTokens: 4096 }).contextTokens, 4096);
  assert.equal(chooseShape({ ...facts, trainedTokens: 131_072 }).contextTokens, 8192);
});

test('a machine with little memory loads a context that does not fit', () => {
  const small = chooseShape({ ...facts, memoryBytes: 400e6 });
  assert.ok(small.slots * small.contextTokens * facts.bytesPerToken <= 400e6);
  assert.equal(small.slots, 4);
  const large = chooseShape({ ...facts, memoryBytes: 400e6, bytesPerToken: 131_072 });
  assert.ok(large.slots * large.contextTokens * 131_072 <= 400e6);
  assert.equal(large.slots, 1);
  assert.ok(large.contextTokens >= 2816);
});
