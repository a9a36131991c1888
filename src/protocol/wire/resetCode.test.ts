import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linkLimits } from '../limits.ts';
import type { LinkCloseReason, ResetCode } from '../link.ts';
import { closeCodes, closeReason } from './closeCode.ts';
import { decodeFrames, type Frame } from './frame.ts';
import { encodeReset, readReset, resetCodes } from './resetCode.ts';

const payloadOf = (frame: Buffer): Buffer => (decodeFrames(frame) as Frame[])[0]?.payload as Buffer;

test('every reset code arrives as itself', () => {
  const numbers = Object.values(resetCodes);
  assert.equal(new Set(numbers).size, numbers.length);
  for (const code of Object.keys(resetCodes) as ResetCode[]) {
    const frame = encodeReset({ stream: 3, code, detail: 'why' });
    assert.deepEqual(readReset(payloadOf(frame)), { code, detail: 'why' });
  }
});

test('a detail of any length fits, and no character is cut in two', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (detail) => {
      const payload = payloadOf(encodeReset({ stream: 3, code: 'idle', detail }));
      assert.ok(payload.length <= 1 + linkLimits.maxDetailBytes);
      const read = readReset(payload)?.detail ?? assert.fail();
      assert.ok(Buffer.from(detail.toWellFormed()).toString().startsWith(read));
    }),
  );
});

test('a code of a newer peer ends the stream all the same, a malformed one is refused', () => {
  assert.deepEqual(readReset(Buffer.from([250])), { code: 'internal', detail: '' });
  assert.equal(readReset(Buffer.alloc(0)), undefined);
  assert.equal(readReset(Buffer.alloc(linkLimits.maxDetailBytes + 2, 1)), undefined);
});

test('every close reason arrives as itself, and foreign codes have a reason too', () => {
  const codes = Object.values(closeCodes);
  assert.equal(new Set(codes).size, codes.length);
  for (const reason of Object.keys(closeCodes) as LinkCloseReason[]) {
    assert.equal(closeReason(closeCodes[reason]), reason);
  }
  assert.equal(closeReason(1006), 'transport_error');
  assert.equal(closeReason(1009), 'protocol_error');
  for (const code of [1001, 1002, 3000, 4999]) assert.equal(closeReason(code), 'closed_by_peer');
});
