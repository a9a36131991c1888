import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchingTotpStep, otpauthUri, rfcBase32, totpCode, totpStepAt } from './totp.ts';

const secret = Buffer.from('12345678901234567890');

test('an authenticator app shows another code (RFC 6238, appendix B)', () => {
  const vectors = [
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_111_111_111, '050471'],
    [1_234_567_890, '005924'],
    [2_000_000_000, '279037'],
    [20_000_000_000, '353130'],
  ] as const;
  for (const [seconds, code] of vectors) {
    assert.equal(totpCode(secret, totpStepAt(seconds * 1000)), code);
  }
});

test('a phone whose clock is half a minute off is refused, or a whole minute is not', () => {
  const atMs = 1_234_567_890_000;
  const present = totpStepAt(atMs);
  const stepOf = (step: number) => matchingTotpStep(secret, { code: totpCode(secret, step), atMs });
  for (const step of [present - 1, present, present + 1]) assert.equal(stepOf(step), step);
  for (const step of [present - 2, present + 2]) assert.equal(stepOf(step), undefined);
  for (const code of ['', '5924', '0005924', '00592a', ' 005924']) {
    assert.equal(matchingTotpStep(secret, { code, atMs }), undefined);
  }
  assert.equal(matchingTotpStep(secret, { code: totpCode(secret, 0), atMs: 0 }), 0);
});

test('an app cannot read what it scans', () => {
  assert.equal(rfcBase32(Buffer.from('foobar')), 'MZXW6YTBOI');
  assert.equal(rfcBase32(secret), 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
  const uri = otpauthUri({ issuer: 'XIM lab', account: 'a@b.example', secret });
  assert.equal(
    uri,
    'otpauth://totp/XIM%20lab:a%40b.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ' +
      '&issuer=XIM%20lab&algorithm=SHA1&digits=6&period=30',
  );
});
