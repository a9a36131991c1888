import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter } from './packedBytes.ts';

test('a number, a text or nothing comes back as something else', () => {
  const whole = fc.maxSafeNat();
  const text = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)),
  });
  fc.assert(
    fc.property(whole, fc.option(whole), text, (number, maybe, name) => {
      const out = new ByteWriter(2048);
      out.number(number);
      // Below 2⁵³ with the one that stands for nothing.
      const less = maybe === null ? null : Math.floor(maybe / 2);
      out.orNull(less);
      out.text(name);
      out.block(number % 2 ** 48);
      const from = new ByteReader(out.bytes.subarray(0, out.at));
      assert.equal(from.number(), number);
      assert.equal(from.orNull(), less);
      assert.equal(from.text(), name);
      assert.equal(from.block(), number % 2 ** 48);
    }),
  );
  for (const edge of [127, 128, 0x3fff_ffff, 0x4000_0000, 2 ** 31, 2 ** 32, 2 ** 53 - 1]) {
    const out = new ByteWriter(16);
    out.number(edge);
    assert.equal(new ByteReader(out.bytes).number(), edge);
  }
});

test('a fraction is cut off, or a time below zero becomes a very long one', () => {
  const out = new ByteWriter(64);
  out.ms(1.26);
  out.ms(-5);
  out.msOrNull(Number.NaN);
  const from = new ByteReader(out.bytes);
  assert.deepEqual([from.ms(), from.ms()], [1.3, 0]);
});

test('bytes that end too early are read on, or a made-up length takes memory', () => {
  const out = new ByteWriter(16);
  out.number(1e12);
  const from = (): ByteReader => new ByteReader(out.bytes.subarray(0, out.at));
  assert.throws(() => from().list(() => 1), RangeError);
  assert.throws(() => from().text(), RangeError);
  assert.throws(() => new ByteReader(Buffer.from([0x80])).number(), RangeError);
});
