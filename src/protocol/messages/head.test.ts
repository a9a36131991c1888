import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headSchema } from './head.ts';

void test('a hostile content type makes the response head throw, or adds a header', () => {
  const takes = (contentType: string): boolean =>
    headSchema.safeParse({ status: 200, contentType }).success;
  assert.equal(takes('text/event-stream; charset=utf-8'), true);
  for (const bad of ['text/plain\r\nset-cookie: a=b', 'text/plain\n', 'a\0b', 'a\tb', 'é', '…']) {
    assert.equal(takes(bad), false, JSON.stringify(bad));
  }
});

void test('bytes after the head of an answer without a body are read as the next answer', () => {
  const takes = (status: number): boolean =>
    headSchema.safeParse({ status, contentType: 'application/json' }).success;
  for (const good of [200, 400, 429, 503, 599]) assert.equal(takes(good), true);
  for (const bad of [100, 101, 199, 204, 205, 304, 600, 200.5]) assert.equal(takes(bad), false);
});
