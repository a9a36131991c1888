import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Allowance } from './allowance.ts';

test('more than the burst is spent at once, or more than the rate over time', () => {
  const allowance = new Allowance({ burst: 10, perSecond: 2 }, 0);
  assert.equal(allowance.take(10, 0), true);
  assert.equal(allowance.take(1, 400), false);
  assert.equal(allowance.take(1, 500), true);
  assert.equal(allowance.left(1_000_000), 10, 'a long rest earns no more than the burst');
});

test('a refusal costs something', () => {
  const allowance = new Allowance({ burst: 5, perSecond: 1 }, 0);
  assert.equal(allowance.take(6, 0), false);
  assert.equal(allowance.left(0), 5);
});

test('what is owed is forgotten', () => {
  const allowance = new Allowance({ burst: 5, perSecond: 1 }, 0);
  allowance.owe(8, 0);
  assert.equal(allowance.left(2_000), -1);
  assert.equal(allowance.take(1, 4_000), true);
});

test('a clock that stands still or goes back earns something', () => {
  const allowance = new Allowance({ burst: 5, perSecond: 100 }, 1_000);
  allowance.owe(5, 1_000);
  assert.equal(allowance.left(900), 0);
});

test('what is put back makes more than the burst, or pays no debt', () => {
  const allowance = new Allowance({ burst: 5, perSecond: 1 }, 0);
  allowance.owe(7, 0);
  allowance.give(3, 0);
  assert.equal(allowance.left(0), 1);
  allowance.give(100, 0);
  assert.equal(allowance.left(0), 5);
});

test('a wait is too short, or is promised for more than ever fits', () => {
  const allowance = new Allowance({ burst: 5, perSecond: 2 }, 0);
  allowance.owe(6, 0);
  assert.equal(allowance.waitMs(3, 0), 2_000);
  assert.equal(allowance.waitMs(3, 2_000), 0);
  assert.equal(allowance.waitMs(6, 0), Infinity);
});
