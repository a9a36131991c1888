import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StopFilter, TokenText } from './embeddedText.ts';

/** A vocabulary of single bytes, as a byte-level tokeniser falls back to. */
function bytesText(): TokenText {
  return new TokenText((tokens) => Buffer.from(tokens).toString('utf8'));
}

test('a character that comes in several tokens is cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const whole = Buffer.from(text).toString('utf8');
      const tokens = bytesText();
      const pieces = [...Buffer.from(whole)].map((byte) => tokens.push(byte));
      pieces.push(tokens.flush());
      assert.equal(pieces.join(''), whole);
      for (const piece of pieces) assert.ok(whole.includes(piece));
      if (!whole.includes('\uFFFD')) assert.ok(pieces.every((one) => !one.includes('\uFFFD')));
    }),
  );
});

test('bytes that never become a character are held back for ever', () => {
  const tokens = bytesText();
  const pieces = [0xf0, 0x9f, 0x92, 0x41].map((byte) => tokens.push(byte));
  assert.equal(pieces.join(''), '\uFFFDA');
  assert.equal(tokens.push(0xe2), '');
  assert.equal(tokens.flush(), '\uFFFD');
  assert.equal(tokens.flush(), '');
});

test('the space before the first word of a continuation is lost', () => {
  // As SentencePiece has it: a word brings its space, but for the first of a text.
  const words = ['', 'Hello', 'world'];
  const spaced = (tokens: readonly number[], before: readonly number[]): string =>
    tokens
      .map((token, at) => (at + before.length > 0 ? ` ${words[token]}` : words[token]))
      .join('');
  assert.equal(new TokenText(spaced).push(1), 'Hello');
  assert.equal(new TokenText(spaced, [1]).push(2), ' world');
});

const smallText = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 20 });
const stopText = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });

test('a stop string leaks, or text is lost before it', () => {
  fc.assert(
    fc.property(
      fc.array(smallText, { maxLength: 8 }),
      fc.array(stopText, { maxLength: 4 }),
      (pieces, stops) => {
        const filter = new StopFilter(stops);
        let out = '';
        for (const piece of pieces) {
          out += filter.push(piece);
          assert.ok(stops.every((stop) => !out.includes(stop)));
        }
        if (!filter.met) out += filter.flush();
        const whole = pieces.join('');
        const cuts = stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
        // A longer stop may begin earlier and end later than the one that was completed first.
        const expected = cuts.length === 0 ? whole : undefined;
        if (expected !== undefined) assert.equal(out, expected);
        else {
          assert.equal(filter.met, true);
          assert.ok(whole.startsWith(out));
          assert.ok(stops.some((stop) => whole.startsWith(stop, out.length)));
        }
      },
    ),
  );
});

test('text after a stop string comes out', () => {
  const filter = new StopFilter(['END', '']);
  assert.equal(filter.push('one E'), 'one ');
  assert.equal(filter.push('ND two'), '');
  assert.equal(filter.met, true);
  assert.equal(filter.push('three'), '');
});
