import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { createClientAddress, isLoopback, plainAddress } from './clientAddress.ts';

function from(peer: string, forwarded?: string): IncomingMessage {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return { socket: { remoteAddress: peer }, headers } as unknown as IncomingMessage;
}

test('a caller that names its own address', () => {
  const addressOf = createClientAddress([]);
  assert.equal(addressOf(from('192.0.2.1', '10.0.0.1')), '192.0.2.1');
  const behind = createClientAddress(['10.0.0.0/8']);
  assert.equal(behind(from('192.0.2.1', '203.0.113.9')), '192.0.2.1');
});

test('a trusted proxy whose callers all look like the proxy', () => {
  const addressOf = createClientAddress(['10.0.0.0/8', '::1']);
  assert.equal(addressOf(from('10.0.0.1', '203.0.113.9')), '203.0.113.9');
  assert.equal(addressOf(from('::1', '2001:db8::7')), '2001:db8::7');
  assert.equal(addressOf(from('::ffff:10.0.0.1', '203.0.113.9')), '203.0.113.9');
});

test('an address that a caller put before what the proxy wrote', () => {
  const addressOf = createClientAddress(['10.0.0.0/8']);
  assert.equal(addressOf(from('10.0.0.1', '127.0.0.1, 203.0.113.9')), '203.0.113.9');
  assert.equal(addressOf(from('10.0.0.1', '127.0.0.1, 203.0.113.9, 10.0.0.2')), '203.0.113.9');
  assert.equal(addressOf(from('10.0.0.1', 'nonsense')), '10.0.0.1');
  assert.equal(addressOf(from('10.0.0.1', '')), '10.0.0.1');
  assert.equal(addressOf(from('10.0.0.1')), '10.0.0.1');
});

test('loopback in another spelling', () => {
  assert.equal(plainAddress('::ffff:127.0.0.1'), '127.0.0.1');
  assert.ok(isLoopback('127.0.0.1') && isLoopback('127.9.9.9') && isLoopback('::1'));
  assert.ok(!isLoopback('128.0.0.1') && !isLoopback('') && !isLoopback('::2'));
});
