import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPublicAddress, literalAddress } from './publicAddress.ts';

test('an address of this machine or its networks passes as public', () => {
  const closed = [
    '127.0.0.1',
    '127.9.9.9',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '198.18.0.1',
    '::',
    '::1',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fdff::1',
    'ff02::1',
    '2001:db8::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::10.0.0.1',
    '64:ff9b::7f00:1',
    '2002::1',
    'localhost',
    '',
    '1.2.3',
  ];
  for (const address of closed) assert.equal(isPublicAddress(address), false, address);
});

test('a public address is refused', () => {
  const open = ['8.8.8.8', '172.32.0.1', '11.0.0.1', '2606:4700::1', '::ffff:8.8.8.8'];
  for (const address of open) assert.equal(isPublicAddress(address), true, address);
  assert.equal(isPublicAddress('64:ff9b::8.8.8.8'), true);
});

test('an address in a URL is taken for a name', () => {
  assert.equal(literalAddress('[::1]'), '::1');
  assert.equal(literalAddress('127.0.0.1'), '127.0.0.1');
  assert.equal(literalAddress('example.org'), undefined);
  // The parser of URLs has made plain numbers of every odd spelling before we look.
  assert.equal(literalAddress(new URL('https://0x7f.1/').hostname), '127.0.0.1');
});
