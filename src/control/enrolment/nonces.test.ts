import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { nonceLifetimeMs, noncesWaiting, noncesWaitingPerAddress } from '../limits.ts';
import { createNonces } from './nonces.ts';

function setUp() {
  const clock = new FakeClock();
  return { clock, nonces: createNonces({ clock, random: seededRandom(7) }) };
}

test('a recorded call is played again', () => {
  const { nonces } = setUp();
  const { nonce } = nonces.issue('192.0.2.1');
  assert.equal(nonces.take(nonce), true);
  assert.equal(nonces.take(nonce), false);
  assert.equal(nonces.take('never issued'), false);
});

test('a nonce lives longer than 60 s, or a wall clock an hour off ends it', () => {
  const { nonces, clock } = setUp();
  const [early, late] = [nonces.issue('192.0.2.1'), nonces.issue('192.0.2.1')];
  assert.equal(early.expiresInMs, nonceLifetimeMs);
  clock.jumpWall(3_600_000);
  clock.advance(nonceLifetimeMs - 1);
  assert.equal(nonces.take(early.nonce), true);
  clock.jumpWall(-7_200_000);
  clock.advance(1);
  assert.equal(nonces.take(late.nonce), false);
});

test('one network asks for nonces until the memory is full, or pushes out those of others', () => {
  const { nonces } = setUp();
  const others = nonces.issue('198.51.100.1');
  const first = nonces.issue('2001:db8::1');
  for (let count = 0; count < noncesWaitingPerAddress; count += 1) nonces.issue('2001:db8::2');
  assert.equal(nonces.size(), noncesWaitingPerAddress + 1);
  assert.equal(nonces.take(first.nonce), false, 'its own oldest gives way');
  assert.equal(nonces.take(others.nonce), true);
});

test('many networks together fill the memory', () => {
  const { nonces, clock } = setUp();
  for (let count = 0; count < noncesWaiting + 100; count += 1) {
    nonces.issue(`192.${count >> 16}.${(count >> 8) & 255}.${count & 255}`);
  }
  assert.equal(nonces.size(), noncesWaiting);
  clock.advance(nonceLifetimeMs);
  nonces.issue('192.0.2.1');
  assert.equal(nonces.size(), 1, 'expired ones are forgotten');
});
