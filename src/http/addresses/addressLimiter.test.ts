import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { AddressLimiter } from './addressLimiter.ts';

function limiter(clock: FakeClock, maxAddresses = 100): AddressLimiter {
  return new AddressLimiter({ clock, limit: { burst: 3, perSecond: 2 }, maxAddresses });
}

test('a burst over the bound, or a wait that is wrong', () => {
  const clock = new FakeClock();
  const limits = limiter(clock);
  const taken = [1, 2, 3, 4].map(() => limits.take('192.0.2.1'));
  assert.deepEqual(
    taken.map(({ ok }) => ok),
    [true, true, true, false],
  );
  assert.deepEqual(taken[3], { ok: false, retryAfterMs: 500 });
  assert.equal(limits.take('192.0.2.2').ok, true);
  clock.advance(499);
  assert.equal(limits.take('192.0.2.1').ok, false);
  clock.advance(1);
  assert.equal(limits.take('192.0.2.1').ok, true);
  clock.advance(60_000);
  const again = [1, 2, 3, 4].map(() => limits.take('192.0.2.1').ok);
  assert.deepEqual(again, [true, true, true, false]);
});

test('one subscriber with a /64 full of addresses', () => {
  const limits = limiter(new FakeClock());
  for (let at = 1; at <= 3; at += 1) assert.ok(limits.take(`2001:db8:0:1::${at}`).ok);
  assert.ok(!limits.take('2001:db8:0:1:ffff::1').ok);
  assert.ok(limits.take('2001:db8:0:2::1').ok);
});

test('memory that grows with the addresses that call', () => {
  const limits = limiter(new FakeClock(), 10);
  for (let at = 0; at < 1000; at += 1) limits.take(`10.0.${at >> 8}.${at & 255}`);
  assert.equal(limits.size, 10);
});
