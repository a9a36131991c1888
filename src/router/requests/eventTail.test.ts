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

test('E3 an agent that sends an event byte by byte stops the loop for everybody', () => {
  const tail = new EventTail();
  const piece = Buffer.from('x');
  const before = process.cpuUsage();
  // Looking at all that is held with each piece would take half a minute.
  for (let n = 0; n < 400_000; n += 1) assert.equal(tail.take(piece).length, 0);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 5_000_000, `${(user + system) / 1000} ms`);
  assert.equal(tail.take(Buffer.from('\n')).length, 0);
  assert.equal(tail.take(Buffer.from('\nx')).length, 400_002);
  assert.equal(tail.rest().toString('utf8'), 'x');
});

test('E2 bytes after the last event drop it', () => {
  const tail = new EventTail();
  assert.equal(tail.take(Buffer.from(done)).length, 0);
  assert.equal(tail.take(Buffer.from('x')).toString('utf8'), done);
  assert.equal(tail.take(Buffer.from('\n\n')).toString('utf8'), 'x\n\n');
  assert.equal(tail.isEmpty, true);
});
