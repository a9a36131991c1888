import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { longStringBytes, parseAbridged } from './abridgedJson.ts';

const always = { fromBytes: 0 };

/** As the definition has it. */
function expected(value: unknown): unknown {
  if (typeof value === 'string') {
    return Buffer.byteLength(JSON.stringify(value)) > longStringBytes
      ? 'x'.repeat(longStringBytes / 2)
      : value;
  }
  if (Array.isArray(value)) return value.map(expected);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, expected(one)]));
}

/** Strings around the length from which they are long, and short ones. */
const strings = fc
  .tuple(fc.constantFrom(0, 1, 1000, 1020, 1021, 1022, 1023, 5000), fc.string({ unit: 'grapheme' }))
  .map(([length, text]) => 'y'.repeat(length) + text);

test('a value that an abridged text gives and the whole text does not', () => {
  fc.assert(
    fc.property(
      fc.anything({
        values: [strings, fc.integer(), fc.boolean(), fc.constant(null)],
        key: fc.string(),
        maxDepth: 3,
      }),
      (value) => {
        const text = JSON.stringify(value);
        const read = parseAbridged(Buffer.from(text), always);
        assert.deepEqual(read, { kind: 'json', value: expected(JSON.parse(text)) });
      },
    ),
  );
});

test('text that JSON.parse refuses and this takes, or the other way round', () => {
  const long = 'y'.repeat(longStringBytes);
  const pieces = fc.constantFrom(
    '"',
    '\\',
    '\\"',
    '\\u00e4',
    '\\u12g4',
    '\\x',
    '\n',
    '\u0000',
    '\u001f',
    '\u0020',
    '\u007f',

    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '1',
    '-',
    'e5',
    '.',
    'true',
    'null',
    ' ',
    'ä',
    '😀',
    long,
    '"a":',
    `"${long}"`,
    `"${long}\\n"`,
    `"${long}\n"`,
    `"${long}\\`,
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), fc.boolean(), (some, inArray) => {
      const text = inArray ? `[${some.join('')}]` : some.join('');
      const taken = parseAbridged(Buffer.from(text), always).kind === 'json';
      assert.equal(taken, isJson(text), JSON.stringify(text.replaceAll(long, '<long>')));
    }),
    { numRuns: 5_000 },
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('a control character somewhere in a long string is overlooked', () => {
  const place = fc.integer({ min: 0, max: longStringBytes + 8 });
  fc.assert(
    fc.property(place, place, fc.integer({ min: 0, max: 255 }), (offset, at, byte) => {
      const bytes = Buffer.alloc(longStringBytes * 2 + 64, 0x79);
      const text = bytes.subarray(offset % 8, (offset % 8) + longStringBytes + 16);
      text.write('["', 0);
      text.write('"]', text.length - 2);
      text[2 + at] = byte;
      const taken = parseAbridged(text, always).kind === 'json';
      assert.equal(taken, isJson(text.toString('utf8')), `${byte} at ${at}`);
    }),
    { numRuns: 2_000 },
  );
});

test('a prompt of a mebibyte becomes a string all the same', () => {
  const body = { model: 'own', messages: [{ role: 'user', content: 'ä"\n'.repeat(1 << 18) }] };
  const read = parseAbridged(Buffer.from(JSON.stringify(body)));
  assert.ok(read.kind === 'json');
  assert.deepEqual(read.value, expected(body));
});
