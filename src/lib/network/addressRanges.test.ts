import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressRanges, isAddressRange, isWithinRanges } from './addressRanges.ts';

test('a range that lets in more than it says, or nothing', () => {
  const ranges = addressRanges([
    '192.0.2.0/25',
    '2001:db8::/32',
    '198.51.100.7',
    'x',
    '10.0.0.0/99',
  ]);
  for (const inside of ['192.0.2.1', '192.0.2.127', '2001:db8:1::1', '198.51.100.7']) {
    assert.ok(ranges.includes(inside), inside);
  }
  for (const outside of ['192.0.2.128', '2001:db9::1', '198.51.100.8', '10.0.0.1', '', 'x']) {
    assert.ok(!ranges.includes(outside), outside);
  }
});

test('a list with an entry that is no range is stored, or one that is one is refused', () => {
  for (const good of ['192.0.2.1', '10.0.0.0/8', '0.0.0.0/0', '::1', '2001:db8::/32', '::/0']) {
    assert.ok(isAddressRange(good), good);
  }
  const bad = ['', 'x', '10.0.0.0/33', '10.0.0/8', '::1/129', '10.0.0.1/', '10.0.0.1/8/8'];
  const odd = ['fe80::1%eth0', '::ffff:10.0.0.1', ' 10.0.0.1', '10.0.0.1\n', '10.0.0.0/-1', '1'];
  for (const text of [...bad, ...odd]) {
    assert.ok(!isAddressRange(text), text);
    assert.ok(!addressRanges([text]).includes('10.0.0.1'), text);
  }
});

test('a range that is wider than another one, or beside it, passes for a part of it', () => {
  const ranges = ['10.0.0.0/8', '2001:db8::/32', '192.0.2.7'];
  const inside = ['10.1.0.0/16', '10.0.0.0/8', '10.255.255.255', '2001:db8:1::/48', '192.0.2.7/32'];
  for (const one of inside) assert.ok(isWithinRanges(one, ranges), one);
  const outside = [
    '10.0.0.0/7',
    '0.0.0.0/0',
    '11.0.0.1',
    '::/0',
    '2001:db8::/31',
    '192.0.2.6',
    'x',
  ];
  for (const one of outside) assert.ok(!isWithinRanges(one, ranges), one);
  assert.ok(!isWithinRanges('10.0.0.1', []));
});
