import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newKeyPair, publicKeyText } from '../../lib/crypto/ed25519.ts';
import { verifyToken } from '../../lib/crypto/signedToken.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { accessTokenLifetimeMs } from '../limits.ts';
import { createAgentTokens } from './agentTokens.ts';

const pair = newKeyPair();
const signingKey = {
  keyId: 'k1',
  privateKey: pair.privateKey,
  publicKey: publicKeyText(pair.publicKey),
};
const [agentId, otherId] = ['agent-1', 'agent-2'];

function tokensOf(rotationByte: number, clock = new FakeClock()) {
  const rotationKey = Buffer.alloc(32, rotationByte);
  return createAgentTokens({ secrets: { rotationKey, signingKey }, clock });
}

test('two answers for one generation carry different tokens', () => {
  const tokens = tokensOf(1);
  const one = tokens.credentials({ agentId, generation: 3 });
  const other = tokens.credentials({ agentId, generation: 3 });
  assert.equal(one.rotationToken, other.rotationToken);
  assert.notEqual(one.rotationToken, tokens.credentials({ agentId, generation: 4 }).rotationToken);
});

test('a forged, altered or foreign token passes for one of ours', () => {
  const tokens = tokensOf(1);
  const { rotationToken } = tokens.credentials({ agentId, generation: 12 });
  assert.equal(tokens.generationOf({ agentId, rotationToken }), 12);
  const wrong = [
    rotationToken.replace('_12_', '_13_'),
    rotationToken.replace('_12_', '_012_'),
    `${rotationToken} `,
    rotationToken.slice(0, -1),
    'xrt_1_',
    'xrt_0_' + 'A'.repeat(43),
    'xrt_99999999999999999999_' + 'A'.repeat(43),
    '',
    tokensOf(2).credentials({ agentId, generation: 12 }).rotationToken,
  ];
  for (const text of wrong) {
    assert.equal(tokens.generationOf({ agentId, rotationToken: text }), undefined, text);
  }
  assert.equal(tokens.generationOf({ agentId: otherId, rotationToken }), undefined);
});

test('an access token is good for another purpose, without end, or for another generation', () => {
  const clock = new FakeClock();
  const { accessToken, expiresInMs } = tokensOf(1, clock).credentials({ agentId, generation: 5 });
  assert.equal(expiresInMs, accessTokenLifetimeMs);
  const keyOf = () => pair.publicKey;
  const at = (nowMs: number, audience = 'link') =>
    verifyToken(accessToken, { audience, nowMs, keyOf });
  const verdict = at(clock.now() + accessTokenLifetimeMs - 1);
  assert.ok(verdict.kind === 'valid');
  assert.deepEqual([verdict.claims.sub, verdict.claims.gen, verdict.keyId], [agentId, 5, 'k1']);
  assert.equal(at(clock.now() + accessTokenLifetimeMs).kind, 'expired');
  assert.equal(at(clock.now(), 'playground').kind, 'invalid');
});
