import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { contract, pagedList, type Contract } from '../../api/contract.ts';
import { encodeCursor } from '../../lib/page.ts';
import { readCallInput, type ReadInput } from './callInput.ts';

const answer = z.strictObject({});
const plain = contract({ answer, status: 200, refusals: [] });
const named = contract({
  body: z.strictObject({ name: z.string(), tags: z.record(z.string(), z.unknown()).optional() }),
  answer,
  status: 200,
  refusals: [],
});
const list = pagedList({ item: answer, place: ['number', 'string'], refusals: [] });
const versioned = contract({ answer, status: 200, refusals: [], versioned: true });

function read(
  wanted: Contract,
  call: { method?: string; search?: string; body?: string; ifMatch?: string } = {},
): ReadInput {
  const { method = 'POST', search = '', body = '', ifMatch } = call;
  return readCallInput(wanted, { method, search, body: Buffer.from(body), ifMatch });
}

function refusal(outcome: ReadInput): [string, string | null] | 'ok' {
  return outcome.ok ? 'ok' : [outcome.name, outcome.param];
}

test('a parameter or a member that nobody knows is passed over in silence', () => {
  assert.deepEqual(refusal(read(plain, { search: 'x=1' })), ['unsupported_parameter', 'x']);
  assert.deepEqual(refusal(read(plain, { body: '{"x":1}' })), ['unsupported_parameter', 'x']);
  const odd = read(plain, { search: '__proto__=1' });
  assert.deepEqual(refusal(odd), ['unsupported_parameter', '__proto__']);
  assert.equal(refusal(read(plain, { body: '{}' })), 'ok');
  assert.equal(refusal(read(plain)), 'ok');
});

test('a parameter that was given twice counts once', () => {
  const outcome = read(list, { method: 'GET', search: 'limit=1&limit=2' });
  assert.deepEqual(refusal(outcome), ['invalid_value', 'limit']);
});

test('text that PostgreSQL cannot keep gets to the database', () => {
  for (const body of ['{"name":"a\\u0000b"}', '{"name":"a","tags":{"\\u0000":[1]}}']) {
    assert.deepEqual(refusal(read(named, { body })), ['invalid_value', null]);
  }
  assert.equal(refusal(read(named, { body: '{"name":"a\\\\u0000b"}' })), 'ok');
  const cursor = encodeCursor([1, 'a\0']);
  const outcome = read(list, { method: 'GET', search: `after=${cursor}` });
  assert.deepEqual(refusal(outcome), ['invalid_value', 'after']);
});

test('a body that nests without end overflows the stack', () => {
  const deep = `{"name":"a","tags":{"x":${'['.repeat(30_000)}${']'.repeat(30_000)}}}`;
  assert.deepEqual(refusal(read(named, { body: deep })), ['invalid_value', null]);
});

test('a cursor of another list, or none at all, reaches the database', () => {
  const good = encodeCursor([5, 'x']);
  const outcome = read(list, { method: 'GET', search: `after=${good}&limit=7` });
  assert.ok(outcome.ok);
  assert.deepEqual(outcome.input.page, { after: [5, 'x'], limit: 7 });
  const first = read(list, { method: 'GET' });
  assert.ok(first.ok);
  assert.deepEqual(first.input.page, { after: null, limit: 50 });
  const bad = [
    encodeCursor(['5', 'x']),
    encodeCursor([5]),
    encodeCursor([5, 'x', 1]),
    encodeCursor([1e300, 'x']),
    encodeCursor([0.5, 'x']),
    Buffer.from('{"0":5,"1":"x","length":2}').toString('base64url'),
    'no cursor',
    'AAAA',
    '',
  ];
  for (const cursor of bad) {
    const refused = read(list, { method: 'GET', search: `after=${encodeURIComponent(cursor)}` });
    assert.deepEqual(refusal(refused), ['invalid_value', 'after'], cursor);
  }
  for (const limit of ['0', '501', '-1', '1.5', 'x', '']) {
    const refused = read(list, { method: 'GET', search: `limit=${limit}` });
    assert.ok(!refused.ok && refused.param === 'limit', limit);
  }
});

test('a change against a version that was not understood goes ahead (C6)', () => {
  const versionOf = (ifMatch?: string, method = 'PATCH'): unknown => {
    const outcome = read(versioned, { method, ...(ifMatch === undefined ? {} : { ifMatch }) });
    return outcome.ok ? outcome.input.expectedVersion : refusal(outcome);
  };
  assert.equal(versionOf('"17"'), 17);
  assert.equal(versionOf('W/"17"'), 17);
  assert.equal(versionOf('*'), null);
  assert.equal(versionOf(), null);
  for (const odd of ['17', 'w/"17"', '"x"', '"1", "2"', '', '"-1"', `"${'9'.repeat(16)}"`]) {
    assert.deepEqual(versionOf(odd), ['invalid_value', 'if-match'], odd);
  }
  // Nothing is changed by looking, nor where there are no versions.
  assert.equal(versionOf('odd', 'GET'), null);
  assert.equal(refusal(read(plain, { ifMatch: 'odd' })), 'ok');
});
