import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerRate } from './answerRate.ts';
import { CounterRate } from './counterRate.ts';

test('a counter’s rate follows the moments of the looks instead of the time', () => {
  const rate = new CounterRate();
  assert.equal(rate.perSecond(), undefined);
  rate.note(100, 0);
  assert.equal(rate.perSecond(), undefined);
  rate.note(150, 5_000);
  assert.equal(rate.perSecond(), 10);
  rate.note(150.5, 5_200);
  assert.equal(rate.perSecond(), 10, 'two looks at once are one');
});

test('a rate remembers what was long ago', () => {
  const rate = new CounterRate();
  rate.note(0, 0);
  rate.note(10_000, 5_000);
  for (let atMs = 10_000; atMs <= 60_000; atMs += 5_000) rate.note(10_000, atMs);
  assert.equal(rate.perSecond(), 0);
});

test('an engine that began anew has a negative rate', () => {
  const rate = new CounterRate();
  rate.note(5_000, 0);
  rate.note(6_000, 10_000);
  rate.note(10, 20_000);
  assert.equal(rate.perSecond(), undefined);
  rate.note(30, 30_000);
  assert.equal(rate.perSecond(), 2);
});

test('an answer counts whole in the second in which it ended', () => {
  const rate = new AnswerRate();
  assert.equal(rate.perSecond(0), undefined);
  rate.note({ startedAtMs: 0, endedAtMs: 60_000, tokens: 600 });
  assert.equal(rate.perSecond(60_000), 10);
  assert.equal(rate.perSecond(90_000), 5, 'half of it lies before the minute');
  assert.equal(rate.perSecond(120_001), undefined);
});

test('answers that took no time, or too many of them, break the sum', () => {
  const rate = new AnswerRate();
  for (let n = 0; n < 20_000; n += 1) rate.note({ startedAtMs: 5, endedAtMs: 5, tokens: 1 });
  const perSecond = rate.perSecond(10) ?? 0;
  assert.ok(perSecond > 0 && Number.isFinite(perSecond));
});
