import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFrames, encodeCredit, encodeFrame, encodePing, frameType } from './frame.ts';
import { maxPayloadBytes, maxStreamId, readCredit, type Frame } from './frame.ts';

const fields = {
  type: fc.integer({ min: 0, max: 255 }),
  flags: fc.integer({ min: 0, max: 255 }),
  stream: fc.integer({ min: 0, max: maxStreamId }),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
};
const frame: fc.Arbitrary<Frame> = fc.record(fields, { noNullPrototype: true });

test('a frame is read as what was written, in the order of the message', () => {
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1, maxLength: 20 }), (frames) => {
      assert.deepEqual(decodeFrames(Buffer.concat(frames.map(encodeFrame))), frames);
    }),
  );
});

test('a message that ends inside of a frame is refused, wherever it ends', () => {
  fc.assert(
    fc.property(frame, fc.nat(), (one, cut) => {
      const bytes = encodeFrame(one);
      const end = cut % bytes.length;
      const expected = end === 0 ? 'empty' : end < 9 ? 'truncated_header' : 'truncated_payload';
      assert.equal(decodeFrames(bytes.subarray(0, end)), expected);
    }),
  );
});

test('a payload over 16 KiB is neither written nor read', () => {
  const full = { type: 6, flags: 0, stream: 1, payload: Buffer.alloc(maxPayloadBytes) };
  const bytes = encodeFrame(full);
  assert.deepEqual(decodeFrames(bytes), [full]);
  bytes.writeUIntBE(maxPayloadBytes + 1, 6, 3);
  assert.equal(decodeFrames(Buffer.concat([bytes, Buffer.alloc(1)])), 'too_long');
  const payload = Buffer.alloc(maxPayloadBytes + 1);
  assert.throws(() => encodeFrame({ ...full, payload }), RangeError);
});

test('credit and ping carry their number, and nothing else is read as credit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 32 - 1 }), (number) => {
      const [credit] = decodeFrames(encodeCredit({ stream: 9, bytes: number })) as Frame[];
      assert.equal(credit?.type, frameType.credit);
      assert.equal(readCredit(credit?.payload ?? Buffer.alloc(0)), number);
      const [pong] = decodeFrames(encodePing({ type: 'pong', counter: number })) as Frame[];
      assert.deepEqual([pong?.type, pong?.payload.readUInt32BE(0)], [frameType.pong, number]);
    }),
  );
  for (const bad of ['', '00', '00000000', '0000000001']) {
    assert.equal(readCredit(Buffer.from(bad, 'hex')), undefined);
  }
});

test('no two frame types share a number', () => {
  const numbers = Object.values(frameType);
  assert.equal(new Set(numbers).size, numbers.length);
});
