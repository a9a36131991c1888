import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromBase64url, hmacSha256, sha256, sha256Hex, timingSafeEqualHex } from './hashing.ts';
import { toBase64url } from './hashing.ts';

test('SHA-256 and HMAC give the published vectors', () => {
  const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.equal(sha256Hex('abc'), abc);
  assert.equal(sha256(Buffer.from('abc')).toString('hex'), abc);
  assert.equal(
    hmacSha256({ key: 'Jefe', data: 'what do ya want for nothing?' }).toString('hex'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
});

test('a digest is equal to itself only, and what is not hex is equal to nothing', () => {
  const digest = sha256Hex('x');
  assert.ok(timingSafeEqualHex(digest, digest.toUpperCase()));
  assert.ok(!timingSafeEqualHex(digest, sha256Hex('y')));
  assert.ok(!timingSafeEqualHex(digest, digest.slice(2)));
  assert.ok(!timingSafeEqualHex('zz', 'zz'));
  assert.ok(!timingSafeEqualHex('abc', 'abc'));
});

test('one value has one base64url spelling', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.deepEqual(fromBase64url(toBase64url(bytes)), Buffer.from(bytes));
    }),
  );
  assert.equal(toBase64url('ä'), 'w6Q');
  for (const bad of ['w6Q=', 'w6R', 'w', '+/', 'w6Q\n'])
    assert.equal(fromBase64url(bad), undefined);
});
