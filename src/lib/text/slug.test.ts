import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { regionProblem, reservedSlugs, sameRegion, slugFrom, slugProblem } from './slug.ts';

test('a slug outside of the grammar is refused with what is wrong', () => {
  for (const good of ['a', '0', 'default', 'own', 'a-b', `${'a-'.repeat(39)}b`, 'a'.repeat(40)]) {
    assert.equal(slugProblem(good), undefined, good);
  }
  assert.equal(slugProblem(''), 'empty');
  assert.equal(slugProblem('a'.repeat(41)), 'too_long');
  assert.equal(slugProblem('a'.repeat(10_000)), 'too_long');
  for (const bad of ['A', 'a--b', '-a', 'a-', 'a_b', 'a b', 'ä', 'a/b', 'a\n', '.']) {
    assert.equal(slugProblem(bad), 'bad_characters', bad);
  }
});

test('a slug cannot take an address of the platform away', () => {
  for (const word of ['api', 'v1', 'ui', 'install', 'assets', 'healthz', 'readyz', 'metrics']) {
    assert.equal(slugProblem(word), 'reserved', word);
  }
  for (const word of reservedSlugs) assert.equal(slugProblem(word), 'reserved', word);
});

test('a slug made from any text is a slug', () => {
  assert.equal(slugFrom('  Ünder the Desk #2 '), 'u-nder-the-desk-2');
  assert.equal(slugFrom('???'), undefined);
  assert.equal(slugFrom('API'), undefined);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const slug = slugFrom(text);
      return slug === undefined || slugProblem(slug) === undefined;
    }),
  );
});

test('a region that would break a header is refused, case does not divide regions', () => {
  assert.equal(regionProblem('eu-West/1'), undefined);
  assert.equal(regionProblem('x'.repeat(24)), undefined);
  assert.equal(regionProblem(''), 'empty');
  assert.equal(regionProblem('x'.repeat(25)), 'too_long');
  for (const bad of ['a b', 'a\r\n', 'é', '\x7f', '\t']) {
    assert.equal(regionProblem(bad), 'bad_characters', bad);
  }
  assert.ok(sameRegion('EU-1', 'eu-1'));
  assert.ok(!sameRegion('eu-1', 'eu-2'));
});
