import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { EventTail, isPlain } from './eventTail.ts';

const done = 'data: [DONE]\n\n';

/** Passes a text in pieces as the relay does, and gives what went out before the end. */
function pass(pieces: Buffer[]): { early: string; whole: string } {
  const tail = new EventTail();
  const early: Buffer[] = [];
  for (const piece of pieces) {
    if (tail.isEmpty && isPlain(piece)) early.push(piece);
    else early.push(Buffer.from(tail.take(piece)));
  }
  const before = Buffer.concat(early);
  return {
    early: before.toString('utf8'),
    whole: Buffer.concat([before, tail.rest()]).toString('utf8'),
  };
}

function cutAt(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const points = [0, ...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length];
  const sorted = points.toSorted((one, other) => one - other);
  return sorted
    .slice(1)
    .map((end, at) => bytes.subarray(sorted[at], end))
    .filter((piece) => piece.length > 0);
}

test('E2 no cut loses or doubles a byte, and the last event is never early', () => {
  const event = fc.string({ unit: 'grapheme' }).map((text) => `data: ${JSON.stringify(text)}\n\n`);
  fc.assert(
    fc.property(fc.array(event), fc.array(fc.nat(), { maxLength: 8 }), (events, cuts) => {
      const text = events.join('') + done;
      const { early, whole } = pass(cutAt(text, cuts));
      assert.equal(whole, text);
      assert.ok(!early.includes('[DONE]'), early);
      assert.ok(early === '' || early.endsWith('\n\n'), 'E1');
    }),
    { numRuns: 500 },
  );
});

test('a whole event passes without being looked at', () => {
  assert.equal(isPlain(Buffer.from('data: {}\n\n')), true);
  assert.equal(isPlain(Buffer.from(done)), false);
  assert.equal(isPlain(Buffer.from('data: {')), false);
  assert.equal(isPlain(Buffer.from('\n')), false);
});

test('R6 an event without an end is not gathered for ever', () => {
  const tail = new EventTail();
  const piece = Buffer.alloc(64 * 1024, 'x');
  let passed = 0;
  for (let n = 0; n < 40; n += 1) passed += tail.take(piece).length;
  assert.ok(passed >= 1024 * 1024);
  assert.equal(tail.isTorn, true);
  assert.equal(tail.take(Buffer.from('x\n\n')).length + passed > passed, true);
  assert.equal(tail.isTorn, false);
});
