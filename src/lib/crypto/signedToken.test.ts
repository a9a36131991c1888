import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyPairFromPem, newKeyPair, privateKeyPem } from './ed25519.ts';
import { publicKeyFromText, publicKeyText, signText, verifyText } from './ed25519.ts';
import { toBase64url } from './hashing.ts';
import { signToken, verifyToken, type TokenClaims } from './signedToken.ts';

const pair = newKeyPair();
const other = newKeyPair();
const nowMs = 1_800_000_000_000;
const claims: TokenClaims = { aud: 'link', sub: 'agent', gen: 3, exp: nowMs / 1000 + 600 };
const keyOf = (keyId: string) => (keyId === 'k1' ? pair.publicKey : undefined);
const options = { audience: 'link', nowMs, keyOf };
const token = signToken({ claims, keyId: 'k1', privateKey: pair.privateKey });

test('a token says what was signed', () => {
  assert.deepEqual(verifyToken(token, options), { kind: 'valid', claims, keyId: 'k1' });
});

test('a late token is expired, not invalid, at the very second', () => {
  const late = { ...options, nowMs: claims.exp * 1000 };
  assert.equal(verifyToken(token, late).kind, 'expired');
  assert.equal(verifyToken(token, { ...options, nowMs: claims.exp * 1000 - 1 }).kind, 'valid');
});

test('a token for another audience, of an unknown key or of another key opens nothing', () => {
  const reasonOf = (text: string, audience = 'link') => {
    const verdict = verifyToken(text, { ...options, audience });
    return verdict.kind === 'invalid' ? verdict.reason : verdict.kind;
  };
  assert.equal(reasonOf(token, 'download'), 'wrong_audience');
  const { privateKey } = other;
  assert.equal(reasonOf(signToken({ claims, keyId: 'k2', privateKey })), 'unknown_key');
  assert.equal(reasonOf(signToken({ claims, keyId: 'k1', privateKey })), 'bad_signature');
});

test('an altered token is refused wherever it was altered', () => {
  for (let at = 0; at < token.length; at += 1) {
    const swapped = token[at] === 'A' ? 'B' : 'A';
    const altered = token.slice(0, at) + swapped + token.slice(at + 1);
    assert.equal(verifyToken(altered, options).kind, 'invalid', `character ${at}`);
  }
});

test('a token that names another algorithm, or none, is malformed', () => {
  const body = toBase64url(JSON.stringify(claims));
  for (const alg of ['none', 'HS256', undefined]) {
    const forged = `${toBase64url(JSON.stringify({ alg, kid: 'k1' }))}.${body}.AAAA`;
    assert.deepEqual(verifyToken(forged, options), { kind: 'invalid', reason: 'malformed' });
  }
  for (const bad of ['', '..', 'a.b.c', `${token}.x`, `${token}=`, 'x'.repeat(100_000)]) {
    assert.equal(verifyToken(bad, options).kind, 'invalid');
  }
});

test('keys survive being written and read, and what is no key is none', () => {
  assert.equal(publicKeyText(pair.privateKey), publicKeyText(pair.publicKey));
  const message = Buffer.from('hello');
  const read = keyPairFromPem(privateKeyPem(pair.privateKey));
  assert.ok(read);
  const signature = signText({ message, privateKey: read.privateKey });
  const publicKey = publicKeyFromText(publicKeyText(pair.publicKey));
  assert.ok(publicKey);
  assert.ok(verifyText({ message, signature, publicKey }));
  assert.ok(!verifyText({ message: Buffer.from('hellO'), signature, publicKey }));
  assert.ok(!verifyText({ message, signature: 'AAAA', publicKey }));
  assert.equal(publicKeyFromText('AAAA'), undefined);
  assert.equal(keyPairFromPem('no key'), undefined);
});
