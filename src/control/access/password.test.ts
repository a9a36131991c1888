import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '../../lib/random.ts';
import { longestPassword, passwordChecksAtOnce, passwordChecksWaiting } from '../limits.ts';
import { createPasswords } from './password.ts';

const passwords = createPasswords(systemRandom);

test('a wrong password opens the account, or the right one does not', async () => {
  const stored = await passwords.hash('correct horse');
  assert.equal(await passwords.verify('correct horse', stored), 'match');
  assert.equal(await passwords.verify('correct horse ', stored), 'mismatch');
  assert.equal(await passwords.verify('', stored), 'mismatch');
});

test('two accounts with one password can be told from their hashes', async () => {
  assert.notEqual(await passwords.hash('same'), await passwords.hash('same'));
});

test('the stored form leaves out what later checks need', async () => {
  assert.match(await passwords.hash('x'), /^\$scrypt\$ln=15,r=8,p=3\$[\w-]{22}\$[\w-]{43}$/);
});

test('an unknown account or a damaged row is a match', async () => {
  assert.equal(await passwords.verify('anything', null), 'mismatch');
  assert.equal(await passwords.verify('anything', 'plain text'), 'mismatch');
  assert.equal(await passwords.verify('anything', '$scrypt$ln=15,r=8,p=3$$'), 'mismatch');
});

test('a password beyond the bound is cut and then matches', async () => {
  const stored = await passwords.hash('a'.repeat(longestPassword));
  assert.equal(await passwords.verify('a'.repeat(longestPassword + 1), stored), 'mismatch');
});

test('the same password typed as composed and as combining characters differs', async () => {
  const stored = await passwords.hash('caf\u00e9');
  assert.equal(await passwords.verify('cafe\u0301', stored), 'match');
});

test('a flood of sign-ins takes memory without bound', async () => {
  const most = passwordChecksAtOnce + passwordChecksWaiting;
  const cheap = '$scrypt$ln=1,r=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$'.concat('A'.repeat(43));
  const verdicts = await Promise.all(
    Array.from({ length: most + 5 }, () => passwords.verify('x', cheap)),
  );
  assert.equal(verdicts.filter((verdict) => verdict === 'busy').length, 5);
  assert.equal(verdicts.filter((verdict) => verdict === 'mismatch').length, most);
  assert.equal(await passwords.verify('x', cheap), 'mismatch', 'the line empties');
});
