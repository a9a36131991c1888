import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkOf } from './networkOf.ts';

test('one IPv6 subscriber passes for 2^64 addresses', () => {
  const spellings = ['2001:db8:0:7::1', '2001:DB8::7:1:2:3:4', '2001:0db8:0000:0007:9:9:9:9'];
  for (const address of spellings) assert.equal(networkOf(address), '2001:db8:0:7::/64');
  assert.notEqual(networkOf('2001:db8:0:8::1'), networkOf('2001:db8:0:7::1'));
});

test('an IPv4 address counts twice because it is spelt in IPv6', () => {
  assert.equal(networkOf('::ffff:192.0.2.1'), networkOf('192.0.2.1'));
  assert.notEqual(networkOf('192.0.2.1'), networkOf('192.0.2.2'));
});

test('an address with a zone, loopback or nothing at all makes no sense of its own', () => {
  assert.equal(networkOf('fe80::1%eth0'), networkOf('fe80::2'));
  assert.equal(networkOf('::1'), '0:0:0:0::/64');
  assert.equal(networkOf('unix'), 'unix');
});
