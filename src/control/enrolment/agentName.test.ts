import assert from 'node:assert/strict';
import { test } from 'node:test';
import { longestName, nameAttempts } from '../limits.ts';
import { freeName, wishedName } from './agentName.ts';

const workerId = 'wrk_0123456789abcdefghjkmnpqrs';

test('the wrong wish wins', () => {
  const wishes = { given: 'given', joinKey: 'key', hostname: 'host' };
  assert.equal(wishedName(wishes), 'given');
  assert.equal(wishedName({ ...wishes, given: ' \n ' }), 'key');
  assert.equal(wishedName({ ...wishes, given: undefined, joinKey: '' }), 'host');
  assert.equal(wishedName({ given: undefined, joinKey: '', hostname: '' }), 'agent');
});

test('a name breaks a header, a log line or a table', () => {
  const wish = { given: `a\r\nb\u0000c ${'😀'.repeat(60)}`, joinKey: '', hostname: '' };
  const name = wishedName(wish);
  assert.ok(name.startsWith('a b c '));
  assert.ok(name.length <= longestName);
  assert.ok(name.isWellFormed());
  const suffixed = freeName({ wish: name, taken: [name], workerId, attempt: 0 });
  assert.ok(suffixed.length <= longestName && suffixed.isWellFormed());
});

test('two agents of one owner get one name', () => {
  const taken = ['Box', 'box-2', 'other'];
  assert.equal(freeName({ wish: 'box', taken, workerId, attempt: 0 }), 'box-3');
  assert.equal(freeName({ wish: 'new', taken, workerId, attempt: 0 }), 'new');
});

test('somebody who is always quicker keeps an agent from enrolling', () => {
  const name = freeName({ wish: 'box', taken: [], workerId, attempt: nameAttempts });
  assert.equal(name, `box-${workerId.slice(-8)}`);
});
