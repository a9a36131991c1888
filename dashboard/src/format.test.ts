import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, count, countdown, duration, moment, share, shortId, size } from './format.ts';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

test('an unknown number shown as zero', () => {
  assert.equal(count(null), '–');
  assert.equal(count(0), '0');
  assert.equal(duration(null), '–');
  assert.equal(size(null), '–');
  assert.equal(share(0, 0), '–');
});

test('a unit that may break from its number, or too many digits', () => {
  assert.equal(duration(58), '58\u00a0ms');
  assert.equal(plain(duration(1420)), '1.42 s');
  assert.equal(plain(duration(14_230)), '14.2 s');
  assert.equal(plain(duration(250_000)), '4 min');
  assert.equal(plain(size(98_362_432)), '98.4 MB');
  assert.equal(plain(size(999)), '999 B');
  assert.equal(count(1012), '1,012');
});

test('an age that runs backwards when a clock is behind', () => {
  assert.equal(plain(age(-5000)), '0 s');
  assert.equal(plain(age(51_000)), '51 s');
  assert.equal(plain(age(14 * 86_400_000 + 3 * 3_600_000)), '14 d 3 h');
  assert.equal(countdown(-1), '0:00');
  assert.equal(countdown(872_000), '14:32');
});

test('a moment of another year shown as today', () => {
  const now = new Date(2026, 9, 9, 14, 31, 46);
  assert.equal(moment(now, now), '14:31:46');
  assert.equal(moment(new Date(2026, 9, 8, 16, 2), now), '8 Oct 16:02');
  assert.equal(moment(new Date(2025, 9, 9), now), '9 Oct 2025');
});

test('99.98 per cent rounded up to a promise', () => {
  assert.equal(plain(share(9998, 10_000)), '99.98 %');
  assert.equal(plain(share(1, 1)), '100.0 %');
  assert.equal(plain(share(1, 3)), '33.3 %');
});

test('an id so long that it runs out of its column', () => {
  assert.equal(shortId('req_gdz58czmyhfjsrvc3k3px1se5r'), 'req_gdz5…1se5r');
  assert.equal(shortId('req_short'), 'req_short');
});
